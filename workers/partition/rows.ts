/**
 * What a lookup brings from Postgres: cards with their users and accounts, transactions, and records of settled
 * questions. JSON between the front and its own worker threads. Owned state that is in memory already is newer and
 * stays.
 */
import type { LRUCache } from 'lru-cache';
import type { Books } from '../../engine/core/books.js';
import type { Cards } from '../../engine/core/cards.js';
import { MessageType, packLetters } from '../../engine/core/codes.js';
import type { Level } from '../../engine/core/limit-names.js';
import type { ChangedRows, PartitionRows, SeenRows, SpendRow } from '../../engine/core/partition-rows.js';
import type { Seen } from '../../engine/core/seen.js';
import type { Recalled } from './answer-memory.js';
import { byteKey } from './byte-text.js';
import { sharedRules } from './shared-rules.js';
import type { NamedRoot } from './transaction-finder.js';

/** Remembers settled ids; what is in memory already is newer and stays. */
export function takeSeen(rows: SeenRows, seen: Seen): void {
  const sequences = Buffer.from(rows.sequences, 'base64');
  const hashes = Buffer.from(rows.hashes, 'base64');
  for (let offset = 0; offset < sequences.length; offset += 8) {
    seen.loadSettled(hashes.readUInt32BE(offset + 4), hashes.readUInt32BE(offset), sequences.readDoubleBE(offset));
  }
}

function slotOf(cards: Cards, token: Uint8Array): number {
  return cards.find(token, 0, token.length);
}

/**
 * Takes over what changed, where it is in memory and older. A row that is not in memory is read when a message needs
 * it. LookupGuard.changed makes the front read a row again that changed during its lookup.
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
  for (const { token, number, version, status, expiresDay, limits, type, spendNumber } of changes.cards) {
    const slot = slotOf(cards, Buffer.from(token, 'utf8'));
    if (slot < 0 || cards.version(slot) >= version) continue;
    cards.describe(slot, number, version, status, expiresDay, sharedRules(limits), type, spendNumber);
  }
}

/** What did not get into memory, counted. For the metrics, and for the log. */
export class RowCounts {
  /** Rows that found their store full of what Postgres does not have yet: the message that wanted them waits. */
  fullAccounts = 0;
  fullSpend = 0;
  fullTransactions = 0;
  /** Rows that were read before Postgres had what memory had of them: they are read again. */
  outdated = 0;
}

/** What rows are taken into. */
export interface RowTarget {
  readonly books: Books;
  readonly cards: Cards;
  readonly recalled: LRUCache<string, Recalled>;
  readonly roots: LRUCache<string, NamedRoot>;
  /** Numbers of accounts by public id. */
  readonly accountNumbers: LRUCache<string, number>;
  readonly counts: RowCounts;
}

/** Takes over what a lookup brought. What finds no place, or is out of date, is left out: its message asks again. */
export function takeRows(message: PartitionRows, target: RowTarget, evictableSequence: number): void {
  const { books, cards, recalled, roots, accountNumbers, counts } = target;
  const { accounts, users, transactions } = books;
  const settled = message.settled ?? Number.POSITIVE_INFINITY;
  for (const row of message.accounts ?? []) {
    if (row.publicId !== undefined) accountNumbers.set(byteKey(row.publicId), row.number);
    let slot = accounts.find(row.number);
    if (slot < 0) {
      if (accounts.isOutdated(row.number, settled)) {
        counts.outdated++;
        continue;
      }
      if (!accounts.makeRoom(evictableSequence)) {
        counts.fullAccounts++;
        continue;
      }
      slot = accounts.open(row.number, packLetters(row.currency), row.funds, row.held, row.posted);
    }
    accounts.describe(slot, row.version, row.status, row.timeZone, row.partialApproval, sharedRules(row.limits));
  }
  for (const row of message.users ?? []) {
    let slot = users.find(row.number);
    if (slot < 0) slot = users.open(row.number);
    users.describe(slot, row.version, row.status, sharedRules(row.limits));
  }
  takeSpend(message, books, settled, evictableSequence, counts);
  for (const row of message.cards ?? []) {
    const account = accounts.find(row.accountNumber);
    const user = users.find(row.userNumber);
    if (account < 0 || user < 0) continue;
    const token = Buffer.from(row.token, 'utf8');
    let slot = slotOf(cards, token);
    if (slot < 0) slot = cards.open(token);
    else if (cards.version(slot) > row.version) continue;
    const { number, version, status, expiresDay, limits, type, spendNumber } = row;
    cards.describe(slot, number, version, status, expiresDay, sharedRules(limits), type, spendNumber);
    cards.assign(slot, account, user, row.accountNumber, row.userNumber);
  }
  for (const row of message.transactions ?? []) {
    const id = Buffer.from(row.id, 'utf8');
    if (row.askedId !== row.id) {
      roots.set(byteKey(row.askedId), { id: row.id, isClearing: row.askedType === MessageType.clearing });
    }
    if (transactions.find(id, 0, id.length) >= 0) continue;
    if (transactions.isOutdated(id, 0, id.length, settled)) counts.outdated++;
    else if (!transactions.makeRoom(evictableSequence)) counts.fullTransactions++;
    else transactions.open(id, 0, id.length, row, 0);
  }
  for (const { id, sequence, record } of message.records ?? []) {
    recalled.set(byteKey(id), { sequence, bytes: Buffer.from(record, 'base64') });
  }
}

function takeSpend(
  { spend: rows = [], unspent = [] }: PartitionRows,
  { spend }: Books,
  settled: number,
  evictableSequence: number,
  counts: RowCounts,
): void {
  const take = (level: Level, number: number, row: SpendRow | null) => {
    if (spend.find(level, number) >= 0) return;
    if (spend.isOutdated(level, number, settled)) {
      counts.outdated++;
      return;
    }
    if (!spend.makeRoom(1, evictableSequence)) counts.fullSpend++;
    // Also without room: that marks the row as one that is to be looked up.
    if (row !== null) spend.load(level, number, row.day, row.amounts, row.counts, row.use, row.rolling);
    else spend.load(level, number, 0, [], []);
  };
  for (const row of rows) take(row.level, row.number, row);
  // They have never spent: memory says so without a row, but where it is in doubt.
  for (const { level, number } of unspent) if (!spend.isKnown(level, number)) take(level, number, null);
}
