/** The settled ledger as followers read it: which one it is, where its journals stand, and its messages in order. */
import type { Database, Sql } from './postgres.js';

/** A settled record as it was read. A ledger that has another one in its place has taken another course since. */
export interface Checkpoint {
  readonly sequence: number;
  /** Of what the record says: see markOf(). */
  readonly mark: string;
}

/** How far a follower has come with a partition's journal. */
export interface PartitionPosition {
  /** Last sequence taken. */
  readonly sequence: number;
  /**
   * Records that were taken, newest first, ever further apart: they show where a restored ledger took another course.
   */
  readonly checkpoints: readonly Checkpoint[];
}
/** By partition. */
export type Positions = Readonly<Record<string, PartitionPosition>>;

export interface SettledRecord {
  readonly sequence: number;
  /** Name of its transaction within the partition. */
  readonly transaction: string;
}

export interface SettledWindow {
  /** Last record looked at; null: there is none after the position. */
  readonly last: Checkpoint | null;
  /** Those of the chosen customers, in the order of the journal. */
  readonly records: readonly SettledRecord[];
}

/** Whose records a follower reads. */
export type Customers = 'personal' | 'business' | 'all';

/** How long an answer is good for: a database is rarely replaced by another one under a running API. */
const identityMs = 1_000;

/** Which ledger the database is: the same in every backup of it. */
export class LedgerIdentity {
  readonly #database: Database;
  #id: Promise<string> | null = null;
  #readAtMs = 0;

  constructor(database: Database) {
    this.#database = database;
  }

  read(): Promise<string> {
    const nowMs = performance.now();
    if (this.#id !== null && nowMs - this.#readAtMs < identityMs) return this.#id;
    const before = this.#id;
    this.#readAtMs = nowMs;
    const id = this.#database
      .run('ledger_identity.read', (sql) => sql<{ id: string }[]>`select id::text as id from ledger_identity`)
      .then(
        ([row]) => {
          if (row === undefined) throw new Error('the table ledger_identity is empty: put its row back from a backup');
          return row.id;
        },
        // The last answer serves while Postgres is away.
        (error: unknown) => before ?? Promise.reject(error),
      );
    this.#id = id;
    id.catch(() => {
      if (this.#id === id) this.#id = null;
    });
    return id;
  }
}

/** Last settled sequence by partition. */
export async function settledPositions(database: Database): Promise<Map<string, number>> {
  const rows = await database.run(
    'journal_positions.list',
    (sql) => sql<{ partition: number; sequence: number }[]>`select partition, sequence from journal_positions`,
  );
  return new Map(rows.map(({ partition, sequence }) => [String(partition), sequence]));
}

/** Sequences of the checkpoints whose records the ledger still has. */
export async function knownCheckpoints(
  database: Database,
  partition: string,
  checkpoints: readonly Checkpoint[],
): Promise<Set<number>> {
  const sequences = checkpoints.map(({ sequence }) => sequence);
  const marks = checkpoints.map(({ mark }) => mark);
  const rows = await database.run(
    'transaction_events.known',
    (sql) => sql<{ sequence: number }[]>`
      select e.sequence
      from unnest(${sequences}::bigint[], ${marks}::text[]) c (sequence, mark)
      join transaction_events e
        on e.partition = ${Number(partition)} and e.sequence = c.sequence and ${markOf(sql)} = c.mark`,
  );
  return new Set(rows.map(({ sequence }) => sequence));
}

interface WindowRow {
  readonly isKnown: boolean;
  readonly last: number | null;
  readonly mark: string | null;
  readonly records: readonly SettledRecord[];
}

/**
 * The next records of a partition after `sequence`, at most `limit`: committed in order, so nothing appears behind.
 * @param checkpoint the newest record that was read before; null: none was
 * @returns null when the ledger does not have that record (any more)
 */
export async function nextWindow(
  database: Database,
  customers: Customers,
  partition: string,
  sequence: number,
  checkpoint: Checkpoint | null,
  limit: number,
): Promise<SettledWindow | null> {
  // In one statement: the database may be replaced between two.
  const [row] = await database.run(
    'transaction_events.follow',
    (sql) => sql<WindowRow[]>`
      with messages as (
        select e.sequence, e.transaction_id, e.user_id from transaction_events e
        where e.partition = ${Number(partition)} and e.sequence > ${sequence}
        order by e.sequence limit ${limit}
      ), newest as (
        select e.sequence, ${markOf(sql)} as mark from transaction_events e
        where e.partition = ${Number(partition)} and e.sequence = (select max(m.sequence) from messages m)
      )
      select (select n.sequence from newest n) as last, (select n.mark from newest n) as mark, coalesce((
        select json_agg(json_build_object('sequence', m.sequence, 'transaction', m.transaction_id) order by m.sequence)
        from messages m join users u on u.id = m.user_id
        where ${customers === 'all' ? sql`true` : sql`u.kind = ${customers}`}
      ), '[]') as records, ${
        checkpoint === null
          ? sql`true`
          : sql`exists (
              select from transaction_events e
              where e.partition = ${Number(partition)} and e.sequence = ${checkpoint.sequence}
                and ${markOf(sql)} = ${checkpoint.mark}
            )`
      } as "isKnown"`,
  );
  if (row === undefined || !row.isKnown) return null;
  const { last, mark, records } = row;
  return { last: last === null || mark === null ? null : { sequence: last, mark }, records };
}

/**
 * Of transaction_events as `e`: differs wherever another record was settled. The transaction's name may change later.
 */
function markOf(sql: Sql) {
  return sql`md5(e.request_id || ' ' || extract(epoch from e.at)::text || ' ' || md5(e.record))`;
}
