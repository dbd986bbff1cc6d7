/**
 * Cards through the cache: one group per owner, which every change of one of their cards forgets. Members of a company
 * see a part of it that is not worth keeping, and go to the store.
 */
import type { Acting, Keeper, Principal } from '../auth/principal.js';
import type {
  AddOutcome,
  Card,
  CardBook,
  CardChange,
  CardPage,
  ChangeOutcome,
  FoundCards,
  NewCard,
  Published,
  Replacement,
  ReplaceOutcome,
} from '../stores/cards.js';
import { scopeOf } from '../stores/tenancy.js';
import type { Cache } from './cache.js';
import type { Invalidations } from './invalidations.js';
import { isCard, isFoundCards, orNull } from './shapes.js';

export class CachedCards implements CardBook {
  readonly #inner: CardBook;
  readonly #cache: Cache;
  readonly #invalidations: Invalidations;

  constructor(inner: CardBook, cache: Cache, invalidations: Invalidations) {
    this.#inner = inner;
    this.#cache = cache;
    this.#invalidations = invalidations;
  }

  async list(principal: Keeper, page: CardPage): Promise<FoundCards> {
    const group = ownerGroupOf(principal);
    // First pages are what apps ask for again and again; deeper and filtered ones are read once.
    const isFiltered = Object.values(page.filter ?? {}).some((value) => value !== undefined);
    if (group === null || page.after !== null || isFiltered) return this.#inner.list(principal, page);
    return this.#cache.get('card', group, `page ${page.limit}`, isFoundCards, () => this.#inner.list(principal, page));
  }

  async find(principal: Keeper, cardId: string): Promise<Card | null> {
    const group = ownerGroupOf(principal);
    if (group === null) return this.#inner.find(principal, cardId);
    return this.#cache.get('card', group, `card ${cardId}`, isCardOrNull, () => this.#inner.find(principal, cardId));
  }

  async add(principal: Acting<Principal>, card: NewCard): Promise<AddOutcome> {
    const group = groupOf(principal);
    const outcome = await this.#cache.change(group, () => this.#inner.add(principal, card));
    // The feed tells the other processes of changes; of a new card, which is not in the feed, this does.
    await this.#invalidations.send(group);
    return outcome;
  }

  change(
    principal: Acting<Keeper>,
    cardId: string,
    change: CardChange,
    version: number | null,
  ): Promise<ChangeOutcome> {
    return this.#cache.change(groupOf(principal), () => this.#inner.change(principal, cardId, change, version));
  }

  async replace(principal: Acting<Keeper>, cardId: string, replacement: Replacement): Promise<ReplaceOutcome> {
    const group = groupOf(principal);
    const outcome = await this.#cache.change(group, () => this.#inner.replace(principal, cardId, replacement));
    await this.#invalidations.send(group);
    return outcome;
  }

  published(principal: Keeper, cardId: string): Promise<Published | null> {
    return this.#inner.published(principal, cardId);
  }
}

const isCardOrNull = orNull(isCard);

function groupOf(principal: Keeper): string {
  return `cards:${scopeOf(principal).ownerKey}`;
}

/** Null for those who see only a part of the owner's cards. */
function ownerGroupOf(principal: Keeper): string | null {
  return scopeOf(principal).onlyUser === null ? groupOf(principal) : null;
}
