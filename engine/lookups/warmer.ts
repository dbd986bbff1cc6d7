/**
 * Warm start: a partition that has just started, or whose worker was replaced, gets the cards that were used last
 * before a message names them. The engine answers from the first moment. Warming only saves the lookup of a card's
 * first message, and yields to lookups that a message waits for.
 *
 * Which cards those are stands in the ledger; behind them come the newest cards, for a database that was just seeded
 * has no decisions. Their profiles come from Redis, as far as it has them, then from Postgres. Their books and windows
 * come from Postgres in either case, for only Postgres has them.
 */

import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '../../platform/log.js';
import type { Lane } from '../ledger/lane.js';
import type { Database } from './database.js';
import type { LookupReads } from './lookup-reads.js';

/** As many as a lookup takes (lookups.ts). */
const cardsPerRead = 128;
/** A few seconds' work; what is used rarely may as well be looked up when it is used. */
const cardsMax = 50_000;
/** Prefetching must not evict cards that are in use. */
const shareMax = 0.5;
const pauseMs = 2;
const busyPauseMs = 20;

export interface WarmPartition {
  readonly partition: number;
  readonly state: string;
  readonly lane: Lane;
}

export class Warmer {
  readonly #database: Pick<Database, 'recentCards'>;
  readonly #reads: Pick<LookupReads, 'warm'>;
  readonly #waiting: () => number;
  readonly #restMs: number;
  readonly #pauseShare: number;
  readonly #limit: number;
  readonly #partitionCount: number;
  readonly #log: Pick<Log, 'info'>;

  /**
   * @param waiting messages that wait for a lookup, or for their partition
   * @param cacheMax cards that a partition has room for, with their accounts
   * @param partitionCount of the engine: an owner's cards belong to one of them
   * @param restMs before the first read: what finds the cards takes a processor for a fraction of a second
   * @param pauseShare the pause behind a read is at least so many times as long as the read was
   */
  constructor(
    database: Pick<Database, 'recentCards'>,
    reads: Pick<LookupReads, 'warm'>,
    waiting: () => number,
    cacheMax: number,
    partitionCount: number,
    log: Pick<Log, 'info'>,
    restMs = 0,
    pauseShare = 0,
  ) {
    this.#database = database;
    this.#reads = reads;
    this.#waiting = waiting;
    this.#limit = Math.min(cardsMax, Math.floor(cacheMax * shareMax));
    this.#partitionCount = partitionCount;
    this.#log = log;
    this.#restMs = restMs;
    this.#pauseShare = pauseShare;
  }

  /** Reads in the background; ends by itself when the partition does, or Postgres is away. Never rejects. */
  async warm(host: WarmPartition): Promise<void> {
    const startedAtMs = performance.now();
    let read = 0;
    try {
      await pause(this.#restMs);
      while (this.#waiting() > 0 && host.state === 'ready') await pause(busyPauseMs);
      if (host.state !== 'ready') return;
      const tokens = await this.#database.recentCards(host.partition, this.#partitionCount, this.#limit);
      while (read < tokens.length && host.state === 'ready') {
        if (this.#waiting() > 0) {
          await pause(busyPauseMs);
          continue;
        }
        const part = tokens.slice(read, read + cardsPerRead);
        const beganMs = performance.now();
        await this.#reads.warm(host, part);
        read += part.length;
        await pause(Math.max(pauseMs, this.#pauseShare * (performance.now() - beganMs)));
      }
    } catch {
      // Cards are then looked up when a message names them.
    }
    if (read === 0) return;
    const ms = Math.round(performance.now() - startedAtMs);
    this.#log.info({ partition: host.partition, cards: read, ms }, 'cards are in memory before they are asked for');
  }
}
