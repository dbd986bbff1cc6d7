/**
 * What the loader brings from Postgres: cards with their users and accounts, chains, and records of settled questions.
 * JSON between the front and its own worker threads. Owned state that is in memory already is newer and stays.
 */
import type { LRUCache } from 'lru-cache';
import type { Status } from '../engine/core/accounts.js';
import { type ChainStatus, packLetters } from '../engine/core/codes.js';
import type { Books } from '../engine/core/decide.js';
import type { Level } from '../engine/core/limit-names.js';
import type { CardProfile } from '../engine/core/profile.js';
import { compileRules, type Limits } from '../engine/core/rules.js';

/** Amounts are integer minor units below 2^53, days are days since 1970-01-01, instants milliseconds since 1970. */
export interface LoadMessage {
  readonly accounts?: readonly AccountRow[];
  readonly users?: readonly UserRow[];
  readonly cards?: readonly CardRow[];
  readonly spend?: readonly SpendRow[];
  readonly chains?: readonly ChainRow[];
  /** Records of settled questions, base64, by the id they answer. */
  readonly records?: readonly RecordRow[];
}

export interface AccountRow {
  readonly number: number;
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
  readonly limits: Limits | null;
  readonly accountNumber: number;
  readonly userNumber: number;
}

export interface SpendRow {
  readonly level: Level;
  readonly number: number;
  readonly day: number;
  readonly amounts: readonly number[];
  readonly counts: readonly number[];
}

export interface ChainRow {
  readonly id: string;
  readonly accountNumber: number;
  readonly cardNumber: number;
  readonly userNumber: number;
  readonly status: ChainStatus;
  readonly held: number;
  readonly posted: number;
  readonly refunded: number;
  readonly firstDay: number;
  readonly newestDay: number;
  readonly newestAmount: number;
  readonly expiresAtMs: number;
}

export interface RecordRow {
  readonly id: string;
  readonly record: string;
}

/** Text as the byte readers see it: one character per UTF-8 byte. Cards and recalled records are keyed by it. */
export function byteKey(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** Takes over what was loaded. A store that is full takes no more: the message that wanted it is declined by the front. */
export function applyLoad(
  message: LoadMessage,
  books: Books,
  cards: LRUCache<string, CardProfile>,
  recalled: LRUCache<string, Uint8Array>,
  shippedSequence: number,
): void {
  const { accounts, users, spend, chains } = books;
  for (const row of message.accounts ?? []) {
    let slot = accounts.find(row.number);
    if (slot < 0) slot = accounts.open(row.number, packLetters(row.currency), row.funds, row.held, row.posted);
    if (slot < 0) continue;
    accounts.describe(slot, row.version, row.status, row.timeZone, row.partialApproval, compileRules(row.limits));
  }
  for (const row of message.users ?? []) {
    let slot = users.find(row.number);
    if (slot < 0) slot = users.open(row.number);
    if (slot >= 0) users.describe(slot, row.version, row.status, compileRules(row.limits));
  }
  for (const row of message.spend ?? []) spend.load(row.level, row.number, row.day, row.amounts, row.counts);
  for (const row of message.cards ?? []) {
    const account = accounts.find(row.accountNumber);
    const user = users.find(row.userNumber);
    if (account < 0 || user < 0) continue;
    const key = byteKey(row.token);
    const known = cards.peek(key);
    if (known !== undefined && known.version > row.version) continue;
    cards.set(key, {
      number: row.number,
      version: row.version,
      status: row.status,
      expiresDay: row.expiresDay,
      rules: compileRules(row.limits),
      account,
      user,
    });
  }
  for (const row of message.chains ?? []) {
    const id = Buffer.from(row.id, 'utf8');
    if (chains.find(id, 0, id.length) >= 0 || !chains.makeRoom(shippedSequence)) continue;
    chains.open(id, 0, id.length, row, 0);
  }
  for (const row of message.records ?? []) recalled.set(byteKey(row.id), Buffer.from(row.record, 'base64'));
}
