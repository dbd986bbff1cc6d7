/**
 * Rows that the front sends into a partition: from lookups, from a restart, and from the feed.
 */
import type { Status } from './accounts.js';
import type { CardType, CardUse } from './card-types.js';
import type { MessageType } from './codes.js';
import type { Level } from './limit-names.js';
import type { RollingRow } from './rolling.js';
import type { Limits } from './rules.js';
import type { TransactionState } from './transactions.js';

/** Amounts are integer minor units below 2^53, days are days since 1970-01-01, instants milliseconds since 1970. */
export interface PartitionRows {
  /**
   * Everything up to this sequence of the partition's journal is in the rows: read with them, or before. Absent at a
   * start, when nothing has left memory yet.
   */
  readonly settled?: number;
  readonly accounts?: readonly AccountRow[];
  readonly users?: readonly UserRow[];
  readonly cards?: readonly CardRow[];
  readonly spend?: readonly SpendRow[];
  /** Entities of the cards and transactions here that Postgres has no spend row of: they have never spent. */
  readonly unspent?: readonly SpendEntity[];
  readonly transactions?: readonly TransactionRow[];
  /**
   * Only at a start: taken over after the journal's tail, whose own transactions come first where there is little room.
   */
  readonly tombstones?: readonly TransactionRow[];
  /** Records of settled questions, base64, by the id they answer. */
  readonly records?: readonly RecordRow[];
  /** Hashes of settled ids, newest first. */
  readonly seen?: SeenRows;
  /** Everything that is to be remembered is in memory: an unknown id is new. */
  readonly seenComplete?: boolean;
  /** From the feed: replaces what is in memory and older, and opens nothing. */
  readonly changes?: ChangedRows;
}

export interface ChangedRows {
  readonly accounts: readonly ChangedAccount[];
  readonly users: readonly UserRow[];
  readonly cards: readonly ChangedCard[];
}
/** Without the books, which are the partition's own. */
export type ChangedAccount = Omit<AccountRow, 'currency' | 'funds' | 'held' | 'posted'>;
/** Without account and user: a card in memory knows the slots of its own. */
export type ChangedCard = Omit<CardRow, 'accountNumber' | 'userNumber'>;

/** Base64 of two big-endian arrays of one length, as Postgres sends them: f64 sequences and 64-bit hashes. */
export interface SeenRows {
  readonly sequences: string;
  readonly hashes: string;
}

export interface AccountRow {
  readonly number: number;
  /** Brought for ledger commands, which name the account by it. */
  readonly publicId?: string;
  readonly version: number;
  readonly status: Status;
  readonly currency: string;
  readonly timeZone: string;
  readonly partialApproval: boolean;
  readonly limits: Limits | null;
  readonly funds: number;
  readonly held: number;
  readonly posted: number;
}

export interface UserRow {
  readonly number: number;
  readonly version: number;
  readonly status: Status;
  readonly limits: Limits | null;
}

export interface CardRow {
  readonly token: string;
  readonly number: number;
  readonly version: number;
  readonly status: Status;
  readonly expiresDay: number;
  /** Absent: virtual. */
  readonly type?: CardType;
  /** See CardProfile; absent: its own number. */
  readonly spendNumber?: number;
  readonly limits: Limits | null;
  readonly accountNumber: number;
  readonly userNumber: number;
}

export interface SpendEntity {
  readonly level: Level;
  /** Of a user: with the currency, see userSpendNumber. */
  readonly number: number;
}

export interface SpendRow extends SpendEntity {
  readonly day: number;
  readonly amounts: readonly number[];
  readonly counts: readonly number[];
  /** Of a card that is not virtual, or that replaced such a one. */
  readonly use?: CardUse | null;
  /** Of an entity that rolling windows count. */
  readonly rolling?: RollingRow | null;
}

export interface TransactionRow extends TransactionState {
  /** Its name: see transaction_name() in the database. */
  readonly id: string;
  /** The id that was asked for, when it is a later message's and not the transaction's own; else the same as `id`. */
  readonly askedId: string;
  /** Of a later message: its type. */
  readonly askedType?: MessageType | null;
}

export interface RecordRow {
  readonly id: string;
  readonly sequence: number;
  readonly record: string;
}
