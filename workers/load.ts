/**
 * What the loader brings from Postgres: cards with their users and accounts, chains, and records of settled questions.
 * JSON between the front and its own worker threads. Owned state that is in memory already is newer and stays.
 */
import type { LRUCache } from 'lru-cache';
import type { Cards } from '../engine/core/cards.js';
import { packLetters } from '../engine/core/codes.js';
import type { Books } from '../engine/core/decide.js';
import type { ChangedRows, LoadMessage, SeenRows } from '../engine/core/load-message.js';

import type { Seen } from '../engine/core/seen.js';
import { sharedRules } from './shared-rules.js';

/** A record that the loader brought. */
export interface Recalled {
  readonly sequence: number;
  readonly bytes: Uint8Array;
}

/** Remembers settled ids; what is in memory already is newer and stays. */
export function loadSeen(rows: SeenRows, seen: Seen): void {
  const sequences = Buffer.from(rows.sequences, 'base64');
  const hashes = Buffer.from(rows.hashes, 'base64');
  for (let offset = 0; offset < sequences.length; offset += 8) {
    seen.loadSettled(hashes.readUInt32BE(offset + 4), hashes.readUInt32BE(offset), sequences.readDoubleBE(offset));
  }
}

/** Text as the byte readers see it: one character per UTF-8 byte. Recalled records, roots and accounts are keyed by it. */
export function byteKey(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

function slotOf(cards: Cards, token: Uint8Array): number {
  return cards.find(token, 0, token.length);
}

/**
 * Takes over what changed, where it is in memory and older. What is not in memory is read when it is needed, and the
 * front sees to it that nobody reads it as it was before (Loader.changed).
 */
export function applyChanges(changes: ChangedRows, books: Books, cards: Cards): void {
  const { accounts, users } = books;
  for (const row of changes.accounts) {
    const slot = accounts.find(row.number);
    if (slot < 0) continue;
    accounts.describe(slot, row.version, row.status, row.timeZone, row.partialApproval, sharedRules(row.limits));
  }
  for (const row of changes.users) {
    const slot = users.find(row.number);
    if (slot >= 0) users.describe(slot, row.version, row.status, sharedRules(row.limits));
  }
  for (const { token, number, version, status, expiresDay, limits } of changes.cards) {
    const slot = slotOf(cards, Buffer.from(token, 'utf8'));
    if (slot < 0 || cards.version(slot) >= version) continue;
    cards.describe(slot, number, version, status, expiresDay, sharedRules(limits));
  }
}

/** Takes over what was loaded. A store that is full takes no more: the message that wanted it is declined by the front. */
export function applyLoad(
  message: LoadMessage,
  books: Books,
  cards: Cards,
  recalled: LRUCache<string, Recalled>,
  roots: LRUCache<string, string>,
  accountIds: LRUCache<string, number>,
  shippedSequence: number,
): void {
  const { accounts, users, spend, chains } = books;
  for (const row of message.accounts ?? []) {
    let slot = accounts.find(row.number);
    if (slot < 0) slot = accounts.open(row.number, packLetters(row.currency), row.funds, row.held, row.posted);
    if (slot < 0) continue;
    if (row.publicId !== undefined) accountIds.set(byteKey(row.publicId), slot);
    accounts.describe(slot, row.version, row.status, row.timeZone, row.partialApproval, sharedRules(row.limits));
  }
  for (const row of message.users ?? []) {
    let slot = users.find(row.number);
    if (slot < 0) slot = users.open(row.number);
    if (slot >= 0) users.describe(slot, row.version, row.status, sharedRules(row.limits));
  }
  for (const row of message.spend ?? []) spend.load(row.level, row.number, row.day, row.amounts, row.counts);
  for (const row of message.cards ?? []) {
    const account = accounts.find(row.accountNumber);
    const user = users.find(row.userNumber);
    if (account < 0 || user < 0) continue;
    const token = Buffer.from(row.token, 'utf8');
    let slot = slotOf(cards, token);
    if (slot < 0) slot = cards.open(token);
    else if (cards.version(slot) > row.version) continue;
    cards.describe(slot, row.number, row.version, row.status, row.expiresDay, sharedRules(row.limits));
    cards.assign(slot, account, user);
  }
  for (const row of message.chains ?? []) {
    const id = Buffer.from(row.id, 'utf8');
    if (row.askedId !== row.id) roots.set(byteKey(row.askedId), row.id);
    if (chains.find(id, 0, id.length) >= 0 || !chains.makeRoom(shippedSequence)) continue;
    chains.open(id, 0, id.length, row, 0);
  }
  for (const { id, sequence, record } of message.records ?? []) {
    recalled.set(byteKey(id), { sequence, bytes: Buffer.from(record, 'base64') });
  }
}
