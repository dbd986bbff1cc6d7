/**
 * Settles journal records into Postgres. It folds a stretch of one partition's journal into columns and hands them to
 * the SQL function `settle`. One statement writes them and moves the partition's position. A lost connection therefore
 * leaves all or nothing, and asking again settles nothing twice.
 *
 * Folding is exact. Several changes of one transaction, account or spend window in a stretch are combined in order.
 * Changes that cannot be combined are applied in ordered rounds (see SettleFold).
 */
import type postgres from 'postgres';
import { ledgerScope, type WriterFence } from '../../engine/core/writer-fence.js';
import { fencedCode } from '../../engine/exchange/shipper-messages.js';
import { connectPostgres } from '../../platform/postgres/connect.js';
import { type FewColumns, SettleFold } from './settle-fold.js';
import { rollingTypes, useTypes } from './spend-fold.js';

/** Consecutive records of one partition's journal. */
export interface RecordStretch {
  readonly partition: number;
  /** Sequence of the first record; a journal starts with 1. The position must stand right before it. */
  readonly firstSequence: number;
  /** Bytes that hold the records; what lies between them (framing) is ignored. */
  readonly source: Uint8Array;
  /** Where each record starts in `source`, in journal order. */
  readonly offsets: ArrayLike<number>;
}

export interface SettleResult {
  /** False when the position was elsewhere: nothing (more) was written, read the position again. */
  readonly applied: boolean;
  /** Sequence of the last record that this call settled; firstSequence − 1 when none. */
  readonly sequence: number;
}

/** Another engine is the writer of the ledger or the partition: nothing was settled, and nothing of ours will be. */
export class WriterFencedError extends Error {
  override readonly name = 'WriterFencedError';
  readonly code = fencedCode;
  constructor({ scope, epoch }: WriterFence) {
    const taken = scope === ledgerScope ? 'the ledger' : scope;
    super(`another engine has taken ${taken} from this one (epoch ${epoch}): its journal settles no more`);
  }
}

/** Most records in one statement: bounds the statement's size and how long it holds its locks. */
export const settleRecordsMax = 5_000;

/** Longest that one statement may run before the server ends it. */
const statementTimeoutMs = 30_000;
const connectTimeoutSeconds = 5;

/**
 * Options of a connection for settling, with the server's limit on every statement. After a lost connection postgres.js
 * 3.4.9 answers the first query of the next one with the old error, although the server has run it. After any error,
 * read the position until that succeeds, then settle from there.
 */
export const settleConnection = {
  max: 1,
  connect_timeout: connectTimeoutSeconds,
  idle_timeout: 60,
  onnotice: () => undefined,
  connection: { application_name: 'settle', statement_timeout: statementTimeoutMs },
  // All arrays are texts here. The driver asks for their types in a promise that no code awaits: a connection that is
  // cut in this moment would end the thread.
  fetch_types: false,
};

/** The name says which partition: a takeover ends the statements of that one only. */
export function settleConnectionOf(partition: number) {
  const { connection } = settleConnection;
  return {
    ...settleConnection,
    connection: { ...connection, application_name: `${connection.application_name} ${partition}` },
  };
}

/** For records that were set apart. A statement that waits for the settling of its partition does not wait long. */
export const retryConnection = {
  ...settleConnection,
  connection: { ...settleConnection.connection, application_name: 'quarantine', statement_timeout: 3_000 },
};

/** For tools and tests. Close it with `.end()`. */
export function openSettleConnection(databaseUrl: string): postgres.Sql {
  return connectPostgres(databaseUrl, settleConnection);
}

/**
 * Sequence of the partition's last settled record; 0 when none. Throws when its position was never opened. The lock
 * makes it a commit, which waits for a synchronous standby as every commit does. A server that has just started again
 * shows rows that its standby may not have yet, and a failover would undo them.
 */
export async function readJournalPosition(sql: postgres.Sql, partition: number): Promise<number> {
  const [row] = await sql<
    { sequence: string }[]
  >`select sequence from journal_positions where partition = ${partition} for update`;
  if (row === undefined) throw new Error(`partition ${partition} has no journal position`);
  return Number(row.sequence);
}

/**
 * Settles the records in journal order, in as few statements as their bounds allow. After an error the last statement's
 * outcome is unknown (the connection may have broken after the commit): read the position and go on from there.
 * @param fence of the engine's lease; null for tools that work on a ledger without an engine
 * @throws WriterFencedError when another engine has the lease
 */
export async function settle(
  sql: postgres.Sql,
  batch: RecordStretch,
  fence: WriterFence | null = null,
): Promise<SettleResult> {
  let settled = 0;
  while (settled < batch.offsets.length) {
    const first = settled;
    const fold = new SettleFold(batch.source, batch.firstSequence + first);
    while (settled < batch.offsets.length && fold.count < settleRecordsMax && fold.add(batch.offsets[settled]!)) {
      settled++;
    }
    const from = batch.firstSequence + first - 1;
    const few = fold.fewColumns();
    const parameters = [batch.partition, from, from + fold.count, ...fold.columns(), ...fewParameters(few)];
    const statement = withFew(settleCall, 5 + SettleFold.columnTypes.length, few);
    if (!(await applies(sql, statement, parameters, fence))) return { applied: false, sequence: from };
  }
  return { applied: true, sequence: batch.firstSequence + settled - 1 };
}

/** Arrays travel as literals that the fold builds: a driver's generic array encoding costs several times as much. */
export const arrayParameters = (from: number, types: readonly string[]): string =>
  types.map((type, index) => `$${index + from}::text::${type}[]`).join(', ');
const settleArrays = arrayParameters(5, SettleFold.columnTypes);
const settleCall = `settle($1::integer, $2::bigint, $3::bigint, $4::bytea, ${settleArrays})`;

/** The parameters that withFew() numbers. */
export function fewParameters({ uses, rolling }: FewColumns): readonly string[] {
  return [...(uses ?? []), ...(rolling ?? [])];
}

/**
 * A statement of `call` with what few stretches have, in the same statement, and so with the position.
 * @param from number of the first parameter of fewParameters()
 */
export function withFew(call: string, from: number, { uses, rolling }: FewColumns): string {
  const calls: string[] = [];
  if (uses !== null) calls.push(`settle_uses(${arrayParameters(from, useTypes)})`);
  if (rolling !== null) {
    const first = from + (uses === null ? 0 : useTypes.length);
    calls.push(`settle_rolling(${arrayParameters(first, rollingTypes)})`);
  }
  if (calls.length === 0) return `select ${call} as applied`;
  return `select case when ${call} then ${calls.join(' and ')} else false end as applied`;
}

/**
 * Runs a statement that moves a position, under the engine's fence. The lock on the fence's row comes before the
 * function and is held until it has committed: a take-over waits for it. The function is volatile, so its statements
 * see what committed while the lock was waited for.
 * @param statement selects `applied`, without a FROM
 * @throws WriterFencedError when another engine has the lease
 */
export async function applies(
  sql: postgres.Sql,
  statement: string,
  parameters: readonly unknown[],
  fence: WriterFence | null,
): Promise<boolean> {
  const count = parameters.length;
  const text =
    fence === null
      ? statement
      : `with fence as materialized (
          select from writer_epochs where scope = $${count + 1}::text and epoch = $${count + 2}::bigint
            and holder = $${count + 3}::text::uuid for share
        ) ${statement} from fence`;
  const values = fence === null ? parameters : [...parameters, fence.scope, fence.epoch, fence.holder];
  const [row] = await sql.unsafe<{ applied: boolean }[]>(text, values as never[], { prepare: true });
  if (row === undefined && fence !== null) throw new WriterFencedError(fence);
  return row?.applied === true;
}
