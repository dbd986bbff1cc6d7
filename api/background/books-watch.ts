/**
 * Walks all accounts again and again and holds their books against their postings, so that an alert says when books do
 * not balance. One API at a time does it, in small steps with long rests.
 */
import { randomUUID } from 'node:crypto';
import type { Log } from '../../platform/log.js';
import { seeRunbook } from '../../platform/runbook.js';
import type { BooksCheck, CheckedAccount } from '../stores/books-check.js';
import type { BooksStateStore } from '../stores/books-state.js';
import { Rounds } from './rounds.js';

/** A step of accounts with a thousand transactions each takes some 50 ms. */
const stepMax = 50;
/** A step rests so many times as long as it took: one connection is busy for 5 % of the time at most. */
const restFactor = 20;
const restMsMin = 200;
/** After a failure, and while another API does it. */
const retryMs = 10_000;
export const booksLeaseMs = 60_000;
/** Between two walks. */
const passRestMs = 60_000;
/** Most accounts that are remembered as wrong; the alert is for the first. */
const wrongMax = 1000;

export interface BooksWatchParts {
  readonly check: Pick<BooksCheck, 'next'>;
  /** For every API. */
  readonly state: Pick<BooksStateStore, 'found' | 'walked'>;
  /** Takes or renews the lease. @returns whether this process has it */
  lease(holder: string): Promise<boolean>;
  readonly log: Pick<Log, 'error' | 'debug'>;
}

export class BooksWatch {
  readonly #parts: BooksWatchParts;
  readonly #holder = randomUUID();
  readonly #rounds = new Rounds(() => this.step());
  readonly #wrong = new Map<number, string>();
  #after = 0;
  #step = stepMax;
  /** Of the walk that is under way. */
  #walked = 0;
  #unchecked = 0;
  /** What every API knows; null: not known here. */
  #reported: string | null = null;
  // For the metrics.
  checked = 0;
  passes = 0;
  failures = 0;

  constructor(parts: BooksWatchParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#rounds.start(retryMs);
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  /** Accounts whose books did not balance at their last check. */
  get wrong(): readonly string[] {
    return [...this.#wrong.values()];
  }

  /** @returns how long to rest, in ms */
  async step(): Promise<number> {
    const startedMs = performance.now();
    try {
      if (!(await this.#parts.lease(this.#holder))) {
        // What this process found is out of date: the other one finds it again.
        this.#wrong.clear();
        this.#begin();
        this.#reported = null;
        return retryMs;
      }
      const accounts = await this.#parts.check.next(this.#after, this.#step);
      for (const account of accounts) this.#note(account);
      this.checked += accounts.length;
      this.#walked += accounts.length;
      await this.#report();
      this.#step = Math.min(stepMax, this.#step * 2);
      const last = accounts.at(-1);
      if (last !== undefined) {
        this.#after = last.id;
        return Math.max(restMsMin, (performance.now() - startedMs) * restFactor);
      }
      await this.#parts.state.walked(this.#walked, this.#unchecked);
      this.#begin();
      this.passes++;
      return passRestMs;
    } catch (error) {
      this.failures++;
      this.#parts.log.debug({ error: (error as Error).message }, 'the books could not be checked');
      // One account may have more transactions than a statement can add up: after it the walk goes on.
      if (this.#step === 1) {
        this.#after++;
        this.#unchecked++;
      }
      this.#step = Math.max(1, Math.floor(this.#step / 2));
      return retryMs;
    }
  }

  #begin(): void {
    this.#after = 0;
    this.#walked = 0;
    this.#unchecked = 0;
  }

  async #report(): Promise<void> {
    const [first = null] = this.#wrong.values();
    const report = `${this.#wrong.size} ${first}`;
    if (report === this.#reported) return;
    await this.#parts.state.found(this.#wrong.size, first);
    this.#reported = report;
  }

  #note({ id, publicId, balances }: CheckedAccount): void {
    if (balances) {
      this.#wrong.delete(id);
      return;
    }
    if (this.#wrong.has(id) || this.#wrong.size >= wrongMax) return;
    this.#wrong.set(id, publicId);
    this.#parts.log.error({ account: publicId }, `the books of an account do not balance: ${seeRunbook('audit')}`);
  }
}
