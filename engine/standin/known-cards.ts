/**
 * Cards as the front knows them, for the stand-in rule alone: those that lookups brought, and as the feed has changed
 * them since. What is not here is not known, and gets no stand-in. Partitions have memory of their own, which nothing
 * can read while their thread is away.
 */
import { statusNamed } from '../core/accounts.js';
import { CardType, cardTypeNamed } from '../core/card-types.js';
import { packLetters } from '../core/codes.js';
import type { FeedEntry } from '../core/feed.js';
import type { AccountRow, CardRow, PartitionRows, UserRow } from '../core/partition-rows.js';
import type { RecordOwner } from '../core/record.js';
import { compileRules } from '../core/rules.js';
import type { StandInCard } from '../core/stand-in.js';
import { zoneNamed } from '../core/window.js';

/** Of each kind: some 50 MB of this thread's memory when full. The one that came first leaves. */
export const knownCardsMax = 131_072;

type KnownAccount = Pick<AccountRow, 'number' | 'version' | 'status' | 'currency' | 'timeZone' | 'limits'>;

/** What is known of a card, and whose it is. */
export interface KnownCard extends StandInCard {
  readonly owner: RecordOwner;
}

export class KnownCards {
  readonly #max: number;
  /** By token. */
  readonly #cards = new Map<string, CardRow>();
  /** By number. */
  readonly #users = new Map<number, UserRow>();
  readonly #accounts = new Map<number, KnownAccount>();

  constructor(max = knownCardsMax) {
    this.#max = max;
  }

  get size(): number {
    return this.#cards.size;
  }

  /** Rows that a lookup has read. No change has overtaken them: see LookupGuard. */
  take({ accounts = [], users = [], cards = [] }: PartitionRows): void {
    for (const { number, version, status, currency, timeZone, limits } of accounts) {
      this.#put(this.#accounts, number, { number, version, status, currency, timeZone, limits });
    }
    for (const user of users) this.#put(this.#users, user.number, user);
    for (const card of cards) this.#put(this.#cards, card.token, card);
  }

  #put<Key, Row extends { readonly version: number }>(rows: Map<Key, Row>, key: Key, row: Row): void {
    const known = rows.get(key);
    if (known !== undefined && known.version > row.version) return;
    rows.set(key, row);
    if (rows.size <= this.#max) return;
    const [oldest] = rows.keys();
    rows.delete(oldest!);
  }

  /** The feed has brought a change: it counts here before any partition has it. */
  changed({ topic, payload }: FeedEntry): void {
    const { number, version, limits } = payload;
    const status = statusNamed(payload.status);
    if (topic === 'card') {
      const { token, expiresDay, spendNumber = number, accountNumber, userNumber } = payload;
      if (!this.#cards.has(token)) return;
      const type = cardTypeNamed(payload.type);
      const row = { token, number, version, status, expiresDay, type, spendNumber, limits, accountNumber, userNumber };
      this.#put(this.#cards, token, row);
    } else if (topic === 'user') {
      if (this.#users.has(number)) this.#put(this.#users, number, { number, version, status, limits });
    } else {
      const known = this.#accounts.get(number);
      if (known === undefined) return;
      this.#put(this.#accounts, number, { ...known, version, status, timeZone: payload.timeZone, limits });
    }
  }

  /** The card as it is known now; null where something of it is not known. */
  find(token: string, nowMs: number): KnownCard | null {
    const card = this.#cards.get(token);
    if (card === undefined) return null;
    const user = this.#users.get(card.userNumber);
    const account = this.#accounts.get(card.accountNumber);
    if (user === undefined || account === undefined) return null;
    const { number, status, type = CardType.virtual, expiresDay, version, spendNumber = number } = card;
    return {
      ...{ token, status, type, expiresDay },
      userStatus: user.status,
      accountStatus: account.status,
      currency: packLetters(account.currency),
      day: zoneNamed(account.timeZone).dayOf(nowMs),
      cardRules: compileRules(card.limits),
      userRules: compileRules(user.limits),
      accountRules: compileRules(account.limits),
      owner: {
        accountNumber: account.number,
        cardNumber: number,
        cardSpend: spendNumber,
        userNumber: user.number,
        profileVersion: version,
      },
    };
  }
}
