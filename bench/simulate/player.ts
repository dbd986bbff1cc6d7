/**
 * Plays one story: says its steps in a network's words, compares answers and books with what the story expects, and
 * writes the trace.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Random } from '../load/random.js';
import type { Books, Ledger, OpenedAccount } from './ledger.js';
import type { Answer, Life, Message, Network } from './networks/network.js';
import type {
  ChangeStep,
  DeliverOrder,
  ExpectedAnswer,
  ExpectedBooks,
  ExpectedTransaction,
  Place,
  Say,
  SayStep,
  Story,
} from './story.js';
import { StoryError } from './story.js';
import { changeText, messageLine, money, noteLine } from './trace.js';

export interface Played {
  /** One text for each thing that was not as expected, with its place. */
  readonly failures: readonly string[];
  readonly messageCount: number;
}

export interface PlayOptions {
  readonly story: Story;
  readonly network: Network;
  readonly ledger: Ledger;
  readonly print: (line: string) => void;
  /** Of the order of shuffled deliveries. */
  readonly seed: number;
}

/** How long settled rows may take; books are current at once. */
const settledMsMax = 15_000;
const settledLookMs = 20;
/** Waits before a message that got no decision is sent again: together longer than an engine starts or takes over. */
const repeatWaitsMs = [50, 100, 200, 400, 800, 1600, 3200, 6400];

/** What keeps a protocol from telling the story; null: nothing. */
export function refusalOf({ steps, without }: Story, network: Network): string | null {
  const { protocol } = network;
  const named = without[protocol];
  if (named !== undefined) return named;
  for (const step of steps) {
    if (step.kind !== 'say') continue;
    const say = sayOf(step, network);
    const refusal = say === null ? null : network.refuses(say);
    if (refusal !== null) return `${step.place.file}:${step.place.line}: ${refusal}; the step names nothing instead`;
  }
  return null;
}

function sayOf(step: SayStep, { protocol }: Network): Say | null {
  const instead = step.instead[protocol];
  return instead === undefined ? step.say : instead.say;
}

/** @throws StoryError when the protocol cannot tell it, EngineUnreachable when there is no engine */
export async function play(options: PlayOptions): Promise<Played> {
  const { story, network, ledger } = options;
  const refusal = refusalOf(story, network);
  if (refusal !== null) throw new StoryError(`${story.name} in ${network.protocol}: ${refusal}`);
  const account = await ledger.open(story.fundsMinor, story.cards);
  const player = new Player(options, account, await ledger.books(account));
  return player.play();
}

class Player {
  readonly #options: PlayOptions;
  readonly #account: OpenedAccount;
  readonly #before: Books;
  readonly #lives = new Map<string, Life>();
  readonly #held: { readonly life: string; readonly message: Message; readonly times: number }[] = [];
  readonly #failures: string[] = [];
  readonly #startedMs = performance.now();
  readonly #random: Random;
  #messageCount = 0;

  constructor(options: PlayOptions, account: OpenedAccount, before: Books) {
    this.#options = options;
    this.#account = account;
    this.#before = before;
    this.#random = new Random(options.seed, 0);
  }

  async play(): Promise<Played> {
    const { story, network, print } = this.#options;
    print(`${story.name} in ${network.protocol}: ${story.about}`);
    const differs = story.differs[network.protocol];
    if (differs !== undefined) print(noteLine('~', `${network.protocol} differs: ${differs.because}`));
    for (const step of story.steps) {
      if (step.kind === 'say') await this.#say(step);
      else if (step.kind === 'deliver') await this.#deliver(step.order, step.place);
      else if (step.kind === 'change') await this.#change(step);
      else await this.#books(step.but[network.protocol] ?? step.books, step.place);
    }
    const end = { file: story.file, line: 1 };
    await this.#deliver('in_order', end);
    await this.#books(differs?.books ?? story.books, end);
    for (const [life, expected] of Object.entries({ ...story.transactions, ...differs?.transactions })) {
      await this.#transaction(life, expected, end);
    }
    return { failures: this.#failures, messageCount: this.#messageCount };
  }

  async #say(step: SayStep): Promise<void> {
    const { network, print } = this.#options;
    const instead = step.instead[network.protocol];
    if (instead !== undefined) print(noteLine('~', `instead: ${instead.because}`));
    const say = sayOf(step, network);
    if (say === null) return;
    const life = this.#lifeOf(step);
    const answer = await life.play(say, async (message) => {
      if (step.isDelayed && !message.isQuestion) {
        this.#held.push({ life: step.life, message, times: step.times });
        return null;
      }
      return this.#send(step.life, message, step.times, step.place);
    });
    // Another word in its place is answered in another way.
    const expected = step.but[network.protocol] ?? (instead === undefined ? step.expect : null);
    if (expected !== null && answer !== null) this.#compare(answer, expected, step.place);
    if (expected !== null && answer === null) this.#fail(step.place, 'expected an answer, but the step is delayed');
  }

  async #change({ card, change }: ChangeStep): Promise<void> {
    const { ledger, print } = this.#options;
    await ledger.change(this.#account, card, change);
    print(noteLine('~', `${changeText(card, change)}, in force on every engine`));
  }

  #lifeOf({ life: name, opens, card, channel, merchant }: SayStep): Life {
    const known = this.#lives.get(name);
    if (known !== undefined && !opens) return known;
    const { network } = this.#options;
    const { cards, currency } = this.#account;
    const life = network.open({ card: cards[card]!, channel, merchant, currency });
    this.#lives.set(name, life);
    return life;
  }

  /** Sends it so many times at once: every answer must be that of the first. */
  async #send(life: string, message: Message, times: number, place: Place): Promise<Answer> {
    const beganMs = performance.now();
    const answers = await Promise.all(Array.from({ length: times }, () => this.#decided(message)));
    const answer = answers[0]!;
    this.#messageCount += times;
    const atMs = beganMs - this.#startedMs;
    const durationMs = performance.now() - beganMs;
    this.#options.print(messageLine({ atMs, durationMs, life, message, answer, times }));
    const other = answers.find(({ repeatable }) => repeatable !== answer.repeatable);
    if (other !== undefined) {
      this.#fail(place, `one message has two answers: ${answer.repeatable} and ${other.repeatable}`);
    }
    if (!message.isQuestion && answer.status !== 200) {
      this.#fail(place, `${message.title} was not taken: ${answer.status} ${answer.words}`);
    }
    return answer;
  }

  /** A 503 is no decision and is not remembered, so the message is sent again, as processors do. */
  async #decided(message: Message): Promise<Answer> {
    for (const waitMs of repeatWaitsMs) {
      const answer = await message.send();
      if (answer.status !== 503) return answer;
      this.#messageCount++;
      this.#options.print(noteLine('~', `${message.title}: ${answer.status} ${answer.words}; it is sent again`));
      await delay(waitMs);
    }
    return message.send();
  }

  async #deliver(order: DeliverOrder, place: Place): Promise<void> {
    const held = this.#held.splice(0);
    if (order === 'reversed') held.reverse();
    if (order === 'shuffled') {
      for (let index = held.length - 1; index > 0; index--) {
        const other = this.#random.below(index + 1);
        [held[index], held[other]] = [held[other]!, held[index]!];
      }
    }
    for (const { life, message, times } of held) await this.#send(life, message, times, place);
  }

  #compare(answer: Answer, expected: ExpectedAnswer, place: Place): void {
    const { network } = this.#options;
    const wrong: string[] = [];
    if (answer.approved === undefined && expected.status === undefined) {
      if (answer.status === 200)
        this.#options.print(noteLine('~', `${network.protocol} reports this and asks nothing`));
      else wrong.push('expected a decision');
    }
    if (expected.approved !== undefined && answer.approved !== undefined && answer.approved !== expected.approved) {
      wrong.push(`expected ${expected.approved ? 'an approval' : 'a decline'}`);
    }
    if (expected.reason !== undefined && answer.approved !== undefined && !network.isReason(answer, expected.reason)) {
      wrong.push(`expected the reason ${expected.reason}`);
    }
    for (const [name, actual] of [
      ['status', answer.status],
      ['amount', answer.approvedMinor],
      ['available', answer.availableMinor],
    ] as const) {
      // A given account had other funds than the story's.
      const asIf = name === 'available' ? this.#before.available - this.#options.story.fundsMinor : 0;
      const wanted = expected[name] === undefined ? undefined : expected[name] + asIf;
      if (wanted === undefined || wanted === actual) continue;
      if (actual !== undefined) wrong.push(`expected ${name} ${wanted}, got ${actual}`);
      else this.#options.print(noteLine('~', `${network.protocol} does not say ${name}`));
    }
    if (wrong.length > 0) this.#fail(place, `${wrong.join('; ')}: the answer was ${answer.status} ${answer.words}`);
  }

  async #books(expected: ExpectedBooks, place: Place): Promise<void> {
    const now = await this.#options.ledger.books(this.#account);
    const before = this.#before;
    const moved = { held: now.held - before.held, posted: now.posted - before.posted };
    const shown = `held ${money(moved.held)}  posted ${money(moved.posted)}  available ${money(now.available)}`;
    this.#options.print(noteLine('=', `books  ${shown}`));
    for (const name of ['held', 'posted'] as const) {
      if (moved[name] !== expected[name]) {
        this.#fail(place, `books: expected ${name} ${money(expected[name])}, got ${money(moved[name])}`);
      }
    }
    if (now.funds !== before.funds) this.#fail(place, `books: funds moved from ${before.funds} to ${now.funds}`);
    if (now.funds !== now.available + now.held + now.posted) {
      this.#fail(place, `books: funds ${now.funds} are not available + held + posted: ${JSON.stringify(now)}`);
    }
  }

  async #transaction(name: string, expected: ExpectedTransaction, place: Place): Promise<void> {
    const id = this.#lives.get(name)?.transactionId;
    if (id === undefined) return;
    const { ledger, print } = this.#options;
    const giveUpAtMs = performance.now() + settledMsMax;
    let actual = await ledger.transaction(this.#account, id);
    while (actual !== undefined && textOf(actual) !== textOf(expected) && performance.now() < giveUpAtMs) {
      await delay(settledLookMs);
      actual = await ledger.transaction(this.#account, id);
    }
    if (actual === undefined) return print(noteLine('~', `${name}: transactions of a given account are not read`));
    print(noteLine('=', `${name}  ${textOf(actual)}`));
    if (textOf(actual) !== textOf(expected)) {
      this.#fail(place, `transaction ${name} (${id}): expected ${textOf(expected)}, got ${textOf(actual)}`);
    }
  }

  #fail({ file, line }: Place, what: string): void {
    this.#failures.push(`${file}:${line}: ${what}`);
    this.#options.print(noteLine('✗', `${file}:${line}: ${what}`));
  }
}

function textOf(of: ExpectedTransaction | null): string {
  if (of === null) return 'no transaction';
  return `${of.status} held ${money(of.held)} posted ${money(of.posted)} refunded ${money(of.refunded)}`;
}
