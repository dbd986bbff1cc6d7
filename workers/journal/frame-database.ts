/**
 * An engine's connections to journal_frames (JOURNAL=postgres, sql/migrations/290). The frames of all its partitions
 * are committed in one statement on one connection. A takeover, and what else may wait, has other connections.
 *
 * The outcome of a commit may be unknown: the connection broke, or the server did not answer in time. The same frames
 * are then sent again to the same positions, as often as it takes. A frame either gets its place now, or the place is
 * taken, and FrameLog reads what stands there. Nothing is ever cancelled: a commit that waits for a standby and is
 * cancelled becomes visible although the standby does not have it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type postgres from 'postgres';
import { BoundedConnections } from '../../platform/postgres/bounded-connections.js';
import { knownTypes } from '../../platform/postgres/driver-types.js';

/** A frame and its place in the journal. */
export interface PlacedFrame {
  readonly partition: number;
  readonly position: number;
  readonly epoch: number;
  readonly holder: string;
  readonly firstSequence: number;
  readonly recordCount: number;
  /** Wall clock milliseconds of its newest batch. */
  readonly atMs: number;
  /** CRC-32C of the records. */
  readonly checksum: number;
  readonly records: Buffer;
}

/** Whose a partition is. */
export type PartitionOwner = Pick<PlacedFrame, 'partition' | 'epoch' | 'holder'>;

/** No message waits longer for an answer; a commit that waits for a standby goes on in the server. */
export const answerDeadlineMs = 5000;
/** A takeover waits for frames on their way and may make tables. */
export const takeOverDeadlineMs = 30_000;
const retryPauseMsMin = 20;
const retryPauseMsMax = 500;
const connectTimeoutS = 2;
/** Takeovers side by side, and a look at what stands at a position beside them. */
const othersMax = 6;
const othersIdleS = 30;
const uniqueViolation = '23505';
/** Raised by journal_take_over. */
const staleEpoch = 'AF001';

export interface FrameDatabaseOptions {
  readonly databaseUrl: string;
  /** Postgres did not do it, for the `attempt`-th time in a row; it is tried again. */
  readonly onTrouble: (message: string, attempt: number) => void;
}

export class FrameDatabase {
  readonly #onTrouble: FrameDatabaseOptions['onTrouble'];
  readonly #commits: BoundedConnections;
  readonly #others: BoundedConnections;
  #warnings = 0;

  constructor({ databaseUrl, onTrouble }: FrameDatabaseOptions) {
    this.#onTrouble = onTrouble;
    // The server warns where it commits although the standbys do not have it: someone has cancelled the wait.
    const onnotice = ({ severity }: postgres.Notice) => {
      if (severity !== 'NOTICE') this.#warnings++;
    };
    this.#commits = new BoundedConnections(databaseUrl, { ...settings, max: 1, idle_timeout: 0, onnotice });
    this.#others = new BoundedConnections(databaseUrl, {
      ...settings,
      max: othersMax,
      idle_timeout: othersIdleS,
      onnotice,
    });
  }

  /** Warnings of the server so far: a commit during which it rises is followed by a barrier, whosever it was. */
  get warnings(): number {
    return this.#warnings;
  }

  /**
   * Appends frames of different partitions in one commit. Resolves when it is done, and on the standbys where the
   * server waits for them.
   * @param frames their records are read until the promise settles
   * @returns the partitions whose frame has got its place. What stands at the place of another one must be read.
   */
  async append(frames: readonly PlacedFrame[]): Promise<ReadonlySet<number>> {
    const { warnings } = this;
    const appended = await this.#untilDone(this.#commits, answerDeadlineMs, (sql) => this.#insert(sql, frames));
    if (this.#warnings === warnings || appended.size === 0) return appended;
    return this.barrier(frames.filter(({ partition }) => appended.has(partition)));
  }

  async #insert(sql: postgres.Sql, frames: readonly PlacedFrame[]): Promise<Set<number>> {
    const values: unknown[] = [];
    for (const { partition, position, epoch, holder, firstSequence, recordCount, atMs, checksum, records } of frames) {
      values.push(partition, position, epoch, holder, firstSequence, recordCount, atMs, checksum, records);
    }
    try {
      const text = insertOf(frames.length);
      const rows = await sql.unsafe<{ partition: number }[]>(text, values as never[], { prepare: true });
      return new Set(rows.map(({ partition }) => partition));
    } catch (error) {
      // An error that says that a place is taken is one way of finding it taken.
      if (frames.length === 1 && codeOf(error) === uniqueViolation) return new Set();
      if (frames.length === 1 || !isOfAFrame(error)) throw error;
      return this.#insertEach(sql, frames);
    }
  }

  /** One of the frames is refused: the others shall not wait for it. */
  async #insertEach(sql: postgres.Sql, frames: readonly PlacedFrame[]): Promise<Set<number>> {
    const appended = new Set<number>();
    for (const frame of frames) {
      try {
        for (const partition of await this.#insert(sql, [frame])) appended.add(partition);
      } catch (error) {
        if (!isOfAFrame(error)) throw error;
        this.#onTrouble((error as Error).message, 1);
      }
    }
    return appended;
  }

  /**
   * Commits something behind what was committed: that waits for the standbys, and so for everything before it.
   * @returns the partitions that still have this owner
   */
  async barrier(owners: readonly PartitionOwner[]): Promise<ReadonlySet<number>> {
    const [partitions, epochs, holders] = [
      owners.map(({ partition }) => partition),
      owners.map(({ epoch }) => epoch),
      owners.map(({ holder }) => holder),
    ];
    for (;;) {
      const { warnings } = this;
      const rows = await this.ask(
        answerDeadlineMs,
        (sql) => sql<{ partition: number }[]>`
        update journal_owners as o set barriers = barriers + 1
        from unnest(${partitions}::bigint[], ${epochs}::bigint[], ${holders}::text[]) as f (partition, epoch, holder)
        where o.partition = f.partition and o.epoch = f.epoch and o.holder = f.holder::uuid
          and ${sql.unsafe(isDurable)} returning o.partition`,
      );
      if (rows.length === 0 || this.#warnings === warnings) return new Set(rows.map(({ partition }) => partition));
    }
  }

  /**
   * Has a connection ready for a takeover, with the partition's tables in its memory. Never rejects.
   * @param commits the one that commits, too: no frame waits for it
   */
  async prepare(read: (sql: postgres.Sql) => PromiseLike<unknown>, commits: boolean): Promise<void> {
    const connections = commits ? [this.#others, this.#commits] : [this.#others];
    await Promise.allSettled(connections.map((each) => each.run(answerDeadlineMs, async (sql) => read(sql))));
  }

  /** Asks beside the commits, until Postgres has done it: all that is asked may be asked twice. */
  ask<Rows>(deadlineMs: number, ask: (sql: postgres.Sql) => PromiseLike<Rows>): Promise<Rows> {
    return this.#untilDone(this.#others, deadlineMs, ask);
  }

  async #untilDone<Rows>(
    connections: BoundedConnections,
    deadlineMs: number,
    ask: (sql: postgres.Sql) => PromiseLike<Rows>,
  ): Promise<Rows> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await connections.run(deadlineMs, async (sql) => ask(sql));
      } catch (error) {
        if (isStaleEpoch(error)) throw error;
        this.#onTrouble((error as Error).message, attempt);
        await delay(Math.min(retryPauseMsMax, retryPauseMsMin * attempt));
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#commits.close(), this.#others.close()]);
  }
}

// Whatever the role or the database has. A timeout would cancel what must not be cancelled (see above), and a takeover
// has to see frames that are committed while it runs. The server shall find out soon that a client is gone, because the
// locks of its connection hold up the making and dropping of tables.
const settings = {
  connect_timeout: connectTimeoutS,
  connection: {
    application_name: 'journal',
    // In one text: the driver leaves out a parameter that is 0.
    options: '-c statement_timeout=0 -c lock_timeout=0 -c idle_session_timeout=0',
    default_transaction_isolation: 'read committed' as const,
    tcp_keepalives_idle: 5,
    tcp_keepalives_interval: 2,
    tcp_keepalives_count: 3,
  },
  ...knownTypes,
};

/**
 * True. With `synchronous_commit = off` an answer would leave before its frame is on any disk: then this one commit is
 * made to wait. Other values are the operator's choice of what the standbys have done by then.
 */
export const isDurable = `case current_setting('synchronous_commit')
    when 'off' then set_config('synchronous_commit', 'on', true) = 'on' else true end`;

const columnTypes = ['integer', 'bigint', 'bigint', 'text::uuid', 'bigint', 'integer', 'float8', 'bigint', 'bytea'];
/** By the number of frames: each is prepared once a connection. */
const inserts: string[] = [];

function insertOf(frameCount: number): string {
  const known = inserts[frameCount];
  if (known !== undefined) return known;
  const rows = Array.from({ length: frameCount }, (_, row) => {
    const first = row * columnTypes.length + 1;
    return `(${columnTypes.map((type, column) => `$${first + column}::${type}`).join(', ')})`;
  });
  const text = `
    insert into journal_frames
      (partition, position, epoch, holder, first_sequence, record_count, at_ms, checksum, records)
    select * from (values ${rows.join(', ')}) as f where ${isDurable}
    on conflict do nothing returning partition`;
  inserts[frameCount] = text;
  return text;
}

/** An owner with a newer epoch has taken the partition over. */
export function isStaleEpoch(error: unknown): boolean {
  return codeOf(error) === staleEpoch;
}

/** What the server says of data, of a constraint (also: no table for that position), or of a name. */
function isOfAFrame(error: unknown): boolean {
  return /^(?:22|23|42)/.test(String(codeOf(error)));
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null)?.code;
}
