/**
 * Makes sure that a personal customer is in the personal store. Registration writes Postgres first, whose unique index
 * decides about the e-mail address; the profile follows, and whatever kept it from following is repaired here when the
 * customer comes back. The same repair takes over customers that a tool seeded, and fills a store that is new.
 */
import { LRUCache } from 'lru-cache';
import type { Database } from '../postgres.js';
import { cardsFromPostgres, profileFromPostgres } from './projection.js';
import type { PersonalStore } from './store.js';

/** Users known to be complete, so that only the first request of each costs a look. */
const knownMax = 50_000;
const adoptedPage = 200;

export class PersonalCustomers {
  readonly #store: PersonalStore;
  readonly #database: Database;
  readonly #known = new LRUCache<string, true>({ max: knownMax });
  /** One repair per user at a time in this process; several processes repeat each other harmlessly. */
  readonly #running = new Map<string, Promise<void>>();
  repairs = 0;

  constructor(store: PersonalStore, database: Database) {
    this.#store = store;
    this.#database = database;
  }

  /** Resolves once profile and cards of the user are in the store. Throws DatabaseUnavailable when it cannot be told. */
  async ensure(userId: string): Promise<void> {
    if (this.#known.has(userId)) return;
    const running = this.#running.get(userId);
    if (running !== undefined) return running;
    const started = this.#check(userId).finally(() => this.#running.delete(userId));
    this.#running.set(userId, started);
    return started;
  }

  async #check(userId: string): Promise<void> {
    if ((await this.#store.profile(userId)) === null) await this.#repair(userId);
    this.#known.set(userId, true);
  }

  async #repair(userId: string): Promise<void> {
    const profile = await profileFromPostgres(this.#database, userId);
    if (profile === null) return;
    let afterNumber = 0;
    for (;;) {
      const page = await cardsFromPostgres(this.#database, userId, afterNumber, adoptedPage);
      for (const { number, card } of page) {
        await this.#store.addCard(card, true);
        afterNumber = number;
      }
      if (page.length < adoptedPage) break;
    }
    // Last: the profile says that the cards are there. A crash before it begins anew.
    await this.#store.addProfile(profile);
    this.repairs++;
  }
}
