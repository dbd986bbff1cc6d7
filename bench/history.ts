/**
 * Authorizations that were decided and settled before: what an engine has behind it that has run for a while, without
 * the hours of running. Postgres writes them itself, in statements that keep the books right (`make audit` agrees). The
 * journal begins again after them, with the ids that their segments would have left. Only while no engine runs.
 *
 * All are approved authorizations with open holds, 10,000 of them a second up to now. That is the most holds, ids and
 * messages that as many authorizations can leave. Their records are one record with their ids and cards in it; what
 * they say about balances is that one's.
 */
import { join } from 'node:path';
import type postgres from 'postgres';
import { hash64, hashAsBigInt, hashHigh, hashLow } from '../engine/core/hash.js';
import { storedUserLevel } from '../engine/core/spend-key.js';
import { keepSegmentIds, writeIdFile } from '../workers/journal/id-files.js';
import { firstSegmentHeader, journalSizesDefault } from '../workers/journal/journal.js';
import { listJournalFiles, partitionDirectory, segmentName } from '../workers/journal/segment-files.js';
import { makeSegment } from '../workers/journal/segment-maker.js';
import { SegmentReader } from '../workers/journal/segment-reader.js';
import { FileStorage } from '../workers/journal/storage.js';
import { writeRecords } from '../workers/testing/record-writer.js';

export interface HistoryOptions {
  /** One connection (max: 1), for a temporary table lives in it. */
  readonly sql: postgres.Sql;
  /** The engine's DATA_DIR; the engine has run there with one partition, has settled everything and is stopped. */
  readonly dataDir: string;
  readonly count: number;
  /** Cards `card_000001_1` … of so many accounts, in turn. */
  readonly accountCount: number;
  readonly log: (line: string) => void;
}

export const historyAmountMinor = 100;
const perSecond = 10_000;
const perStatement = 200_000;
const dayMs = 86_400_000;
const holdDays = 7;

/** Id of history message `number`, counted from 1; all have the same length. */
export function historyId(number: number): string {
  return `history-${String(number).padStart(12, '0')}`;
}

export async function writeHistory(options: HistoryOptions): Promise<void> {
  const { sql, dataDir, count, accountCount, log } = options;
  const [position] = await sql<{ sequence: string; partitions: number }[]>`
    select sequence, partition_count as partitions from journal_positions where partition = 0`;
  if (position?.partitions !== 1) throw new Error('a history is written behind an engine with one partition');
  const before = Number(position.sequence);
  await sql`
    create temporary table owner as
    select row_number() over (order by c.token) - 1 as place, c.token, c.id as card, c.account_id as account,
    c.user_id as person
    from cards c where c.token ~ '^card_[0-9]{6}_1$' order by c.token limit ${accountCount}`;
  await sql`create unique index on owner (place)`;
  const indexes = await dropIndexes(sql);
  const journal = new JournalFolder(dataDir);
  journal.keepIds(before);
  for (let done = 0; done < count; done += perStatement) {
    const hashes = await writePart(options, before, done + 1, Math.min(perStatement, count - done));
    journal.addIds(before + done + 1, hashes);
    if ((done / perStatement) % 5 === 0) log(`${done} of ${count} settled authorizations are written`);
  }
  log('building the indexes that the migrations made');
  for (const definition of indexes) await sql.unsafe(definition);
  for (const table of ['transactions', 'transaction_events', 'accounts', 'spend_windows']) {
    await sql.unsafe(`vacuum analyze ${table}`);
  }
  await sql`checkpoint`;
  journal.beginAnew(before + count + 1);
}

/** Rows by the million are written before their indexes: half the time. @returns what makes the indexes again */
async function dropIndexes(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ name: string; definition: string }[]>`
    select i.indexrelid::regclass::text as name, pg_get_indexdef(i.indexrelid) as definition from pg_index i
    where i.indrelid in ('transactions'::regclass, 'transaction_events'::regclass) and not i.indisprimary`;
  for (const { name } of rows) await sql.unsafe(`drop index ${name}`);
  return rows.map(({ definition }) => definition);
}

/**
 * Messages, transactions, books, windows and the position in one statement. @returns the hashes of the ids, low and
 * high in turn
 */
async function writePart(
  { sql, count, accountCount }: HistoryOptions,
  before: number,
  first: number,
  length: number,
): Promise<Uint32Array> {
  const nowMs = Date.now();
  const day = Math.floor(nowMs / dayMs);
  const sketch = {
    id: historyId(0),
    amount: historyAmountMinor,
    held: historyAmountMinor,
    merchantId: '',
    merchantName: '',
  };
  const { source } = writeRecords([{ ...sketch, spend: historyAmountMinor, spendCount: 1, day, atMs: nowMs, card: 1 }]);
  const template = Buffer.from(source);
  const idAt = template.indexOf(historyId(0)) + 1;
  const hashes: bigint[] = [];
  const halves = new Uint32Array(length * 2);
  for (let index = 0; index < length; index++) {
    const id = Buffer.from(historyId(first + index));
    hash64(id, 0, id.length);
    hashes.push(hashAsBigInt());
    halves[index * 2] = hashLow;
    halves[index * 2 + 1] = hashHigh;
  }
  await sql`
    with message as materialized (
      select ${first}::bigint + h.ordinality - 1 as number, h.id_hash, o.account, o.card, o.person,
        'history-' || lpad((${first}::bigint + h.ordinality - 1)::text, 12, '0') as id,
        to_timestamp(${nowMs}::float8 / 1000 -
          (${count}::bigint - (${first}::bigint + h.ordinality - 1)) / ${perSecond}::float8) as at
      from unnest(${`{${hashes.join(',')}}`}::text::bigint[]) with ordinality h (id_hash, ordinality)
      join owner o on o.place = (${first}::bigint + h.ordinality - 1) % ${accountCount}::int
    ), event as (
      insert into transaction_events (sequence, account_id, card_id, user_id, amount, approved_amount, available_delta,
        held_delta, posted_delta, external_delta, id_hash, at, partition, type, protocol, reason, detail, approved,
        transaction_id, request_id, record)
      select ${before}::bigint + number, account, card, person, ${historyAmountMinor}::bigint,
      ${historyAmountMinor}::bigint,
        -${historyAmountMinor}::bigint, ${historyAmountMinor}::bigint, 0, 0, id_hash, at, 0, 1, 1, 0, 0, true, id, id,
        overlay(${template}::bytea placing convert_to(id, 'UTF8') from ${idAt}::int)
      from message order by number
    ), chain as (
      insert into transactions (id, account_id, card_id, user_id, amount, approved_amount, held_amount, posted_amount,
        refunded_amount, newest_spend_amount, expires_at, created_at, updated_at, partition, spend_day,
        newest_spend_day,
        type, status, reason, detail, mcc, channel, forced, currency, country, merchant_id, merchant_name)
      select id, account, card, person, ${historyAmountMinor}::bigint, ${historyAmountMinor}::bigint,
        ${historyAmountMinor}::bigint, 0, 0, ${historyAmountMinor}::bigint, at + ${holdDays}::int * interval '1 day',
        at, at,
        0, ${day}::int, ${day}::int, 1, 1, 0, 0, 5411, 1, false, 'USD', 'US', null, null
      from message order by number
    ), total as materialized (
      select account, card, person, count(*)::int as times, count(*) * ${historyAmountMinor}::bigint as held
      from message group by account, card, person
    ), book as (
      update accounts a set held = a.held + t.held, available = a.available - t.held from total t where a.id = t.account
    ), spent as (
      insert into spend_windows as s (level, entity_id, spend_day, daily_amount, weekly_amount, monthly_amount,
      yearly_amount,
        lifetime_amount, daily_count, weekly_count, monthly_count, yearly_count, lifetime_count)
      select e.level, e.entity, ${day}::int, t.held, t.held, t.held, t.held, t.held, t.times, t.times, t.times, t.times,
      t.times
      from total t cross join lateral (
        values (0, t.card), (${storedUserLevel}, user_currency(t.person, 'USD')), (2, t.account)) e (level, entity)
      on conflict (level, entity_id) do update set spend_day = excluded.spend_day,
        daily_amount = s.daily_amount + excluded.daily_amount, weekly_amount = s.weekly_amount + excluded.weekly_amount,
        monthly_amount = s.monthly_amount + excluded.monthly_amount,
        yearly_amount = s.yearly_amount + excluded.yearly_amount,
        lifetime_amount = s.lifetime_amount + excluded.lifetime_amount,
        daily_count = s.daily_count + excluded.daily_count,
        weekly_count = s.weekly_count + excluded.weekly_count, monthly_count = s.monthly_count + excluded.monthly_count,
        yearly_count = s.yearly_count + excluded.yearly_count,
        lifetime_count = s.lifetime_count + excluded.lifetime_count
    )
    update journal_positions set sequence = ${before + first - 1 + length} where partition = 0`;
  return halves;
}

/** The journal of partition 0, while no engine writes it. */
class JournalFolder {
  readonly #storage = new FileStorage();
  readonly #directory: string;
  readonly #segments: readonly number[];
  readonly #owner = { partition: 0, partitionCount: 1 };
  #nextNumber: number;

  constructor(dataDir: string) {
    this.#directory = partitionDirectory(join(dataDir, 'journal'), 0);
    this.#segments = listJournalFiles(this.#storage, this.#directory).segments;
    this.#nextNumber = (this.#segments.at(-1) ?? 0) + 1;
  }

  /** Keeps the ids of what is in the journal, up to its last record. */
  keepIds(lastSequence: number): void {
    for (const [index, number] of this.#segments.entries()) {
      const next = this.#segments[index + 1];
      const end = next === undefined ? lastSequence + 1 : this.#firstSequence(next);
      keepSegmentIds(this.#storage, this.#directory, number, end);
    }
  }

  addIds(firstSequence: number, hashes: Uint32Array): void {
    writeIdFile(this.#storage, this.#directory, this.#nextNumber++, this.#owner, { firstSequence, hashes });
  }

  /** A journal whose first record will be `firstSequence`, in place of the one that is there. */
  beginAnew(firstSequence: number): void {
    const [storage, directory] = [this.#storage, this.#directory];
    const journal = { storage, directory, ...this.#owner, sizes: journalSizesDefault, epoch: 0 };
    storage.close(makeSegment(storage, directory, firstSegmentHeader(journal, this.#nextNumber, firstSequence)));
    for (const number of this.#segments) storage.remove(join(directory, segmentName(number)));
    storage.syncDirectory(directory);
  }

  #firstSequence(number: number): number {
    const path = join(this.#directory, segmentName(number));
    const reader = SegmentReader.open(this.#storage, path, number, 0);
    reader.close();
    return reader.header.firstSequence;
  }
}
