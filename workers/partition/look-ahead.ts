/**
 * Reads a few messages ahead of the one that is decided, and touches what each will need: entries and rows stand
 * anywhere in hundreds of megabytes, and the processor waits for each that is in no cache. Touched one message after
 * the other, step by step, it waits for many of them at once; the decisions then find them near. (Group prefetching:
 * Chen, Ailamaki, Gibbons, Mowry, "Improving hash join performance through prefetching", 2004.)
 *
 * Only a hint: nothing is decided by what is read here, and what changes meanwhile is read again.
 */

import type { Books } from '../../engine/core/books.js';
import type { Cards } from '../../engine/core/cards.js';
import { hash64, hashLow } from '../../engine/core/hash.js';
import { Request } from '../../engine/core/request.js';
import type { Seen } from '../../engine/core/seen.js';
import { EntryKind, type Slab } from '../../engine/exchange/slab.js';
import type { Codec } from '../../engine/protocols/codec.js';
import type { Refusal } from '../../engine/protocols/refusal.js';

/** As many as the processor can wait for at once, and few enough that the first is still near when its turn comes. */
export const messagesAhead = 8;

const none = -1;

export class LookAhead {
  readonly #books: Books;
  readonly #cards: Cards;
  readonly #seen: Seen;
  readonly #codecs: readonly (Codec | undefined)[];
  readonly #requests = Array.from({ length: messagesAhead }, () => new Request());
  readonly #refusals = Array.from({ length: messagesAhead }, (): Refusal | null => null);
  readonly #idHashes = new Int32Array(messagesAhead);
  readonly #cardHashes = new Int32Array(messagesAhead);
  readonly #slots = new Int32Array(messagesAhead);
  /** Of what was touched: means nothing, and keeps the compiler from leaving the reading out as useless. */
  sum = 0;

  /** @param codecs indexed by Protocol */
  constructor(books: Books, cards: Cards, seen: Seen, codecs: readonly (Codec | undefined)[]) {
    this.#books = books;
    this.#cards = cards;
    this.#seen = seen;
    this.#codecs = codecs;
  }

  /** The message at that entry, once it was read. */
  request(index: number): Request {
    return this.#requests[index % messagesAhead]!;
  }
  /** Why there is nothing to decide, or null. */
  refusal(index: number): Refusal | null {
    return this.#refusals[index % messagesAhead]!;
  }

  /**
   * Reads the messages from entry `first`, a multiple of messagesAhead, on. What they say depends on their bytes alone.
   */
  read(slab: Slab, first: number): void {
    const count = Math.min(messagesAhead, slab.count - first);
    for (let index = 0; index < count; index++) {
      const entry = first + index;
      const kind = slab.kind[entry]!;
      const request = this.#requests[index]!;
      // A codec clears the request before it reads into it.
      if (kind < EntryKind.rows) {
        this.#refusals[index] = this.#codecs[kind]!.read(request, slab.request, slab.start[entry]!, slab.end[entry]!);
      } else {
        request.reset(slab.request, 0);
        this.#refusals[index] = null;
      }
    }
    this.#touch(count);
  }

  #touch(count: number): void {
    const requests = this.#requests;
    const { accounts, users, spend, transactions } = this.#books;
    const cards = this.#cards;
    const seen = this.#seen;
    const slots = this.#slots;
    let sum = 0;
    for (let index = 0; index < count; index++) {
      const { source, id, card } = requests[index]!;
      hash64(source, id.start, id.end);
      this.#idHashes[index] = hashLow;
      hash64(source, card.start, card.end);
      this.#cardHashes[index] = hashLow;
    }
    for (let index = 0; index < count; index++) {
      const idHash = this.#idHashes[index]!;
      sum += seen.glance(idHash) + transactions.glance(idHash) + cards.glance(this.#cardHashes[index]!);
    }
    for (let index = 0; index < count; index++) {
      const slot = cards.candidate(this.#cardHashes[index]!);
      slots[index] = slot;
      if (slot !== none) sum += cards.account(slot);
    }
    for (let index = 0; index < count; index++) {
      const slot = slots[index]!;
      if (slot !== none) sum += accounts.spendSlot(cards.account(slot)) + users.spendSlot(cards.user(slot));
    }
    for (let index = 0; index < count; index++) {
      const slot = slots[index]!;
      if (slot === none) continue;
      const card = cards.spendSlot(slot);
      const user = users.spendSlot(cards.user(slot));
      const account = accounts.spendSlot(cards.account(slot));
      if (card !== none) sum += spend.glance(card);
      if (user !== none) sum += spend.glance(user);
      if (account !== none) sum += spend.glance(account);
    }
    this.sum = sum | 0;
  }
}
