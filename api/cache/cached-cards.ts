/**
 * Cards through the cache: one group per owner, which every change of one of their cards forgets. Members of a company
 * see a part of it that is not worth keeping, and go to the store.
 */
import type { Principal } from '../http/principal.js';
import type { CardChange } from '../stores/card-rules.js';
import type { AddOutcome, Card, CardBook, NewCard, Published } from '../stores/cards.js';
import type { CardPage, ChangeOutcome } from '../stores/personal/store.js';
import { scopeOf } from '../stores/tenancy.js';
import type { Cache } from './cache.js';
import type { Invalidations } from './invalidations.js';

export class CachedCards implements CardBook {
  readonly #inner: CardBook;
  readonly #cache: Cache;
  readonly #invalidations: Invalidations;

  constructor(inner: CardBook, cache: Cache, invalidations: Invalidations) {
    this.#inner = inner;
    this.#cache = cache;
    this.#invalidations = invalidations;
  }

  async list(principal: Principal, page: CardPage): Promise<readonly Card[]> {
    const group = groupOf(principal);
    // First pages are what apps ask for again and again; deeper ones are read once.
    if (group === null || page.after !== null) return this.#inner.list(principal, page);
    return this.#cache.get('card', group, `page ${page.limit}`, () => this.#inner.list(principal, page));
  }

  async find(principal: Principal, cardId: string): Promise<Card | null> {
    const group = groupOf(principal);
    if (group === null) return this.#inner.find(principal, cardId);
    return this.#cache.get('card', group, `card ${cardId}`, () => this.#inner.find(principal, cardId));
  }

  add(principal: Principal, card: NewCard): Promise<AddOutcome> {
    return this.#change(principal, () => this.#inner.add(principal, card));
  }

  change(
    principal: Principal,
    cardId: string,
    change: CardChange,
    version: number | null,
  ): Promise<ChangeOutcome & { readonly published?: Published }> {
    const ask = () => this.#inner.change(principal, cardId, change, version);
    // Whoever asks whether a change is in force changes nothing.
    return Object.keys(change).length === 0 ? ask() : this.#change(principal, ask);
  }

  numberOf(principal: Principal, cardId: string): Promise<number | null> {
    return this.#inner.numberOf(principal, cardId);
  }

  async #change<T>(principal: Principal, work: () => Promise<T>): Promise<T> {
    const group = `cards:${scopeOf(principal).ownerKey}`;
    const outcome = await this.#cache.change(group, work);
    // Triggers tell of changes in Postgres; of new cards, and of those in MongoDB, this does.
    await this.#invalidations.send(group);
    return outcome;
  }
}

function groupOf(principal: Principal): string | null {
  const { ownerKey, onlyUser } = scopeOf(principal);
  return onlyUser === null ? `cards:${ownerKey}` : null;
}
