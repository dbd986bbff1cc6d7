/**
 * Publishes changes of personal cards: copies a card from the personal store to the rows that the engine reads, then
 * takes the `pending` mark away. The request that changed the card does it at once (`publish`); the loop here does what a
 * crash or an outage in between left over. Every step may be repeated and may run in several processes: the rows are
 * guarded by the version, and so is the mark.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../log.js';
import { DatabaseUnavailable } from '../stores/database-errors.js';
import { projectCard } from '../stores/personal/projection.js';
import type { PersonalCard, PersonalStore } from '../stores/personal/store.js';
import type { Database } from '../stores/postgres.js';

const lookEveryMs = 1_000;
/** After an outage thousands may wait: a page at a time, without a pause between pages. */
const pageMax = 100;
const reportedMax = 1_000;
/** A stop waits for the operation that runs, which a store that stands still never ends. */
const stopWaitMs = 1_000;

export class PersonalRelay {
  readonly #store: PersonalStore;
  readonly #database: Database;
  readonly #log: Log;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | null = null;
  #isStopped = true;
  readonly #reported = new Set<string>();
  /** Counters and gauges, read by the metrics. */
  published = 0;
  repaired = 0;
  pending = 0;

  constructor(store: PersonalStore, database: Database, log: Log) {
    this.#store = store;
    this.#database = database;
    this.#log = log;
  }

  start(): void {
    this.#isStopped = false;
    this.#schedule();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await Promise.race([this.#running, delay(stopWaitMs, undefined, { ref: false })]);
  }

  /**
   * Copies this version of the card to where the engine reads it, and takes its mark away.
   * @returns the number of the card's row
   */
  async publish(card: PersonalCard): Promise<number> {
    const number = await projectCard(this.#database, card);
    // Nothing to project it onto is a damaged database: the mark stays, so that the card is not forgotten.
    if (number === null) throw new Error(`card ${card.cardId}: its user or account is not in Postgres`);
    this.published++;
    await this.#store.clearPending(card.cardId, card.version);
    return number;
  }

  /**
   * Publishes what waits. @returns how many cards were published
   * Throws DatabaseUnavailable when either side is away: then there is no point in going on.
   */
  async repair(): Promise<number> {
    let count = 0;
    for (;;) {
      const cards = await this.#store.pendingCards(pageMax);
      this.pending = cards.length;
      let failures = 0;
      for (const card of cards) {
        try {
          await this.publish(card);
          count++;
        } catch (error) {
          if (error instanceof DatabaseUnavailable) throw error;
          failures++;
          this.#report(card.cardId, error as Error);
          // A page full of such cards must not keep the next page from being looked at.
          await this.#store.postpone(card.cardId);
        }
        this.pending--;
      }
      this.pending += failures;
      this.repaired += cards.length - failures;
      if (cards.length < pageMax || failures > 0) return count;
    }
  }

  /** A card that can never be published is looked at every second, and reported once. */
  #report(cardId: string, error: Error): void {
    if (this.#reported.has(cardId) || this.#reported.size >= reportedMax) return;
    this.#reported.add(cardId);
    this.#log.error({ card: cardId, error: error.message }, 'a personal card cannot be published');
  }

  #schedule(): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#look().finally(() => {
        this.#running = null;
        this.#schedule();
      });
    }, lookEveryMs);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    try {
      await this.repair();
    } catch (error) {
      // Their own watchers say loudly when a database is away.
      this.#log.debug({ error: (error as Error).message }, 'the personal relay could not publish');
    }
  }
}
