/**
 * A load of whole lives at a rate, with faults: reports that come late or in another order, messages that come twice,
 * answers that are lost. Every life ends, so each account must end with nothing held and the sum of what was posted.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Latency } from '../load/latency.js';
import { Random, Skew } from '../load/random.js';
import { Schedule } from '../load/schedule.js';
import type { Ledger, OpenedAccount } from './ledger.js';
import type { Answer, Life, Message, Network } from './networks/network.js';
import type { Channel, Merchant, Say, Verb } from './story.js';
import { money } from './trace.js';

export interface LoadPlan {
  readonly ratePerSecond: number;
  readonly durationMs: number;
  readonly accountCount: number;
  readonly cardsPerAccount: number;
  /** 0: all cards alike; below 1: some far more than others. */
  readonly skew: number;
  /** Shares of messages or lives, 0 to 1. */
  readonly faults: Readonly<Record<Fault, number>>;
  readonly seed: number;
}

export const faultNames = ['late', 'repeated', 'reordered', 'lost'] as const;
export type Fault = (typeof faultNames)[number];

export interface LoadResult {
  readonly lines: readonly string[];
  readonly failures: readonly string[];
  readonly lifeCount: number;
  readonly faultCounts: Readonly<Record<Fault, number>>;
}

/** Enough for any load that a machine of two cores plays, so that no life is declined for its size alone. */
const fundsMinor = 1_000_000_000;
const amountMinorMax = 8_000;
/** Lives at once: beyond it an arrival waits and counts with its wait. */
const livesMax = 500;
const lateMsMax = 1_500;
/** A message without a decision is sent again after these waits. */
const repeatWaitsMs = [20, 50, 100, 200, 400, 800, 1600, 3200];
const failuresShown = 20;

const merchants: readonly (readonly [Merchant, Channel])[] = [
  [{ id: 'SHOP00000000042', name: 'Corner Grocer', mcc: '5411', country: 'US' }, 'chip'],
  [{ id: 'DINER-12', name: 'Blue Diner', mcc: '5812', country: 'US' }, 'contactless'],
  [{ id: 'STREAM-1', name: 'Stream Plus', mcc: '4899', country: 'US' }, 'ecommerce'],
  [{ id: 'RIDE-55', name: 'City Rides', mcc: '4121', country: 'US' }, 'ecommerce'],
];

/** What follows a purchase of 100 parts: verbs and how many parts of its amount each moves. */
const endings: readonly (readonly (readonly [verb: Verb, parts: number | null, isFinal?: boolean])[])[] = [
  [['clear', 100]],
  [['clear', 100]],
  [['clear', 120]],
  [
    ['clear', 40, false],
    ['clear', 60],
  ],
  [
    ['increment', 30],
    ['clear', 130],
  ],
  [
    ['reverse', 40],
    ['clear', 60],
  ],
  [['reverse', null]],
  [['expire', null]],
  [
    ['clear', 100],
    ['refund', 25],
  ],
];

interface LoadCard {
  readonly account: OpenedAccount;
  readonly token: string;
}

/** Prepares accounts, plays, waits for everything that is late, and compares the books. */
export async function playLoad(network: Network, ledger: Ledger, plan: LoadPlan): Promise<LoadResult> {
  const accounts: OpenedAccount[] = [];
  const names = Array.from({ length: plan.cardsPerAccount }, (_, index) => `card${index + 1}`);
  const cards = Object.fromEntries(names.map((name) => [name, { status: 'active', limits: null } as const]));
  for (let count = 0; count < plan.accountCount; count++) accounts.push(await ledger.open(fundsMinor, cards));
  const run = new LoadRun(network, plan, accounts);
  await run.play();
  await run.checkBooks(ledger);
  return run.result();
}

class LoadRun {
  readonly #network: Network;
  readonly #plan: LoadPlan;
  readonly #accounts: readonly OpenedAccount[];
  readonly #cards: readonly LoadCard[];
  readonly #random: Random;
  readonly #skew: Skew;
  readonly #postedMinor = new Map<string, number>();
  readonly #faultCounts: Record<Fault, number> = { late: 0, repeated: 0, reordered: 0, lost: 0 };
  readonly #answers = new Map<string, number>();
  readonly #latency = new Latency();
  readonly #failures: string[] = [];
  readonly #endings: typeof endings;
  readonly #running = new Set<Promise<void>>();
  #lifeCount = 0;
  #messageCount = 0;

  constructor(network: Network, plan: LoadPlan, accounts: readonly OpenedAccount[]) {
    this.#network = network;
    this.#plan = plan;
    this.#accounts = accounts;
    this.#cards = accounts.flatMap((account) => Object.values(account.cards).map((token) => ({ account, token })));
    this.#random = new Random(plan.seed, 0);
    this.#endings = endings.filter((ending) =>
      ending.every(([verb, , isFinal = true]) => network.refuses(say(verb, 1, { isFinal })) === null),
    );
    this.#skew = new Skew(this.#cards.length, plan.skew);
  }

  async play(): Promise<void> {
    const { ratePerSecond, durationMs, seed } = this.#plan;
    const schedule = new Schedule('poisson', ratePerSecond, new Random(seed, 1), 0);
    const startMs = performance.now();
    for (; schedule.nextMs < durationMs; schedule.advance()) {
      const dueMs = startMs + schedule.nextMs;
      const waitMs = dueMs - performance.now();
      if (waitMs > 0) await delay(waitMs);
      while (this.#running.size >= livesMax) await Promise.race(this.#running);
      const life: Promise<void> = this.#life(dueMs)
        .catch((error: unknown) => this.#fail(String(error)))
        .finally(() => this.#running.delete(life));
      this.#running.add(life);
    }
    await Promise.all(this.#running);
  }

  async checkBooks(ledger: Ledger): Promise<void> {
    for (const account of this.#accounts) {
      const { funds, available, held, posted } = await ledger.books(account);
      const expected = this.#postedMinor.get(account.id) ?? 0;
      if (held !== 0) this.#fail(`account ${account.id} holds ${money(held)}, and every life has ended`);
      if (posted !== expected) {
        this.#fail(`account ${account.id} has posted ${money(posted)}; the lives come to ${money(expected)}`);
      }
      if (funds !== available + held + posted) this.#fail(`account ${account.id}: funds are not what its parts are`);
    }
  }

  result(): LoadResult {
    const { p50Ms, p99Ms, maxMs } = this.#latency.summary();
    const faults = faultNames.map((name) => `${name} ${this.#faultCounts[name]}`).join('  ');
    const answers = [...this.#answers].sort().map(([words, count]) => `  ${String(count).padStart(8)}  ${words}`);
    return {
      lifeCount: this.#lifeCount,
      faultCounts: this.#faultCounts,
      failures: this.#failures,
      lines: [
        `${this.#lifeCount} lives, ${this.#messageCount} messages on ${this.#cards.length} cards ` +
          `in ${this.#network.protocol}`,
        `first answers, from when they were due: p50 ${p50Ms} ms  p99 ${p99Ms} ms  max ${maxMs} ms`,
        `faults: ${faults}`,
        'answers to questions:',
        ...answers,
        ...this.#failures.slice(0, failuresShown).map((text) => `✗ ${text}`),
        `books of ${this.#accounts.length} accounts: ${this.#failures.length === 0 ? 'as expected' : 'see above'}`,
      ],
    };
  }

  #has(fault: Fault): boolean {
    const happens = this.#random.unit() < this.#plan.faults[fault];
    if (happens) this.#faultCounts[fault]++;
    return happens;
  }

  async #life(dueMs: number): Promise<void> {
    this.#lifeCount++;
    const { account, token: card } = this.#cards[this.#skew.pick(this.#random)]!;
    const [merchant, channel] = merchants[this.#random.below(merchants.length)]!;
    const ending = this.#endings[this.#random.below(this.#endings.length)]!;
    const amountMinor = 100 + this.#random.below(amountMinorMax);
    const isReordered = this.#has('reordered');
    const isLost = this.#has('lost');
    const reports: Message[] = [];
    const life = this.#network.open({ card, merchant, channel, currency: account.currency });
    let isAsked = false;
    const deliver = async (message: Message) => {
      const answered = await this.#deliver(message, isReordered ? reports : null);
      if (!isAsked) this.#latency.record((performance.now() - dueMs) * 1000);
      isAsked = true;
      return answered;
    };
    const asked = say('authorize', amountMinor, { outcome: isLost ? 'lost' : 'taken' });
    const answer = await life.play(asked, deliver);
    if (answer?.approved === true && !isLost) {
      const posted = await this.#follow(life, ending, amountMinor, deliver);
      this.#postedMinor.set(account.id, (this.#postedMinor.get(account.id) ?? 0) + posted);
    }
    // Each report waits for the one before it, so their order is what was shuffled.
    for (let index = reports.length - 1; index > 0; index--) {
      const other = this.#random.below(index + 1);
      [reports[index], reports[other]] = [reports[other]!, reports[index]!];
    }
    for (const report of reports) await this.#decided(report);
  }

  /** @returns what the life posts, in minor units */
  async #follow(
    life: Life,
    ending: (typeof endings)[number],
    amountMinor: number,
    deliver: (message: Message) => Promise<Answer | null>,
  ): Promise<number> {
    let postedMinor = 0;
    for (const [verb, parts, isFinal] of ending) {
      const moved = parts === null ? null : Math.max(1, Math.floor((amountMinor * parts) / 100));
      await life.play(say(verb, verb === 'expire' ? null : moved, { isFinal: isFinal ?? true }), deliver);
      if (verb === 'clear') postedMinor += moved ?? 0;
      if (verb === 'refund') postedMinor -= moved ?? 0;
    }
    return postedMinor;
  }

  async #deliver(message: Message, reports: Message[] | null): Promise<Answer | null> {
    if (!message.isQuestion && reports !== null) {
      reports.push(message);
      return null;
    }
    if (!message.isQuestion && this.#has('late')) await delay(this.#random.below(lateMsMax));
    const isRepeated = this.#has('repeated');
    const [answer, again] = await Promise.all([this.#decided(message), isRepeated ? this.#decided(message) : null]);
    if (again !== null && again.repeatable !== answer.repeatable) {
      this.#fail(`${message.title} has two answers: ${answer.repeatable} and ${again.repeatable}`);
    }
    if (message.isQuestion) {
      const key = `${answer.status} ${answer.words}`;
      this.#answers.set(key, (this.#answers.get(key) ?? 0) + 1);
    }
    return answer;
  }

  async #decided(message: Message): Promise<Answer> {
    this.#messageCount++;
    let answer = await message.send();
    for (const waitMs of repeatWaitsMs) {
      if (answer.status !== 503) break;
      await delay(waitMs);
      this.#messageCount++;
      answer = await message.send();
    }
    const isTaken = answer.status === 200 || answer.approved !== undefined;
    if (!isTaken) this.#fail(`${message.title} was not taken: ${answer.status} ${answer.words}`);
    return answer;
  }

  #fail(text: string): void {
    this.#failures.push(text);
  }
}

function say(verb: Verb, amountMinor: number | null, more: Partial<Say> = {}): Say {
  return { verb, amountMinor, isFinal: true, isPartialAllowed: false, outcome: 'taken', ...more };
}
