/**
 * Stand-in approvals in the database that several engines share (sql/migrations/385). An approval is there before its
 * answer leaves. The engine that takes the partition over reads it before it takes a message, so a repeat gets the
 * same answer there.
 *
 * The fence is the lease. An insert locks the row of the lease and sees holder and epoch; a claim changes that row. So
 * an insert is committed before the claim, which then reads it, or it inserts nothing.
 */
import type { Log } from '../../platform/log.js';
import { BoundedConnections } from '../../platform/postgres/bounded-connections.js';
import { knownTypes } from '../../platform/postgres/driver-types.js';

/** Removals that wait for the database. What does not fit is removed by the next owner, once it is booked there. */
const removalsMax = 10_000;
const readDeadlineMs = 10_000;
const removeDeadlineMs = 3000;
const removePauseMs = 500;
/** After an insert that failed: each one uses up the caps, also where it is withdrawn. */
const insertPauseMs = 500;

export interface SharedApprovalsOptions {
  readonly databaseUrl: string;
  /** Of this engine in the registry. */
  readonly holder: string;
  /** Of an insert: the statement ends in the database by then, too. */
  readonly deadlineMs: number;
  /** Of this engine's lease of a partition; null: it has none. */
  epochOf(partition: number): number | null;
  /** This engine does not reach the database. */
  isLapsed(): boolean;
  readonly log: Log;
}

interface Insert {
  readonly partition: number;
  readonly epoch: number;
  readonly id: string;
  readonly record: string;
  readonly resolve: (isInserted: boolean) => void;
  readonly reject: (error: Error) => void;
}

interface Removal {
  readonly partition: number;
  readonly id: string;
  /** Only the approval with this record. Null: whichever has the id. */
  readonly record: string | null;
  readonly resolve: () => void;
}

export class SharedApprovals {
  readonly #options: SharedApprovalsOptions;
  /** Each its own: an insert must not wait behind a removal. */
  readonly #inserts: BoundedConnections;
  readonly #others: BoundedConnections;
  #inserting: Insert[] = [];
  #isInserting = false;
  #removing: Removal[] = [];
  #isRemoving = false;
  #pausedUntilMs = 0;
  #isClosed = false;

  constructor(options: SharedApprovalsOptions) {
    this.#options = options;
    const { databaseUrl, deadlineMs } = options;
    this.#inserts = new BoundedConnections(databaseUrl, connectionOptions('stand-in', deadlineMs));
    this.#others = new BoundedConnections(databaseUrl, connectionOptions('stand-in booked', readDeadlineMs));
  }

  /** Connects, so that the first approval finds a connection. Never rejects. */
  async prepare(): Promise<void> {
    await this.#inserts.run(removeDeadlineMs, (sql) => sql`select from stand_in_approvals limit 0`).catch(() => null);
  }

  /** An insert may succeed. */
  get isAnswering(): boolean {
    return performance.now() >= this.#pausedUntilMs && !this.#options.isLapsed();
  }

  /**
   * Resolves to true when the approval is committed, and to false when this engine has lost the partition: then it is
   * not there. Rejects when that is unknown; after two deadlines no statement is on its way any more.
   */
  insert(partition: number, id: string, record: Uint8Array): Promise<boolean> {
    const epoch = this.#options.epochOf(partition);
    if (epoch === null) return Promise.resolve(false);
    return new Promise((resolve, reject) => {
      const bytes = Buffer.from(record.buffer, record.byteOffset, record.length);
      this.#inserting.push({ partition, epoch, id: hex(id), record: bytes.toString('hex'), resolve, reject });
      if (!this.#isInserting) void this.#insertAll();
    });
  }

  async #insertAll(): Promise<void> {
    this.#isInserting = true;
    // Those of the same turn go together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#inserting.length > 0) {
      const batch = this.#inserting;
      this.#inserting = [];
      await this.#insertBatch(batch);
    }
    this.#isInserting = false;
  }

  async #insertBatch(batch: readonly Insert[]): Promise<void> {
    const { deadlineMs, holder } = this.#options;
    const given = JSON.stringify(batch.map(({ partition, epoch, id, record }) => ({ partition, epoch, id, record })));
    try {
      const rows = await this.#inserts.run(
        deadlineMs,
        (sql) => sql<{ partition: number; id: string }[]>`
          insert into stand_in_approvals (partition, id, record)
          select given.partition, decode(given.id, 'hex'), decode(given.record, 'hex')
          from jsonb_to_recordset(${given}::text::jsonb)
            as given(partition integer, epoch bigint, id text, record text)
          join partition_leases as lease on lease.partition = given.partition and lease.epoch = given.epoch
          where lease.holder = ${holder}::text::uuid
          for share of lease
          on conflict do nothing
          returning partition, encode(id, 'hex') as id`,
      );
      const inserted = new Set(rows.map(({ partition, id }) => `${partition} ${id}`));
      for (const { partition, id, resolve } of batch) resolve(inserted.has(`${partition} ${id}`));
    } catch (error) {
      this.#pausedUntilMs = performance.now() + insertPauseMs;
      for (const { reject } of batch) reject(error as Error);
    }
  }

  /**
   * Resolves when the approval is gone, or will be removed by the next owner. Tries until the database does it.
   * @param record only the approval with it is removed: the next owner may have approved the same id
   */
  remove(partition: number, id: string, record: Uint8Array | null = null): Promise<void> {
    return new Promise((resolve) => {
      if (this.#removing.length >= removalsMax) {
        resolve();
        return;
      }
      const bytes = record === null ? null : Buffer.from(record.buffer, record.byteOffset, record.length);
      this.#removing.push({ partition, id: hex(id), record: bytes?.toString('hex') ?? null, resolve });
      if (!this.#isRemoving) void this.#removeAll();
    });
  }

  async #removeAll(): Promise<void> {
    this.#isRemoving = true;
    while (this.#removing.length > 0 && !this.#isClosed) {
      await new Promise((resolve) => setImmediate(resolve));
      const batch = [...this.#removing];
      if (await this.#isRemoved(batch)) {
        this.#removing = this.#removing.slice(batch.length);
        for (const { resolve } of batch) resolve();
      } else await new Promise((resolve) => setTimeout(resolve, removePauseMs).unref());
    }
    this.#isRemoving = false;
  }

  async #isRemoved(batch: readonly Removal[]): Promise<boolean> {
    const given = JSON.stringify(batch.map(({ partition, id, record }) => ({ partition, id, record })));
    try {
      await this.#others.run(
        removeDeadlineMs,
        (sql) => sql`
          delete from stand_in_approvals as a
          using jsonb_to_recordset(${given}::text::jsonb) as given(partition integer, id text, record text)
          where a.partition = given.partition and a.id = decode(given.id, 'hex')
            and (given.record is null or a.record = decode(given.record, 'hex'))`,
      );
      return true;
    } catch (error) {
      this.#options.log.debug({ error: (error as Error).message }, 'booked stand-in approvals are removed later');
      return false;
    }
  }

  /** The records of a partition's approvals, oldest first. The caller has just claimed the partition. */
  async read(partition: number): Promise<readonly Buffer[]> {
    const rows = await this.#others.run(
      readDeadlineMs,
      (sql) => sql<{ record: string }[]>`
        select encode(record, 'hex') as record from stand_in_approvals
        where partition = ${partition} order by approved_at, id`,
    );
    return rows.map(({ record }) => Buffer.from(record, 'hex'));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([this.#inserts.close(), this.#others.close()]);
  }
}

const hex = (id: string) => Buffer.from(id).toString('hex');

function connectionOptions(name: string, timeoutMs: number) {
  return {
    max: 1,
    idle_timeout: 0,
    connect_timeout: 2,
    onnotice: () => undefined,
    connection: {
      application_name: name,
      statement_timeout: timeoutMs,
      // What waited for a claim sees the claim.
      default_transaction_isolation: 'read committed' as const,
    },
    ...knownTypes,
  };
}
