/**
 * Ends the lifetimes of one partition's transactions. Postgres names those that are due, page by page until none is
 * left, and each goes into the lane like a message. A pause after each page leaves the lane to the messages. The
 * partition decides whether something is due, because Postgres may be behind it.
 */

import type { Log } from '../../platform/log.js';
import type { PartitionProgress } from '../exchange/progress.js';
import { EntryKind } from '../exchange/slab.js';
import type { Database } from '../lookups/database.js';
import type { LapsePlace } from '../lookups/lapsed.js';
import type { Lane } from './lane.js';
import type { LapseClock } from './lapse-clock.js';

/** A tenth of a slab. With the pause: at most 20,000 a second. */
const pageRows = 200;
const pagePauseMs = 10;

export interface LapseSweepParts {
  readonly partition: number;
  readonly database: Pick<Database, 'lapsed'>;
  readonly lane: Pick<Lane, 'claim' | 'isReady'>;
  readonly progress: Pick<PartitionProgress, 'durableSequence' | 'settledSequence'>;
  readonly log: Pick<Log, 'info'>;
  readonly pause: (delayMs: number) => Promise<void>;
}

export class LapseSweep {
  readonly #parts: LapseSweepParts;
  #isRunning = false;
  /** The last sweep sent something that Postgres may not have settled. */
  #hasSent = false;
  /** Postgres names the same transactions again until it has settled this record. */
  #settledFrom = 0;

  constructor(parts: LapseSweepParts) {
    this.#parts = parts;
  }

  /**
   * Sends what is due. Does nothing while an earlier sweep runs or is not settled yet. Throws when Postgres does not
   * answer.
   */
  async run(clock: LapseClock): Promise<void> {
    const { progress } = this.#parts;
    // Asked in any case: it compares clocks from one call to the next.
    const nowMs = clock.nowMs();
    if (this.#isRunning) return;
    if (this.#hasSent) {
      // What the last sweep sent was decided in the pause between two calls.
      this.#settledFrom = progress.durableSequence;
      this.#hasSent = false;
    }
    if (progress.settledSequence < this.#settledFrom) return;
    this.#isRunning = true;
    try {
      await this.#sweep(clock, nowMs);
    } finally {
      this.#isRunning = false;
    }
  }

  async #sweep(clock: LapseClock, nowMs: number): Promise<void> {
    const { partition, database, log, pause } = this.#parts;
    let sent = 0;
    let after: LapsePlace | null = null;
    do {
      if (sent > 0) await pause(pagePauseMs);
      const page = await database.lapsed(partition, nowMs, after, pageRows);
      const byMs = clock.earlier(nowMs, page.databaseMs);
      for (const name of page.names) {
        if (!(await this.#send(name, byMs))) return;
        this.#hasSent = true;
        sent++;
      }
      after = page.last;
    } while (after !== null);
    if (sent > 0) log.info({ transactions: sent, by: new Date(nowMs) }, 'lifetimes of transactions ended');
  }

  /** @returns false when the partition takes nothing now: the next sweep names the same ones */
  async #send(name: string, byMs: number): Promise<boolean> {
    const { lane, pause } = this.#parts;
    const bytes = Buffer.from(name, 'utf8');
    while (lane.isReady) {
      if (lane.claim(EntryKind.expiry, 0, byMs, bytes, null)) return true;
      await pause(pagePauseMs);
    }
    return false;
  }
}
