/**
 * What happens to a record that Postgres refuses for its content (a data error). The whole record is quarantined, its
 * effect on the books is kept, and all later records settle. See sql/migrations/153.
 */
import { createHash } from 'node:crypto';
import postgres from 'postgres';
import { hash64, hashAsBigInt } from '../../engine/core/hash.js';
import { RecordOffset, recordFixedBytes } from '../../engine/core/record.js';
import type { WriterFence } from '../../engine/core/writer-fence.js';
import type { Quarantined } from '../../engine/exchange/shipper-messages.js';
import { databaseText } from './array-columns.js';
import {
  applies,
  arrayParameters,
  fewParameters,
  type RecordStretch,
  readJournalPosition,
  type SettleResult,
  settle,
  withFew,
} from './settle.js';
import { SettleFold } from './settle-fold.js';
import { applyFollowUp, type MovedTransaction } from './transaction-fold.js';

/** Longest error kept: a line for a person. */
const errorMax = 300;

/**
 * Whether trying again can never help: classes 22 (data exception), 23 (integrity constraint violation) and P0 (raised
 * by a function). Everything else is about the server or the connection.
 */
export function isDataError(error: unknown): error is postgres.PostgresError {
  return error instanceof postgres.PostgresError && /^(22|23|P0)/.test(error.code);
}

/**
 * settle(), and where a record is refused, the batch is halved down to it. After an error other than a data error the
 * outcome is unknown, as with settle().
 */
export async function settleAround(
  sql: postgres.Sql,
  batch: RecordStretch,
  onQuarantined: (record: Quarantined) => void,
  fence: WriterFence | null = null,
): Promise<SettleResult> {
  try {
    return await settle(sql, batch, fence);
  } catch (error) {
    if (!isDataError(error)) throw error;
    return isolate(sql, batch, error, onQuarantined, fence);
  }
}

async function isolate(
  sql: postgres.Sql,
  batch: RecordStretch,
  error: postgres.PostgresError,
  onQuarantined: (record: Quarantined) => void,
  fence: WriterFence | null,
): Promise<SettleResult> {
  // A batch may take several statements, of which the first ones were applied.
  const position = await readJournalPosition(sql, batch.partition);
  const left = slice(batch, position + 1 - batch.firstSequence, batch.offsets.length);
  if (left === null) return { applied: false, sequence: position };
  const count = left.offsets.length;
  if (count === 0) return { applied: true, sequence: position };
  if (count === 1) return quarantine(sql, left, error, onQuarantined, fence);
  const half = Math.ceil(count / 2);
  const first = await settleAround(sql, slice(left, 0, half)!, onQuarantined, fence);
  if (!first.applied) return first;
  return settleAround(sql, slice(left, half, count)!, onQuarantined, fence);
}

/** Null when the batch does not reach there. */
function slice(batch: RecordStretch, from: number, to: number): RecordStretch | null {
  if (from < 0 || from > batch.offsets.length) return null;
  const offsets = Array.prototype.slice.call(batch.offsets, from, to) as number[];
  return { ...batch, firstSequence: batch.firstSequence + from, offsets };
}

async function quarantine(
  sql: postgres.Sql,
  batch: RecordStretch,
  error: postgres.PostgresError,
  onQuarantined: (record: Quarantined) => void,
  fence: WriterFence | null,
): Promise<SettleResult> {
  const { partition, firstSequence: sequence } = batch;
  const record = recordOf(batch.source, batch.offsets[0]!);
  const fold = foldOf(record, sequence);
  const { opened, followUp } = fold.single;
  const name = opened?.id ?? followUp?.id;
  const state = name === undefined ? null : await stateAfter(sql, partition, name, fold);
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const idEnd = recordFixedBytes + view.getUint16(RecordOffset.idLength, true);
  const id = databaseText(Buffer.from(record.subarray(recordFixedBytes, idEnd)).toString('utf8'));
  hash64(record, recordFixedBytes, idEnd);
  const reason = plain(error.message);
  const few = fold.fewColumns();
  const parameters = [
    ...[partition, sequence, record, name === undefined ? null : keyOf(name), keyOf(id), String(hashAsBigInt())],
    ...[state === null ? null : JSON.stringify(state), error.code, reason],
    ...fold.columns().slice(SettleFold.accountsFrom),
    ...fewParameters(few),
  ];
  const statement = withFew(quarantineCall, 10 + movedTypes.length, few);
  const isApplied = await applies(sql, statement, parameters, fence);
  if (!isApplied) return { applied: false, sequence: sequence - 1 };
  onQuarantined({ partition, sequence, id, error: reason });
  return { applied: true, sequence };
}

/** As `transactions` has it and the engine loads it (TransactionRow), in one JSON object. */
interface TransactionState {
  readonly accountNumber: number | null;
  readonly cardNumber: number | null;
  readonly cardSpend: number | null;
  readonly userNumber: number | null;
  readonly status: number;
  readonly type: number;
  readonly held: number;
  readonly posted: number;
  readonly refunded: number;
  readonly firstDay: number;
  readonly newestDay: number;
  readonly newestAmount: number;
  readonly expiresAtMs: number;
}

/**
 * The transaction after the record, whose effect on `transactions` waits with it. Null: there is no such transaction.
 */
async function stateAfter(
  sql: postgres.Sql,
  partition: number,
  name: string,
  fold: SettleFold,
): Promise<TransactionState | null> {
  const { opened, followUp } = fold.single;
  const before = await stateBefore(sql, partition, name);
  // A refusal takes nothing from a transaction that can be followed.
  if (opened !== undefined && !(opened.isRefusal && before !== null)) {
    return {
      accountNumber: opened.accountNumber || null,
      cardNumber: opened.cardNumber || null,
      cardSpend: opened.cardSpend || null,
      userNumber: opened.userNumber || null,
      status: opened.status,
      type: opened.type,
      held: opened.held,
      posted: opened.posted,
      refunded: opened.refunded,
      firstDay: opened.spendDay,
      newestDay: opened.newestSpendDay,
      newestAmount: opened.newestSpendAmount,
      expiresAtMs: opened.expiresAtMs,
    };
  }
  if (before === null || followUp === undefined) return before;
  const moved: MovedTransaction = {
    ...before,
    newestSpendDay: before.newestDay,
    newestSpendAmount: before.newestAmount,
    ...{ amount: 0, approvedAmount: 0, reason: 0, forced: false, updatedAtMs: 0 },
  };
  applyFollowUp(moved, followUp);
  const { status, held, posted, refunded, newestSpendDay: newestDay, newestSpendAmount: newestAmount } = moved;
  return { ...before, status, held, posted, refunded, newestDay, newestAmount, expiresAtMs: moved.expiresAtMs };
}

async function stateBefore(sql: postgres.Sql, partition: number, name: string): Promise<TransactionState | null> {
  try {
    const [row] = await sql<{ state: string | null }[]>`
      select state::text from (
        (select 0 as place, chain_state as state from quarantined_records
        where partition = ${partition} and chain = ${keyOf(name)}::uuid order by sequence desc limit 1)
        union all
        select 1, jsonb_build_object('accountNumber', t.account_id, 'cardNumber', t.card_id,
          'cardSpend', coalesce(c.spend_of, t.card_id), 'userNumber', t.user_id, 'status', t.status, 'type', t.type,
          'held', t.held_amount, 'posted', t.posted_amount,
          'refunded', t.refunded_amount, 'firstDay', t.spend_day, 'newestDay', t.newest_spend_day,
          'newestAmount', t.newest_spend_amount,
          'expiresAtMs', coalesce(extract(epoch from t.expires_at) * 1000, 0))
        from transactions t left join cards c on c.id = t.card_id
        where t.id = name_id(${name}::text) and t.partition = ${partition}
        and t.occurrence = name_occurrence(${name}::text)
      ) known order by place limit 1`;
    return row?.state == null ? null : (JSON.parse(row.state) as TransactionState);
  } catch (error) {
    // A name that this database cannot hold has no row in it.
    if (isDataError(error)) return null;
    throw error;
  }
}

export interface WaitingRecord extends Quarantined {
  readonly sqlstate: string;
  readonly at: Date;
  readonly booksKept: boolean;
}

/** Everything that is quarantined, oldest first of each partition. */
export async function quarantined(sql: postgres.Sql): Promise<WaitingRecord[]> {
  const rows = await sql<
    { partition: number; sequence: string; sqlstate: string; error: string; at: Date; kept: boolean; record: Buffer }[]
  >`
    select partition, sequence, sqlstate, error, quarantined_at as at, books_kept as kept, record
    from quarantined_records order by partition, sequence`;
  return rows.map(({ partition, sequence, sqlstate, error, at, kept, record }) => {
    const end = recordFixedBytes + record.readUInt16LE(RecordOffset.idLength);
    const id = record.toString('utf8', recordFixedBytes, end);
    return { partition, sequence: Number(sequence), id, sqlstate, error, at, booksKept: kept };
  });
}

/**
 * Settles a quarantined record after all. Throws when it is refused again, or when an earlier record of its transaction
 * waits. @returns false when it is not quarantined
 */
export async function retryQuarantined(sql: postgres.Sql, partition: number, sequence: number): Promise<boolean> {
  const [row] = await sql<{ record: Buffer }[]>`
    select record from quarantined_records where partition = ${partition} and sequence = ${sequence}`;
  if (row === undefined) return false;
  const parameters = [partition, sequence - 1, ...foldOf(Uint8Array.from(row.record), sequence).columns()];
  const [result] = await sql.unsafe<{ settled: boolean }[]>(retryStatement, parameters as never[]);
  return result?.settled === true;
}

function foldOf(record: Uint8Array, sequence: number): SettleFold {
  const fold = new SettleFold(record, sequence);
  fold.add(0);
  return fold;
}

/** A copy: the batch's memory is used again. */
function recordOf(source: Uint8Array, offset: number): Uint8Array {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  return source.slice(offset, offset + view.getUint16(offset + RecordOffset.length, true));
}

/** As name_key() in the database. */
function keyOf(text: string): string {
  return createHash('md5').update(text, 'utf8').digest('hex');
}

/** What any database can hold. */
export function plain(message: string): string {
  return message.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, errorMax);
}

const movedTypes = SettleFold.columnTypes.slice(SettleFold.accountsFrom - 1);
const quarantineCall = `quarantine_record($1::integer, $2::bigint, $3::bytea, $4::text::uuid,
  $5::text::uuid, $6::text::bigint, $7::text::jsonb, $8::text, $9::text, ${arrayParameters(10, movedTypes)})`;
const retryStatement = `select retry_quarantined($1::integer, $2::bigint, $3::bytea, ${arrayParameters(
  4,
  SettleFold.columnTypes,
)}) as settled`;
