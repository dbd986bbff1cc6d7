/**
 * Work that no request waits for: deleting what has lapsed. Bounded steps, one at a time, with a rest between them;
 * several processes doing the same only find less to do.
 */
import type { Log } from '../../platform/log.js';
import { Rounds } from './rounds.js';

/** Does one bounded step. @returns how much it found: another step follows at once when it was something */
export type Chore = () => Promise<number>;

const restMs = 30_000;
/** Steps in a row before the others have their turn. */
const stepsMax = 20;

export class Housekeeping {
  readonly #chores = new Map<string, Chore>();
  readonly #log: Log;
  readonly #rounds = new Rounds(() => this.run().then(() => restMs));

  constructor(log: Log) {
    this.#log = log;
  }

  add(name: string, chore: Chore): void {
    this.#chores.set(name, chore);
  }

  start(): void {
    this.#rounds.start(restMs);
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  /** Every chore once, until it finds nothing or has had its turn. */
  async run(): Promise<void> {
    for (const [name, chore] of this.#chores) {
      try {
        for (let step = 0; step < stepsMax && !this.#rounds.isStopped && (await chore()) > 0; step++);
      } catch (error) {
        // The next round tries again; lapsed rows do no harm meanwhile.
        this.#log.warn({ chore: name, error: (error as Error).message }, 'housekeeping failed');
      }
    }
  }
}
