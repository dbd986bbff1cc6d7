/**
 * One partition's journal in Postgres (JOURNAL=postgres, sql/migrations/290): the owner's side. Frames are appended one
 * by one, each at the next position, and the position is the fence: who finds another owner's frame there has lost the
 * partition.
 *
 * The outcome of a commit may be unknown: the connection broke, or the server did not answer in time. The same frame
 * is then sent again to the same position, as often as it takes. Either it gets its place now, or the place is taken,
 * and what stands there says by whom. Nothing is ever cancelled: a commit that waits for a standby and is cancelled
 * becomes visible although the standby does not have it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { crc32c } from '@node-rs/crc32';
import type postgres from 'postgres';
import { BoundedConnections } from '../../platform/postgres/bounded-connections.js';
import { knownTypes } from '../../platform/postgres/driver-types.js';

/** Another engine has taken the partition over. Final: what was not durable before belongs to no answer. */
export class PartitionFencedError extends Error {
  override readonly name = 'PartitionFencedError';
  constructor(partition: number, position: number) {
    super(`another engine is the owner of partition ${partition}: it has written frame ${position} of the journal`);
  }
}

/** What is written beside the records. */
export interface FrameHead {
  readonly firstSequence: number;
  readonly recordCount: number;
  /** Wall clock milliseconds of its newest batch. */
  readonly atMs: number;
}

export interface StoredFrame extends FrameHead {
  readonly position: number;
  readonly epoch: number;
  readonly records: Uint8Array;
}

export interface FrameLogOptions {
  readonly databaseUrl: string;
  readonly partition: number;
  readonly holder: string;
  /** Postgres did not do it, for the `attempt`-th time in a row; it is tried again. */
  readonly onTrouble: (message: string, attempt: number) => void;
  /** Last record that Postgres has settled and of which nothing is revoked any more. */
  readonly settledSequence: () => number;
}

/** No message waits longer for an answer; a commit that waits for a standby goes on in the server. */
const answerDeadlineMs = 5000;
/** A takeover waits for frames on their way and may make tables. */
const takeOverDeadlineMs = 30_000;
const retryPauseMsMin = 20;
const retryPauseMsMax = 500;
const connectTimeoutS = 2;
/** Tables for 16,384 positions are made and dropped this often (journal_upkeep): the next one is there in time. */
const upkeepEveryPositions = 4096;
/** Read at once when the copy is made: a few frames of full size. */
const pageBytesMax = 16 * 1024 * 1024;
const uniqueViolation = '23505';

interface HeadRow {
  readonly position: number;
  readonly epoch: number;
  readonly holder: string;
  readonly firstSequence: number;
  readonly recordCount: number;
  readonly checksum: number;
}

export class FrameLog {
  readonly #options: FrameLogOptions;
  readonly #connections: BoundedConnections;
  #epoch = 0;
  /** Of the newest frame that is known to be ours. */
  #position = 0;
  #upkeepAt = 0;
  #wasWarned = false;

  constructor(options: FrameLogOptions) {
    this.#options = options;
    this.#connections = new BoundedConnections(options.databaseUrl, {
      max: 1,
      idle_timeout: 0,
      connect_timeout: connectTimeoutS,
      // The server warns where it commits although the standbys do not have it: someone has cancelled the wait.
      onnotice: ({ severity }) => {
        this.#wasWarned ||= severity !== 'NOTICE';
      },
      // Whatever the role or the database has. A timeout would cancel what must not be cancelled (see above), and a
      // takeover has to see frames that are committed while it runs. The server shall find out soon that a client is
      // gone, because the locks of its connection hold up the making and dropping of tables.
      connection: {
        application_name: 'journal',
        // In one text: the driver leaves out a parameter that is 0.
        options: '-c statement_timeout=0 -c lock_timeout=0 -c idle_session_timeout=0',
        default_transaction_isolation: 'read committed',
        tcp_keepalives_idle: 5,
        tcp_keepalives_interval: 2,
        tcp_keepalives_count: 3,
      },
      ...knownTypes,
    });
  }

  get position(): number {
    return this.#position;
  }

  /**
   * Appends the takeover frame: every frame before it is durable, and no other owner's comes behind it.
   * @returns the sequence that the next record gets
   */
  async takeOver(epoch: number, nowMs: number): Promise<number> {
    const { partition, holder } = this.#options;
    this.#epoch = epoch;
    this.#wasWarned = false;
    const [row] = await this.#untilDone(
      takeOverDeadlineMs,
      () => false,
      (sql) => sql<{ position: number; next: number }[]>`
      select at_position::float8 as position, next_sequence::float8 as next
      from journal_take_over(${partition}::integer, ${epoch}::bigint, ${holder}::text::uuid, ${nowMs}::float8)
      where ${sql.unsafe(isDurable)}`,
    );
    if (this.#wasWarned) await this.#barrier();
    this.#position = row!.position;
    this.#upkeepAt = this.#position + upkeepEveryPositions;
    return row!.next;
  }

  /** Frames up to the takeover frame that hold a record behind `settledSequence`, in order, a page at a time. */
  async *framesBehind(settledSequence: number): AsyncGenerator<StoredFrame> {
    const { partition } = this.#options;
    const heads = await this.#untilDone(
      takeOverDeadlineMs,
      () => false,
      (sql) => sql<{ position: number; bytes: number }[]>`
      select position::float8 as position, octet_length(records) as bytes from journal_frames
      where partition = ${partition} and position < ${this.#position} and record_count > 0
      and first_sequence + record_count - 1 > ${settledSequence} order by position`,
    );
    for (let from = 0; from < heads.length; ) {
      let to = from;
      for (let bytes = 0; to < heads.length && (to === from || bytes + heads[to]!.bytes <= pageBytesMax); to++) {
        bytes += heads[to]!.bytes;
      }
      yield* await this.#page(heads[from]!.position, heads[to - 1]!.position);
      from = to;
    }
  }

  async #page(first: number, last: number): Promise<StoredFrame[]> {
    const { partition } = this.#options;
    const rows = await this.#untilDone(
      takeOverDeadlineMs,
      () => false,
      (sql) => sql<(StoredFrame & { checksum: number })[]>`
      select position::float8 as position, epoch::float8 as epoch, first_sequence::float8 as "firstSequence",
        record_count as "recordCount", at_ms as "atMs", checksum::float8 as checksum, records
      from journal_frames
      where partition = ${partition} and position between ${first} and ${last} and record_count > 0 order by position`,
    );
    for (const { position, records, checksum } of rows) {
      if (crc32c(records) !== checksum) {
        throw new Error(`frame ${position} of partition ${partition} in journal_frames is not what was written`);
      }
    }
    return rows;
  }

  /**
   * Appends a frame. Resolves when it is committed, and on the standbys where the server waits for them.
   * @param records read until the promise settles
   * @throws PartitionFencedError
   */
  async append(head: FrameHead, records: Uint8Array): Promise<void> {
    const { partition, holder } = this.#options;
    const { firstSequence, recordCount, atMs } = head;
    const bytes = Buffer.from(records.buffer, records.byteOffset, records.byteLength);
    const checksum = crc32c(bytes);
    for (;;) {
      const position = this.#position + 1;
      if (position >= this.#upkeepAt) await this.#upkeep(position);
      const values = [partition, position, this.#epoch, holder, firstSequence, recordCount, atMs, checksum, bytes];
      this.#wasWarned = false;
      const rows = await this.#untilDone(answerDeadlineMs, isTaken, (sql) =>
        sql.unsafe(insertFrame, values as never[], { prepare: true }),
      );
      const stands = rows === null ? await this.#whatStands(position, head, checksum) : 'frame';
      if (rows !== null && this.#wasWarned) await this.#barrier();
      if (stands === 'nothing') continue;
      this.#position = position;
      if (stands === 'frame') return;
    }
  }

  /**
   * What stands at a position that was said to be taken. A takeover frame of our own is left by a repeated takeover.
   * Nothing stands there where the driver gave the query an error of the connection before.
   * @throws PartitionFencedError when another owner has it
   */
  async #whatStands(
    position: number,
    head: FrameHead,
    checksum: number,
  ): Promise<'frame' | 'takeover frame' | 'nothing'> {
    const { partition, holder } = this.#options;
    const [found] = await this.#untilDone(
      answerDeadlineMs,
      () => false,
      (sql) => sql<HeadRow[]>`
      select position::float8 as position, epoch::float8 as epoch, holder::text as holder,
        first_sequence::float8 as "firstSequence", record_count as "recordCount", checksum::float8 as checksum
      from journal_frames where partition = ${partition} and position = ${position}`,
    );
    if (found === undefined) return 'nothing';
    const isOwner = found.holder === holder && found.epoch === this.#epoch;
    if (isOwner && found.recordCount === 0) return 'takeover frame';
    const isSame =
      isOwner &&
      found.firstSequence === head.firstSequence &&
      found.recordCount === head.recordCount &&
      found.checksum === checksum;
    if (!isSame) throw new PartitionFencedError(partition, position);
    // It is committed, but nothing says that the standbys have it: a commit behind it waits for them.
    await this.#barrier();
    return 'frame';
  }

  async #barrier(): Promise<void> {
    const { partition, holder } = this.#options;
    do {
      this.#wasWarned = false;
      const rows = await this.#untilDone(
        answerDeadlineMs,
        () => false,
        (sql) => sql`
        update journal_owners set barriers = barriers + 1
        where partition = ${partition} and epoch = ${this.#epoch} and holder = ${holder}::text::uuid
          and ${sql.unsafe(isDurable)} returning 1`,
      );
      if (rows.length === 0) throw new PartitionFencedError(partition, this.#position + 1);
    } while (this.#wasWarned);
  }

  /** Makes the next tables and drops those that are settled. What fails is made up for before the next frame. */
  async #upkeep(position: number): Promise<void> {
    const { partition, settledSequence } = this.#options;
    await this.#untilDone(
      takeOverDeadlineMs,
      () => false,
      (sql) => sql`
      select journal_upkeep(${partition}::integer, ${position}::bigint, ${Math.max(0, settledSequence())}::bigint)`,
    );
    this.#upkeepAt = position + upkeepEveryPositions;
  }

  /**
   * Asks until Postgres has done it: all that is asked may be asked twice.
   * @param ends whether an error is an answer; then the result is null
   */
  async #untilDone<Rows>(
    deadlineMs: number,
    ends: (error: unknown) => boolean,
    ask: (sql: postgres.Sql) => PromiseLike<Rows>,
  ): Promise<Rows> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#connections.run(deadlineMs, async (sql) => ask(sql));
      } catch (error) {
        if (ends(error)) return null as Rows;
        if (codeOf(error) === staleEpoch) throw error;
        this.#options.onTrouble((error as Error).message, attempt);
        await delay(Math.min(retryPauseMsMax, retryPauseMsMin * attempt));
      }
    }
  }

  async close(): Promise<void> {
    await this.#connections.close();
  }
}

/**
 * True. With `synchronous_commit = off` an answer would leave before its frame is on any disk: then this one commit is
 * made to wait. Other values are the operator's choice of what the standbys have done by then.
 */
const isDurable = `case current_setting('synchronous_commit')
    when 'off' then set_config('synchronous_commit', 'on', true) = 'on' else true end`;

const insertFrame = `
  insert into journal_frames
    (partition, position, epoch, holder, first_sequence, record_count, at_ms, checksum, records)
  select
    $1::integer, $2::bigint, $3::bigint, $4::text::uuid, $5::bigint, $6::integer, $7::float8, $8::bigint, $9::bytea
  where ${isDurable}`;

/** Raised by journal_take_over. */
const staleEpoch = 'AF001';

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null)?.code;
}

function isTaken(error: unknown): boolean {
  return codeOf(error) === uniqueViolation;
}
