import { Random, type Step } from '../../engine/testing/generator.js';
import { keyOf, type Message } from '../../engine/testing/world.js';
import type { HostStep } from './test-partition.js';

/** Lets other engines send some of the messages and withdraw some of those, drawn apart from the traffic. */
export class Withdrawals {
  readonly #random: Random;
  readonly #sent: { readonly message: Message; readonly mark: number }[] = [];
  #mark = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  /** The steps, with withdrawals behind some of them. */
  among(steps: readonly Step[]): HostStep[] {
    // Of a slab before this one, sometimes ahead of all that comes now: most of those are withdrawn.
    const newest = this.#sent.at(-1);
    const isFirst = newest !== undefined && this.#random.chance(0.3);
    const rest = steps.flatMap((step): HostStep[] => {
      const isMessage = step.kind === 'message' || step.kind === 'again';
      const marked = isMessage && this.#random.chance(0.7) ? { ...step, mark: this.#markOf(step.message) } : step;
      if (this.#sent.length === 0 || !this.#random.chance(0.25)) return [marked];
      // The newest ones more often than others.
      const back = Math.min(this.#random.below(this.#sent.length), this.#random.below(this.#sent.length));
      return [marked, { kind: 'withdraw', ...this.#sent[this.#sent.length - 1 - back]! }];
    });
    return isFirst ? [{ kind: 'withdraw', ...newest }, ...rest] : rest;
  }

  /** A message that comes again is sometimes the same one, sent again because a connection broke. */
  #markOf(message: Message): number {
    const before = this.#sent.find((sent) => keyOf(sent.message) === keyOf(message));
    const mark = before !== undefined && this.#random.chance(0.5) ? before.mark : ++this.#mark;
    this.#sent.push({ message, mark });
    if (this.#sent.length > 12) this.#sent.shift();
    return mark;
  }
}
