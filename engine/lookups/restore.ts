/** What a partition reads when it starts: the state behind its journal, remembered ids, and cards in use. */
import type postgres from 'postgres';
import { MessageType } from '../core/codes.js';
import type { AccountRow, PartitionRows, SpendRow, TransactionRow, UserRow } from '../core/partition-rows.js';
import { storedUserLevel } from '../core/spend-key.js';
import type { TailKeys } from '../exchange/partition-task.js';
import { spendRows } from './database-accounts.js';
import {
  accountRows,
  readSpend,
  type TransactionJson,
  transactionRow,
  transactionRows,
  userRows,
} from './database-transactions.js';

/** Ids per restore query: bounds the size of one statement and of its answer. */
const restoreKeysMax = 10_000;
/** Tombstones older than the longest life of a hold guard nothing any more; the count bounds a flood of them. */
const tombstonesMax = 100_000;
/**
 * Two numbers of 8 bytes each, in base64, must fit a slab, and a message behind them waits until they are taken over.
 */
const seenChunk = 20_000;
/** How far back a warm start looks for cards in use: a fraction of a second of Postgres. */
const recentEventsMax = 200_000;
/** And for each card that it wants: cards in use have several events. */
const recentEventsPerCard = 10;

/** A stretch of remembered ids for a partition, newest first. */
export interface SeenChunk {
  readonly message: PartitionRows;
  readonly count: number;
  readonly oldestSequence: number;
}

/** What a journal's unsettled tail touches. */
export interface RestoreKeys extends Pick<TailKeys, 'accounts' | 'cards' | 'users' | 'userSpend' | 'transactions'> {
  readonly partition: number;
  readonly holdMs: number;
}

/** The state that a journal's unsettled tail touches, as settled. */
export async function restoreRows(sql: postgres.Sql, keys: RestoreKeys): Promise<PartitionRows> {
  const accounts: AccountRow[] = [];
  for (const part of parts(keys.accounts)) accounts.push(...(await accountRows(sql, part)));
  const users: UserRow[] = [];
  for (const part of parts(keys.users)) users.push(...(await userRows(sql, part)));
  const spend: SpendRow[] = [];
  for (const part of parts(keys.cards)) spend.push(...(await readSpend(sql, spendRows(sql, part, [], []))));
  for (const part of parts(keys.userSpend)) {
    const rows = sql`
      select * from spend_windows where level = ${storedUserLevel} and entity_id = any(${part as number[]}::bigint[])`;
    spend.push(...(await readSpend(sql, rows)));
  }
  for (const part of parts(keys.accounts)) spend.push(...(await readSpend(sql, spendRows(sql, [], [], part))));
  const transactions: TransactionRow[] = [];
  for (const part of parts(keys.transactions)) transactions.push(...(await transactionRows(sql, keys.partition, part)));
  const tombstones = await tombstoneRows(sql, keys.partition, keys.holdMs);
  return { accounts, users, spend, transactions, tombstones };
}

/** The record that was settled under a sequence, byte for byte as a journal had it; null when there is none. */
export async function settledRecord(
  sql: postgres.Sql,
  partition: number,
  sequence: number,
): Promise<Uint8Array | null> {
  const [row] = await sql<{ record: Buffer }[]>`
    select record from transaction_events where partition = ${partition} and sequence = ${sequence}
    union all
    select record from quarantined_records where partition = ${partition} and sequence = ${sequence}`;
  return row?.record ?? null;
}

/** Hashes of settled ids below `beforeSequence`, newest first. */
export async function seenBefore(sql: postgres.Sql, partition: number, beforeSequence: number): Promise<SeenChunk> {
  // One row of bytes: a hundred thousand numbers as text would keep the event loop busy for half a second.
  const [row] = await sql<{ sequences: Buffer | null; hashes: Buffer | null; count: number; oldest: string | null }[]>`
    select count(*)::int as count, min(sequence) as oldest,
      string_agg(float8send(sequence::float8), ''::bytea) as sequences,
      string_agg(int8send(id_hash), ''::bytea) as hashes
    from (
      select sequence, coalesce(id_hash, 0) as id_hash from (
        (select sequence, id_hash from transaction_events
        where partition = ${partition} and sequence < ${beforeSequence}
        order by sequence desc limit ${seenChunk})
        union all
        (select sequence, id_hash from quarantined_records
        where partition = ${partition} and sequence < ${beforeSequence}
        order by sequence desc limit ${seenChunk})) known
      order by sequence desc limit ${seenChunk}) newest`;
  const empty = Buffer.alloc(0);
  return {
    message: {
      seen: {
        sequences: (row?.sequences ?? empty).toString('base64'),
        hashes: (row?.hashes ?? empty).toString('base64'),
      },
    },
    count: row?.count ?? 0,
    oldestSequence: Number(row?.oldest ?? 0),
  };
}

export interface FramesRead {
  /** The newest first. */
  readonly frames: readonly { readonly position: number; readonly firstSequence: number; readonly records: Buffer }[];
  /** Nothing before them is unsettled. */
  readonly isLast: boolean;
}

/** Frames of a page: of full size they are a few megabytes. */
const framesAtOnce = 32;

/** Frames of the journal before a position that are not settled, or were not a moment ago. */
export async function newestFrames(sql: postgres.Sql, partition: number, beforePosition: number): Promise<FramesRead> {
  const frames = await sql<{ position: number; firstSequence: number; records: Buffer; isSettled: boolean }[]>`
    select position::float8 as position, first_sequence::float8 as "firstSequence", records,
      first_sequence + record_count - 1 <= coalesce(
        (select sequence from journal_positions where partition = ${partition}), 0) as "isSettled"
    from journal_frames
    where partition = ${partition} and position < ${beforePosition}
    order by position desc limit ${framesAtOnce}`;
  return { frames, isLast: frames.length < framesAtOnce || frames.at(-1)!.isSettled };
}

/**
 * Tokens of cards that a partition has decided about lately, the most recent first. Where those are few, as in a
 * freshly seeded database, the newest active cards follow.
 */
export async function recentCards(
  sql: postgres.Sql,
  partition: number,
  partitionCount: number,
  limit: number,
): Promise<string[]> {
  const eventsMax = Math.min(recentEventsMax, recentEventsPerCard * limit);
  const recent = await sql<{ token: string }[]>`
    select c.token from (
      select card_id, max(sequence) as newest from (
        select card_id, sequence from transaction_events
        where partition = ${partition} order by sequence desc limit ${eventsMax}) recent
      where card_id is not null group by card_id order by newest desc limit ${limit}) used
    join cards c on c.id = used.card_id order by used.newest desc`;
  const tokens = new Set(recent.map(({ token }) => token));
  if (tokens.size < limit) {
    const newest = await sql<{ token: string }[]>`
      select c.token from cards c join accounts a on a.id = c.account_id
      where c.status = 'active' and (a.owner_key / 2) % ${partitionCount} = ${partition}
      order by c.id desc limit ${limit - tokens.size}`;
    for (const { token } of newest) tokens.add(token);
  }
  return [...tokens].slice(0, limit);
}

function* parts<T>(keys: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < keys.length; start += restoreKeysMax) yield keys.slice(start, start + restoreKeysMax);
}

async function tombstoneRows(sql: postgres.Sql, partition: number, holdMs: number): Promise<TransactionRow[]> {
  const rows = await sql<{ json: TransactionJson }[]>`
    select json_build_object('id', t.id, 'askedId', t.id, 'accountNumber', t.account_id, 'cardNumber', t.card_id,
      'userNumber', t.user_id, 'status', t.status, 'type', t.type, 'held', 0, 'posted', 0, 'refunded', 0,
      'firstDay', 0, 'newestDay', 0, 'newestAmount', 0, 'expiresAtMs', 0) as json
    from transactions t
    where t.type = ${MessageType.reversal} and t.partition = ${partition} and t.occurrence = 0
      and t.created_at > ${new Date(Date.now() - holdMs)}
    order by t.created_at desc limit ${tombstonesMax}`;
  return rows.map((row) => transactionRow(row.json));
}
