/**
 * Packs rows for a partition into lane entries by their bytes. A lane entry larger than a slab could never leave, and
 * everything behind it would wait for ever. Each row alone fits (limits.ts asserts it), and changes keep their order.
 */

import { packLetters } from '../core/codes.js';
import { changedRow, type FeedEntry, type FeedTopic } from '../core/feed.js';
import { Level, levels } from '../core/limit-names.js';
import { laneEntryBytesMax } from '../core/limits.js';
import type { PartitionRows } from '../core/partition-rows.js';
import { userSpendNumber } from '../core/spend-key.js';

/** Changes per lane entry, however short they are: a millisecond of the partition. */
const changesMax = 200;
/** What stands around them. */
const wordsBytes = 128;

export interface PackedRows {
  readonly bytes: Buffer;
  /** Changes, or cards. */
  readonly count: number;
}

/** Changes of one partition, as messages with `changes`. */
export function packChanges(entries: readonly FeedEntry[]): PackedRows[] {
  const packed: PackedRows[] = [];
  let rows: Record<FeedTopic, string[]> = { account: [], user: [], card: [] };
  let size = 0;
  let count = 0;
  const close = () => {
    const { account, user, card } = rows;
    const lists = `"accounts":[${account.join()}],"users":[${user.join()}],"cards":[${card.join()}]`;
    packed.push({ bytes: Buffer.from(`{"changes":{${lists}}}`), count });
    rows = { account: [], user: [], card: [] };
    size = 0;
    count = 0;
  };
  for (const entry of entries) {
    const text = JSON.stringify(changedRow(entry));
    const bytes = Buffer.byteLength(text) + 1;
    if (count > 0 && (count === changesMax || size + bytes > laneEntryBytesMax - wordsBytes)) close();
    rows[entry.topic].push(text);
    size += bytes;
    count++;
  }
  if (count > 0) close();
  return packed;
}

/**
 * Rows of a lookup, as complete messages of the same shape. A card or transaction comes together with its account, its
 * user and the spend rows of each, because the partition takes a missing row for an absent one. Nearly always that is
 * one message.
 */
export function packRows(message: PartitionRows): PackedRows[] {
  const { accounts: _a, users: _u, spend: _s, cards: _c, transactions: _h, records: _r, ...said } = message;
  const words = JSON.stringify(said).slice(1, -1);
  const packed: PackedRows[] = [];
  const texts = new Map<unknown, string>();
  let part = new Map<RowList, Set<unknown>>();
  let size = 0;
  const begin = () => {
    part = new Map(rowLists.filter((list) => message[list] !== undefined).map((list) => [list, new Set<unknown>()]));
    size = 0;
  };
  const close = () => {
    const lists = [...part].map(([list, rows]) => `"${list}":[${[...rows].map((row) => texts.get(row)).join()}]`);
    const text = [words, ...lists].filter((one) => one !== '').join();
    packed.push({ bytes: Buffer.from(`{${text}}`), count: part.get('cards')?.size ?? 0 });
  };
  const sizeOf = (row: unknown) => {
    const text = texts.get(row) ?? JSON.stringify(row);
    texts.set(row, text);
    return Buffer.byteLength(text) + 1;
  };
  begin();
  for (const rows of unitsOf(message)) {
    const fresh = rows.filter(([list, row]) => !part.get(list)!.has(row));
    const added = fresh.reduce((sum, [, row]) => sum + sizeOf(row), 0);
    const isFull = size > 0 && size + added > laneEntryBytesMax - words.length - wordsBytes;
    if (isFull) {
      close();
      begin();
    }
    for (const [list, row] of isFull ? rows : fresh) {
      part.get(list)!.add(row);
      size += sizeOf(row);
    }
  }
  close();
  return packed;
}

const rowLists = ['accounts', 'users', 'spend', 'cards', 'transactions', 'records'] as const;
type RowList = (typeof rowLists)[number];
type ListedRow = readonly [list: RowList, row: unknown];

/**
 * Rows that belong together: of each card and transaction, and each row that belongs to none; one that comes twice
 * counts once.
 */
function* unitsOf(message: PartitionRows): Generator<readonly ListedRow[]> {
  const accounts = new Map((message.accounts ?? []).map((row) => [row.number, row]));
  const users = new Map((message.users ?? []).map((row) => [row.number, row]));
  const spend = new Map((message.spend ?? []).map((row) => [row.number * levels.length + row.level, row]));
  const alone = new Map<unknown, ListedRow>();
  for (const row of accounts.values()) alone.set(row, ['accounts', row]);
  for (const row of users.values()) alone.set(row, ['users', row]);
  for (const row of spend.values()) alone.set(row, ['spend', row]);
  const together = (row: ListedRow, card: number, user: number, account: number): readonly ListedRow[] => {
    const accountRow = accounts.get(account);
    const userSpend = accountRow === undefined ? 0 : userSpendNumber(user, packLetters(accountRow.currency));
    const spent = [
      card * levels.length + Level.card,
      userSpend * levels.length + Level.user,
      account * levels.length + Level.account,
    ];
    const rows: ListedRow[] = [
      ['accounts', accountRow],
      ['users', users.get(user)],
      ...spent.map((key): ListedRow => ['spend', spend.get(key)]),
      row,
    ];
    const found = rows.filter(([, one]) => one !== undefined);
    for (const [, one] of found) alone.delete(one);
    return found;
  };
  for (const row of message.cards ?? [])
    yield together(['cards', row], row.spendNumber ?? row.number, row.userNumber, row.accountNumber);
  for (const row of message.transactions ?? []) {
    yield together(['transactions', row], row.cardSpend ?? row.cardNumber, row.userNumber, row.accountNumber);
  }
  for (const row of alone.values()) yield [row];
  for (const row of message.records ?? []) yield [['records', row]];
}
