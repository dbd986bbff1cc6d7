/** Personal cards for the routes: from the personal store, published at once to the rows that the engine reads. */
import { LRUCache } from 'lru-cache';
import type { PersonalRelay } from '../../feed/personal-relay.js';
import type { Principal } from '../../http/principal.js';
import type { AccountStore } from '../accounts.js';
import type { CardChange } from '../card-rules.js';
import { type AddOutcome, type Card, type CardBook, cardNumber, type NewCard, type Published } from '../cards.js';
import { DatabaseUnavailable } from '../database-errors.js';
import type { Database } from '../postgres.js';
import { scopeOf } from '../tenancy.js';
import type { PersonalCustomers } from './customers.js';
import type { CardPage, ChangeOutcome, PersonalStore } from './store.js';

/** Numbers never change; 100 bytes each. */
const numbersMax = 50_000;

export class PersonalCards implements CardBook {
  readonly #store: PersonalStore;
  readonly #customers: PersonalCustomers;
  readonly #relay: PersonalRelay;
  readonly #accounts: AccountStore;
  readonly #database: Database;
  /** By user and card: somebody else's card has no number here either. */
  readonly #numbers = new LRUCache<string, number>({ max: numbersMax });

  constructor(
    store: PersonalStore,
    customers: PersonalCustomers,
    relay: PersonalRelay,
    accounts: AccountStore,
    database: Database,
  ) {
    this.#store = store;
    this.#database = database;
    this.#customers = customers;
    this.#relay = relay;
    this.#accounts = accounts;
  }

  async list({ publicId }: Principal, page: CardPage): Promise<readonly Card[]> {
    await this.#customers.ensure(publicId);
    return this.#store.cards(publicId, page);
  }

  async find({ publicId }: Principal, cardId: string): Promise<Card | null> {
    await this.#customers.ensure(publicId);
    return this.#store.card(publicId, cardId);
  }

  async add(principal: Principal, card: NewCard): Promise<AddOutcome> {
    if (card.holderId !== principal.publicId) return { outcome: 'no_holder' };
    const account = await this.#accounts.find(scopeOf(principal), card.accountId);
    if (account === null) return { outcome: 'no_account' };
    if (account.status === 'closed') return { outcome: 'account_closed' };
    await this.#customers.ensure(principal.publicId);
    const { cardId, token, accountId, name, expires, limits } = card;
    const kept = await this.#store.addCard({
      cardId,
      userId: principal.publicId,
      accountId,
      token,
      name,
      status: 'active',
      expires,
      limits,
      version: 1,
      createdAt: new Date().toISOString(),
    });
    // Not before the engine can find it: who has the answer may pay.
    await this.#publish(kept);
    return { outcome: 'added', card: kept };
  }

  async change(
    { publicId }: Principal,
    cardId: string,
    change: CardChange,
    version: number | null,
  ): Promise<ChangeOutcome & { readonly published?: Published }> {
    await this.#customers.ensure(publicId);
    const outcome = await this.#store.changeCard(publicId, cardId, change, version);
    if (outcome.outcome !== 'changed' && outcome.outcome !== 'unchanged') return outcome;
    const { card } = outcome;
    try {
      return { ...outcome, published: { number: await this.#publish(card), version: card.version } };
    } catch (error) {
      // The change is kept and will be published: accepted, and not in force yet.
      if (error instanceof DatabaseUnavailable) return { ...outcome, published: null };
      throw error;
    }
  }

  async numberOf(principal: Principal, cardId: string): Promise<number | null> {
    const key = `${principal.publicId} ${cardId}`;
    const known = this.#numbers.get(key) ?? (await cardNumber(this.#database, scopeOf(principal), cardId));
    if (known !== null) this.#numbers.set(key, known);
    return known;
  }

  async #publish(card: Card): Promise<number> {
    const number = await this.#relay.publish(card);
    this.#numbers.set(`${card.userId} ${card.cardId}`, number);
    return number;
  }
}
