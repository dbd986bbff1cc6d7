/**
 * Settled transactions, the same to routes wherever they are read from. Companies read from Postgres
 * (postgres-transactions.ts), and so do personal customers without a MongoDB. Else their history is in MongoDB
 * (mongo-history.ts).
 */
import type { Principal } from '../auth/principal.js';

export const transactionStatuses = ['pending', 'completed', 'reversed', 'expired', 'declined'] as const;
/** Messages that open a transaction. */
export const transactionTypes = ['authorization', 'advice', 'clearing', 'refund'] as const;
export type TransactionType = (typeof transactionTypes)[number];
export type TransactionStatus = (typeof transactionStatuses)[number];

export interface Merchant {
  readonly id: string | null;
  readonly name: string | null;
  readonly mcc: string | null;
  readonly country: string | null;
}

/** Ids are public, amounts in minor units, times RFC 3339 with microseconds. */
export interface Transaction {
  readonly transactionId: string;
  readonly cardId: string;
  readonly accountId: string;
  readonly type: string;
  readonly status: TransactionStatus;
  readonly currency: string;
  readonly amount: number;
  readonly approvedAmount: number;
  readonly heldAmount: number;
  readonly postedAmount: number;
  readonly refundedAmount: number;
  readonly reason: string;
  /** Null: nothing more to say. */
  readonly detail: string | null;
  readonly merchant: Merchant;
  readonly channel: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** One message of a transaction. */
export interface TransactionEvent {
  readonly type: string;
  readonly amount: number | null;
  readonly approvedAmount: number;
  readonly approved: boolean;
  readonly reason: string;
  readonly at: string;
  readonly requestId: string;
}

/** What the messages of one type of a transaction come to. */
export interface EventTotal {
  readonly type: string;
  readonly count: number;
  /** Sum over the approved ones; never above 2^53 − 1, where that many were increased and reversed in turn. */
  readonly approvedAmount: number;
}

export interface TransactionWithEvents extends Transaction {
  /** Oldest first, from the opening message on, at most eventsShown. */
  readonly events: readonly TransactionEvent[];
  /** Of the whole transaction. */
  readonly eventCount: number;
  readonly eventTotals: readonly EventTotal[];
}

/** A transaction has a handful of messages; neither an answer nor a document grows with one that has thousands. */
export const eventsShown = 50;

/**
 * Behind how many of its events a page of a transaction begins. An id may be opened again, so its beginning is named.
 */
export interface EventPage {
  readonly after: readonly [createdAt: string, seen: number] | null;
  readonly limit: number;
}

export interface EventStore {
  /** Oldest first. Null when the caller has no such transaction. */
  events(principal: Principal, transactionId: string, page: EventPage): Promise<TransactionEvents | null>;
}

export interface TransactionEvents {
  /** When the transaction was opened. */
  readonly createdAt: string;
  readonly events: readonly TransactionEvent[];
}

export interface TransactionFilter {
  /** Public ids. */
  readonly card?: string;
  readonly account?: string;
  readonly status?: TransactionStatus;
  readonly type?: TransactionType;
  /** Name of a reason. */
  readonly reason?: string;
  /** Part of the merchant's name, in either case. */
  readonly merchant?: string;
  /** Opened at or after, and before. */
  readonly from?: string;
  readonly to?: string;
  /** Asked amount, inclusive. */
  readonly min?: number;
  readonly max?: number;
}

/** What a list is sorted by, newest first. */
export type TransactionKey = readonly [createdAt: string, transactionId: string];

export interface TransactionPage {
  /** Sort key of the last transaction of the page before. */
  readonly after: TransactionKey | null;
  /** The last one to look at: see horizon(). */
  readonly until?: TransactionKey | null;
  readonly limit: number;
}

/** Whether no index finds what a filter asks for, so that every transaction in between is read and judged. */
export function isSearch({ account, status, type, reason, merchant, min, max }: TransactionFilter): boolean {
  return [account, status, type, reason, merchant, min, max].some((value) => value !== undefined);
}

export type SpendingKey = 'day' | 'card' | 'mcc';

export interface Spending {
  /** A day (YYYY-MM-DD, in the account's zone), a card's public id, or an MCC; '' where a merchant named none. */
  readonly key: string;
  readonly currency: string;
  /** What is held and posted, refunds taken off. */
  readonly amount: number;
  /** Transactions that count. */
  readonly count: number;
}

/** Most groups of one report: a year of days, and far more cards or categories than a person reads. */
export const spendingGroupsMax = 1_000;

export interface TransactionStore {
  /**
   * How far a search may look: the transaction that is `count` further on than `after`, whatever else the filter asks
   * for. Null: there are fewer. Without this bound a search that finds little reads everything a tenant has.
   */
  horizon(
    principal: Principal,
    filter: TransactionFilter,
    after: TransactionKey | null,
    count: number,
  ): Promise<TransactionKey | null>;
  /** Newest first. */
  list(principal: Principal, filter: TransactionFilter, page: TransactionPage): Promise<readonly Transaction[]>;
  /** Null also when it is another owner's. */
  find(principal: Principal, transactionId: string): Promise<TransactionWithEvents | null>;
  /** What was spent from `from` until before `to`: approved and not revoked, days in order, else most first. */
  spending(principal: Principal, by: SpendingKey, from: string, to: string): Promise<readonly Spending[]>;
}

/** The store that a caller's transactions are read from. */
export class Transactions {
  readonly #company: TransactionStore;
  readonly #personal: TransactionStore;
  /** The settled ledger, which has every event of everyone. */
  readonly ledger: EventStore;

  constructor(company: TransactionStore, personal: TransactionStore, ledger: EventStore) {
    this.#company = company;
    this.#personal = personal;
    this.ledger = ledger;
  }

  of({ kind }: Principal): TransactionStore {
    return kind === 'personal' ? this.#personal : this.#company;
  }
}
