/**
 * One partition's journal in Postgres (JOURNAL=postgres, sql/migrations/290): the owner's side. Frames are appended one
 * by one, each at the next position, and the position is the fence: who finds another owner's frame there has lost the
 * partition. How they are committed: frame-database.ts.
 */
import { crc32c } from '@node-rs/crc32';
import type postgres from 'postgres';
import {
  answerDeadlineMs,
  type FrameDatabase,
  isDurable,
  type PlacedFrame,
  takeOverDeadlineMs,
} from './frame-database.js';

/** Another engine has taken the partition over. Final: what was not durable before belongs to no answer. */
export class PartitionFencedError extends Error {
  override readonly name = 'PartitionFencedError';
  constructor(partition: number, position: number) {
    super(`another engine is the owner of partition ${partition}: it has written frame ${position} of the journal`);
  }
}

/** What is written beside the records. */
export type FrameHead = Pick<PlacedFrame, 'firstSequence' | 'recordCount' | 'atMs'>;

export interface StoredFrame extends FrameHead {
  readonly position: number;
  readonly epoch: number;
  readonly records: Uint8Array;
}

export interface FrameLogOptions {
  readonly database: FrameDatabase;
  readonly partition: number;
  /** UUID of the writer's lease. */
  readonly holder: string;
  /** Last record that Postgres has settled and of which nothing is revoked any more. */
  readonly settledSequence: () => number;
}

/** Tables for 16,384 positions are made and dropped this often (journal_upkeep): the next one is there in time. */
const upkeepEveryPositions = 4096;
/** Read at once when the copy is made: a few frames of full size. */
const pageBytesMax = 16 * 1024 * 1024;

/** Of full size they are one page. */
const newestMax = 16;

type CheckedFrame = StoredFrame & { readonly checksum: number };

type HeadRow = Pick<PlacedFrame, 'epoch' | 'holder' | 'firstSequence' | 'recordCount' | 'checksum'>;

export class FrameLog {
  readonly #options: FrameLogOptions;
  #epoch = 0;
  /** Of the newest frame that is known to be ours. */
  #position = 0;
  #upkeepAt = 0;

  constructor(options: FrameLogOptions) {
    this.#options = options;
  }

  get position(): number {
    return this.#position;
  }

  /**
   * Appends the takeover frame: every frame before it is durable, and no other owner's comes behind it.
   * @returns the sequence that the next record gets
   */
  async takeOver(epoch: number, nowMs: number): Promise<number> {
    const { database, partition, holder } = this.#options;
    this.#epoch = epoch;
    const { warnings } = database;
    const [row] = await database.ask(
      takeOverDeadlineMs,
      (sql) => sql<{ position: number; next: number }[]>`
      select at_position::float8 as position, next_sequence::float8 as next
      from journal_take_over(${partition}::integer, ${epoch}::bigint, ${holder}::text::uuid, ${nowMs}::float8)
      where ${sql.unsafe(isDurable)}`,
    );
    this.#position = row!.position;
    if (database.warnings !== warnings) await this.#barrier();
    this.#upkeepAt = this.#position + upkeepEveryPositions;
    return row!.next;
  }

  /** Frames up to the takeover frame that hold a record behind `settledSequence`, in order, a page at a time. */
  async *framesBehind(settledSequence: number): AsyncGenerator<StoredFrame> {
    const { database, partition } = this.#options;
    // A planned move leaves a few, and the messages of the partition wait.
    const newest = await database.ask(takeOverDeadlineMs, (sql) => newestFrames(sql, partition, this.#position));
    const isBehind = ({ firstSequence, recordCount }: FrameHead) => firstSequence + recordCount - 1 > settledSequence;
    if (newest.length < newestMax || !isBehind(newest.at(-1)!)) {
      yield* checked(partition, newest.filter(isBehind).reverse());
      return;
    }
    const heads = await database.ask(
      takeOverDeadlineMs,
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

  async #page(first: number, last: number): Promise<readonly StoredFrame[]> {
    const { database, partition } = this.#options;
    const rows = await database.ask(
      takeOverDeadlineMs,
      (sql) => sql<CheckedFrame[]>`
      select ${storedColumns(sql)} from journal_frames
      where partition = ${partition} and position between ${first} and ${last} and record_count > 0 order by position`,
    );
    return checked(partition, rows);
  }

  /** The frame that is to be appended next. Its records are not copied. */
  place({ firstSequence, recordCount, atMs }: FrameHead, bytes: Uint8Array): PlacedFrame {
    const { partition, holder } = this.#options;
    const records = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return {
      partition,
      position: this.#position + 1,
      epoch: this.#epoch,
      holder,
      firstSequence,
      recordCount,
      atMs,
      checksum: crc32c(records),
      records,
    };
  }

  /** The placed frame has got its place. */
  appended(): void {
    this.#position++;
  }

  /**
   * Appends a frame alone. Resolves when it is committed, and on the standbys where the server waits for them.
   * @param records read until the promise settles
   * @throws PartitionFencedError
   */
  async append(head: FrameHead, records: Uint8Array): Promise<void> {
    for (;;) {
      if (this.isUpkeepDue) await this.upkeep();
      const frame = this.place(head, records);
      if ((await this.#options.database.append([frame])).has(frame.partition)) this.appended();
      else if (!(await this.resolve(frame))) continue;
      return;
    }
  }

  /**
   * Reads what stands at a position that was said to be taken. A takeover frame of our own is left by a repeated
   * takeover. Nothing stands there where the driver gave the query an error of the connection before.
   * @returns true where it is the frame: it has its place. False: the frame is to be placed again.
   * @throws PartitionFencedError when another owner has it
   */
  async resolve(frame: PlacedFrame): Promise<boolean> {
    const { database, partition } = this.#options;
    const { position } = frame;
    const [found] = await database.ask(
      answerDeadlineMs,
      (sql) => sql<HeadRow[]>`
      select epoch::float8 as epoch, holder::text as holder, first_sequence::float8 as "firstSequence",
        record_count as "recordCount", checksum::float8 as checksum
      from journal_frames where partition = ${partition} and position = ${position}`,
    );
    if (found === undefined) return false;
    const isOwner = found.holder === frame.holder && found.epoch === frame.epoch;
    if (isOwner && found.recordCount === 0) {
      this.#position = position;
      return false;
    }
    const isSame =
      isOwner &&
      found.firstSequence === frame.firstSequence &&
      found.recordCount === frame.recordCount &&
      found.checksum === frame.checksum;
    if (!isSame) throw new PartitionFencedError(partition, position);
    // It is committed, but nothing says that the standbys have it: a commit behind it waits for them.
    await this.#barrier();
    this.#position = position;
    return true;
  }

  async #barrier(): Promise<void> {
    const { database, partition, holder } = this.#options;
    const owned = await database.barrier([{ partition, epoch: this.#epoch, holder }]);
    if (!owned.has(partition)) throw new PartitionFencedError(partition, this.#position + 1);
  }

  /** Before the next frame is placed. */
  get isUpkeepDue(): boolean {
    return this.#position + 1 >= this.#upkeepAt;
  }

  /** Makes the next tables and drops those that are settled. What fails is made up for before the next frame. */
  async upkeep(): Promise<void> {
    const { database, partition, settledSequence } = this.#options;
    const position = this.#position + 1;
    await database.ask(
      takeOverDeadlineMs,
      (sql) => sql`
      select journal_upkeep(${partition}::integer, ${position}::bigint, ${Math.max(0, settledSequence())}::bigint)`,
    );
    this.#upkeepAt = position + upkeepEveryPositions;
  }
}

/** The newest frames with records before a position, newest first. */
export function newestFrames(
  sql: postgres.Sql,
  partition: number,
  before: number,
): PromiseLike<readonly CheckedFrame[]> {
  return sql<CheckedFrame[]>`
    select ${storedColumns(sql)} from journal_frames
    where partition = ${partition} and position < ${before} and record_count > 0
    order by position desc limit ${newestMax}`;
}

const storedColumns = (sql: postgres.Sql) => sql`
  position::float8 as position, epoch::float8 as epoch, first_sequence::float8 as "firstSequence",
  record_count as "recordCount", at_ms as "atMs", checksum::float8 as checksum, records`;

function checked(partition: number, frames: readonly CheckedFrame[]): readonly CheckedFrame[] {
  for (const { position, records, checksum } of frames) {
    if (crc32c(records) !== checksum) {
      throw new Error(`frame ${position} of partition ${partition} in journal_frames is not what was written`);
    }
  }
  return frames;
}
