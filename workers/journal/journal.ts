/**
 * The journal of one partition: what was decided, in order, on disk before any answer leaves. The caller lays the
 * records out in the writer's own frame, so nothing is copied. Batches that are decided while the disk is busy share
 * the next frame, with one pwrite and one fdatasync.
 *
 *   writer.reserve(bytesMax)           before deciding: false declines the batch, nothing was lost
 *   records at writer.recordsStart …   writeRecord into writer.frame, writer.view
 *   writer.append(end, count, atMs)    returns the last sequence; durable once progress.durableSequence has reached it
 *   writer.release()                   instead of append, when the batch left no record
 *
 * Sequences count records of the partition from 1 without a gap. Bytes: segment.ts. Files: segment-files.ts.
 */
import { join } from 'node:path';
import { assert } from '../../engine/core/invariant.js';
import type { JournalSizes } from '../../engine/exchange/journal-sizes.js';
import type { JournalRefusal, PartitionProgress } from '../../engine/exchange/progress.js';
import { isOutOfDescriptors } from '../../platform/process/descriptors.js';
import { type FrameSink, InlineFrameSink } from './frame-sink.js';
import { beginAnewName, JournalEpochError, JournalFailedError, JournalRecordError } from './journal-errors.js';
import { replayJournal } from './journal-reader.js';
import { assertPosition, type JournalPlace, type JournalScan, rewriteEnd, scanJournal } from './journal-recovery.js';
import {
  assertSegmentSizes,
  frameBytesFor,
  frameBytesMaxDefault,
  frameHeaderBytes,
  frameTrailerBytes,
  locationOf,
  locationOffset,
  locationSegment,
  type SegmentHeader,
  segmentBytesDefault,
  segmentHeaderBytes,
} from './segment.js';
import { listJournalFiles, removeMaking, segmentName } from './segment-files.js';
import { makeSegment } from './segment-maker.js';
import { type FileId, isDiskFull } from './storage.js';

export { frameHeaderBytes } from './segment.js';

/** 64 × 64 MiB: 4 GiB per partition, about a quarter of an hour of full load while Postgres is away. */
export const journalSizesDefault: JournalSizes = {
  segmentBytes: segmentBytesDefault,
  frameBytesMax: frameBytesMaxDefault,
  segmentsMax: 64,
};

/** A segment that could not be made is not tried again for this long: each try writes until the disk is full. */
const retryMs = 250;
const sealedOpenMax = 4;
/** What read() returns where the disk, not the journal, is the reason that there is no record. */
export const recordUnreadable = -1;
/** Most records are shorter: one read gets them. */
const readBytes = 512;

export interface JournalOptions extends JournalPlace {
  readonly sizes: JournalSizes;
  readonly progress: PartitionProgress;
  /** The last record that Postgres has settled, from journal_positions; 0 when it has none. */
  readonly settledSequence: number;
  /** Of the writer's lease: every frame carries it. */
  readonly epoch: number;
  /** Monotonic milliseconds; for pacing retries and timing syncs only. */
  readonly nowMs?: () => number;
  /** The record that Postgres has under that sequence, to be compared with the journal's; null or absent: none. */
  readonly settledRecord?: Uint8Array | null;
  /** Where frames go; default: written and synced on this thread, so that append() returns when they are durable. */
  readonly sink?: FrameSink;
}

export interface OpenedJournal {
  readonly writer: JournalWriter;
  /** What was found; replay settledSequence + 1 … lastSequence (replayJournal) before the first reserve. */
  readonly scan: JournalScan;
}

/**
 * Opens a partition's journal for writing and makes everything in it durable; makes it when it is new. The shipper must
 * be paused: the end of the last segment is rewritten.
 * @throws JournalCorruptError, JournalPartitionCountError, JournalPositionError, JournalEpochError; storage errors as
 *   they come
 */
export function openJournal(options: JournalOptions): OpenedJournal {
  const { storage, directory, sizes, settledSequence } = options;
  assertSegmentSizes(sizes);
  assert(sizes.segmentsMax >= 2, 'segmentsMax must leave room for a sealed segment and an open one');
  storage.makeDirectory(directory);
  // From here on the folder is open: a new segment's name can be made durable without a free file descriptor.
  storage.syncDirectory(directory);
  const found = scanJournal(options);
  // An empty folder is a new journal only for a partition that never settled anything, or where an operator has said
  // so.
  const beginAgain = join(directory, beginAnewName);
  const before = found === undefined && storage.exists(beginAgain) ? settledSequence : 0;
  assertPosition(options, found?.firstSequence ?? before + 1, found?.lastSequence ?? before, settledSequence);
  if (found !== undefined && found.epoch > options.epoch) {
    throw new JournalEpochError(options.partition, found.epoch, options.epoch);
  }
  if (found !== undefined) assertSettled(options, found);
  let file: FileId;
  let scan: JournalScan;
  if (found === undefined) {
    removeMaking(storage, directory, 'worker');
    const header = firstSegmentHeader(options, 1, before + 1);
    file = makeSegment(storage, directory, header);
    scan = emptyScan(header);
  } else {
    scan = found;
    file = rewriteEnd(options, scan);
  }
  if (storage.exists(beginAgain)) {
    // The permission is for one beginning. A start that died after its first segment has used it, and a folder with
    // records needs none. Left in place, it would hide a later loss of the folder.
    storage.remove(beginAgain);
    storage.syncDirectory(directory);
    if (found !== undefined) {
      scan = {
        ...scan,
        notes: [...scan.notes, `${beginAgain} is removed: the journal has begun, and holds its records`],
      };
    }
  }
  const writer = new JournalWriter(options, scan, file);
  options.progress.setRefusal('');
  options.progress.publishDurable(scan.lastSequence);
  return { writer, scan };
}

/** The newest record that Postgres has must be the journal's own, where the journal still has it. */
function assertSettled(options: JournalOptions, { firstSequence }: JournalScan): void {
  const { settledSequence, settledRecord = null, partition } = options;
  if (settledRecord === null || settledSequence < firstSequence) return;
  replayJournal(options, settledSequence, settledSequence, (bytes, view, offset) => {
    const record = bytes.subarray(offset, offset + view.getUint16(offset, true));
    if (Buffer.compare(record, settledRecord) !== 0) throw new JournalRecordError(partition, settledSequence);
  });
}

/** Header of a segment that follows nothing. */
export function firstSegmentHeader(
  place: JournalPlace & { readonly sizes: Omit<JournalSizes, 'segmentsMax'>; readonly epoch: number },
  number: number,
  firstSequence: number,
): SegmentHeader {
  return {
    partition: place.partition,
    partitionCount: place.partitionCount,
    number,
    firstSequence,
    chainSeed: 0,
    segmentBytes: place.sizes.segmentBytes,
    frameBytesMax: place.sizes.frameBytesMax,
    epoch: place.epoch,
  };
}

/** A journal with one segment and no record. */
export function emptyScan(header: SegmentHeader): JournalScan {
  return {
    header,
    firstSequence: header.firstSequence,
    lastSequence: header.firstSequence - 1,
    lastFrameOffset: segmentHeaderBytes,
    endOffset: segmentHeaderBytes,
    chain: header.chainSeed,
    epoch: header.epoch,
    segmentCount: 1,
    torn: undefined,
    notes: [],
  };
}

export class JournalWriter {
  readonly #options: JournalOptions;
  readonly #nowMs: () => number;
  readonly #sink: FrameSink;
  readonly #views: readonly [DataView, DataView];
  #header: SegmentHeader;
  #file: FileId;
  /** The frame that takes records now, what it holds of whole batches, and where in the file it will stand. */
  #open: 0 | 1 = 0;
  #recordCount = 0;
  #recordsEnd = frameHeaderBytes;
  #offset: number;
  /** Where in the current file the other frame stands; 0 when it holds none of it. */
  #otherOffset = 0;
  #lastSequence: number;
  #reservedBytes = 0;
  #failed: JournalFailedError | undefined;
  #refusal: JournalRefusal = '';
  #retryAtMs = 0;

  /** Sealed segments that read() keeps open: oldest first, a few, because repeats ask for recent records. */
  readonly #sealed = new Map<number, FileId>();

  /** Most bytes of records in one batch. */
  readonly recordBytesMax: number;

  /** For openJournal only. */
  constructor(options: JournalOptions, scan: JournalScan, file: FileId) {
    this.#options = options;
    const { storage, partition, progress, sizes, nowMs = () => performance.now() } = options;
    this.#nowMs = nowMs;
    this.#sink = options.sink ?? new InlineFrameSink({ storage, partition, progress, nowMs }, sizes.frameBytesMax);
    this.#sink.chain = scan.chain;
    const [first, second] = this.#sink.frames;
    assert(first.length === sizes.frameBytesMax, "the sink must take frames of the journal's size");
    this.#views = [viewOf(first), viewOf(second)];
    this.#header = scan.header;
    this.#file = file;
    this.#offset = scan.endOffset;
    this.#lastSequence = scan.lastSequence;
    this.recordBytesMax = sizes.frameBytesMax - frameHeaderBytes - frameTrailerBytes;
  }

  /**
   * The frame being filled: records begin at recordsStart, its header is written by the sink. Valid after reserve().
   */
  get frame(): Uint8Array {
    return this.#sink.frames[this.#open];
  }
  get view(): DataView {
    return this.#views[this.#open];
  }

  /** Where the batch's first record goes in `frame`. Valid after reserve(). */
  get recordsStart(): number {
    return this.#recordsEnd;
  }

  /** The last record of the partition that was appended. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** Sequence of the first record of the next batch. */
  get nextSequence(): number {
    return this.#lastSequence + 1;
  }

  /**
   * Location of byte 0 of the frame being filled, once reserve() returned true; read() takes it plus the offset in
   * `frame`.
   */
  get frameLocation(): number {
    return locationOf(this.#header.number, this.#offset);
  }

  /** Why the last reserve() returned false; '' when it returned true. */
  get refusal(): JournalRefusal {
    return this.#refusal;
  }

  /** True once an append failed. */
  get failed(): boolean {
    return this.#failed !== undefined;
  }

  /**
   * Makes sure that a batch of up to `bytesMax` bytes of records can be appended. It rolls over to the next segment
   * when this one is too full. Call before deciding; append() or release() follows when it returned true.
   * @param revokes the batch revokes late approvals. It may pass the bound by one segment, because the segments with
   * those approvals stay until it is written
   * @returns false when no segment can be made now (see `refusal`); the journal is as before and may be asked again
   * @throws JournalFailedError once the journal has failed
   */
  reserve(bytesMax: number, revokes = false): boolean {
    if (this.#failed !== undefined) throw this.#failed;
    assert(bytesMax > 0 && bytesMax <= this.recordBytesMax, 'a batch is larger than the frame buffer');
    this.#begin();
    if (!this.#fits(bytesMax)) {
      // Rare: the disk is far behind, or the segment is full. What was decided goes out first, and this thread waits.
      this.#step(() => this.#sink.release(this.#open, this.#recordCount > 0));
      this.#step(() => this.#sink.drain());
      if (this.#recordCount > 0) this.#turnOver();
      if (!this.#fits(bytesMax) && !this.#roll(revokes ? 1 : 0)) return false;
      this.#begin();
    }
    this.#reservedBytes = frameBytesFor(this.#recordsEnd - frameHeaderBytes + bytesMax);
    if (this.#refusal !== '') this.#accept();
    return true;
  }

  #begin(): void {
    const kept = this.#step(() => this.#sink.begin(this.#recordCount > 0));
    if (!kept) this.#turnOver();
  }

  /** The open frame is on its way: the other one is open now, and stands behind it. */
  #turnOver(): void {
    this.#otherOffset = this.#offset;
    this.#offset += frameBytesFor(this.#recordsEnd - frameHeaderBytes);
    this.#open = this.#open === 0 ? 1 : 0;
    this.#recordsEnd = frameHeaderBytes;
    this.#recordCount = 0;
  }

  #fits(bytesMax: number): boolean {
    const frameBytes = frameBytesFor(this.#recordsEnd - frameHeaderBytes + bytesMax);
    return this.#offset + frameBytes <= this.#header.segmentBytes && frameBytes <= this.#header.frameBytesMax;
  }

  /**
   * Adds the batch to the frame that is written next. It is durable, and may be answered, once progress.durableSequence
   * has reached the sequence that this returns. The records in `frame` stay as they are until the frame is filled
   * again.
   * @param endOffset end of the last record in `frame`
   * @param recordCount records from recordsStart to there
   * @param atMs wall clock milliseconds stamped on the batch
   * @returns the sequence of the last record; the first is that − recordCount + 1
   * @throws JournalFailedError: whether the batch is on disk is unknown, no answer may say that it is, and this writer
   *   is done
   */
  append(endOffset: number, recordCount: number, atMs: number): number {
    if (this.#failed !== undefined) throw this.#failed;
    assert(recordCount > 0 && endOffset > this.#recordsEnd, 'a batch has at least one record');
    assert(
      frameBytesFor(endOffset - frameHeaderBytes) <= this.#reservedBytes,
      'a batch is larger than what was reserved',
    );
    const lastSequence = this.#lastSequence + recordCount;
    assert(Number.isSafeInteger(lastSequence), 'sequences are used up');
    this.#reservedBytes = 0;
    this.#recordsEnd = endOffset;
    this.#recordCount += recordCount;
    this.#lastSequence = lastSequence;
    this.#step(() =>
      this.#sink.commit(this.#open, {
        file: this.#file,
        segmentNumber: this.#header.number,
        offset: this.#offset,
        recordsEnd: endOffset,
        recordCount: this.#recordCount,
        firstSequence: lastSequence - this.#recordCount + 1,
        atMs,
        epoch: this.#options.epoch,
      }),
    );
    return lastSequence;
  }

  /** Nothing was decided that leaves a record: gives back what reserve() took. */
  release(): void {
    this.#reservedBytes = 0;
    this.#step(() => this.#sink.release(this.#open, this.#recordCount > 0));
  }

  /**
   * Reads an appended record back into `target`, which must hold any record; one of the batch in the making too.
   * @param location where it stands: from frameLocation at the time of the append, or from replay
   * @returns its length in bytes; 0 when its segment was settled and retired; recordUnreadable when the file cannot be
   *   read now. The caller checks that it is the record it wants: by its id, and that it is whole.
   */
  read(location: number, target: Uint8Array): number {
    const number = locationSegment(location);
    const offset = locationOffset(location);
    if (number === this.#header.number) {
      if (offset >= this.#offset) return copyRecord(this.frame, offset - this.#offset, target);
      if (this.#otherOffset > 0 && offset >= this.#otherOffset) {
        // On its way to the disk, or just there.
        return copyRecord(this.#sink.frames[this.#open === 0 ? 1 : 0], offset - this.#otherOffset, target);
      }
    }
    try {
      return number === this.#header.number
        ? this.#readRecord(this.#file, offset, target)
        : this.#readSealed(number, offset, target);
    } catch {
      // Out of descriptors, or the device does not answer: this thread goes on, and the message may be sent again.
      return recordUnreadable;
    }
  }

  #readSealed(number: number, offset: number, target: Uint8Array): number {
    const file = this.#openSealed(number);
    if (file === undefined) return 0;
    const length = this.#readRecord(file, offset, target);
    // The shipper removes a segment's name before it zeroes the file for its next use, and numbers never come back.
    // While the name exists, the bytes that were read before are the record. Without it the bytes may be anything.
    if (this.#isThere(number)) return length;
    this.#closeSealed(number);
    return 0;
  }

  /** The file of a sealed segment; undefined when it was retired, which may happen at any moment. */
  #openSealed(number: number): FileId | undefined {
    let file = this.#sealed.get(number);
    if (file !== undefined) return file;
    const { storage, directory } = this.#options;
    try {
      file = storage.open(join(directory, segmentName(number)));
    } catch (error) {
      if (this.#isThere(number)) throw error;
      return undefined;
    }
    this.#sealed.set(number, file);
    if (this.#sealed.size > sealedOpenMax) this.#closeSealed(this.#sealed.keys().next().value!);
    return file;
  }

  #isThere(number: number): boolean {
    return this.#options.storage.exists(join(this.#options.directory, segmentName(number)));
  }

  /** @returns recordUnreadable when what stands there cannot be a record: of a retired segment it may be anything */
  #readRecord(file: FileId, offset: number, target: Uint8Array): number {
    const { storage } = this.#options;
    const count = storage.pread(file, target, 0, Math.min(target.length, readBytes), offset);
    const length = count < 2 ? 0 : target[0]! | (target[1]! << 8);
    if (length < 2 || length > target.length) return recordUnreadable;
    if (length > count) storage.pread(file, target, count, length - count, offset + count);
    return length;
  }

  #closeSealed(number: number): void {
    const file = this.#sealed.get(number);
    this.#sealed.delete(number);
    if (file !== undefined) this.#options.storage.close(file);
  }

  /** Closes the file, once everything that was appended is durable. */
  close(): void {
    try {
      if (this.#failed === undefined) this.#step(() => this.#sink.drain());
    } finally {
      this.#failed ??= new JournalFailedError(this.#options.partition, 'the journal was closed');
      if (this.#file >= 0) this.#options.storage.close(this.#file);
      this.#file = -1;
      for (const number of [...this.#sealed.keys()]) this.#closeSealed(number);
    }
  }

  #roll(segmentsMore: number): boolean {
    try {
      return this.#rollNow(segmentsMore);
    } catch (error) {
      // It can only come before the new segment has its name: see makeSegment.
      if (!isOutOfDescriptors(error)) throw error;
      return this.#refuse('no file descriptor');
    }
  }

  #rollNow(segmentsMore: number): boolean {
    const { storage, directory, sizes, partition } = this.#options;
    const { segments, spares, making } = listJournalFiles(storage, directory);
    if (spares.length === 0) {
      // What the shipper is making counts: it takes its room already. Both may begin one at once, so the bound can be
      // passed by a single file.
      if (segments.length + making.length >= sizes.segmentsMax + segmentsMore) return this.#refuse('books lag');
      if (this.#nowMs() < this.#retryAtMs) return this.#refuse('disk full');
      if (storage.freeBytes(directory) < sizes.segmentBytes) return this.#refuse('disk full');
    }
    let file: FileId;
    const header = this.#nextHeader();
    try {
      file = makeSegment(storage, directory, header);
    } catch (error) {
      if (isDiskFull(error)) {
        this.#retryAtMs = this.#nowMs() + retryMs;
        return this.#refuse('disk full');
      }
      if (isOutOfDescriptors(error)) throw error;
      // The new segment may or may not be there under its name: only a restart can tell.
      throw this.#fail(error);
    }
    try {
      storage.close(this.#file);
    } catch (error) {
      // close() may report a write error late; all of ours were synced, but a disk that says so is not to be trusted.
      storage.close(file);
      this.#file = -1;
      throw this.#fail(new Error(`closing a segment of partition ${partition} failed`, { cause: error }));
    }
    this.#header = header;
    this.#file = file;
    this.#offset = segmentHeaderBytes;
    this.#otherOffset = 0;
    this.#retryAtMs = 0;
    return true;
  }

  #nextHeader(): SegmentHeader {
    return {
      ...firstSegmentHeader(this.#options, this.#header.number + 1, this.#lastSequence + 1),
      chainSeed: this.#sink.chain,
    };
  }

  #refuse(why: JournalRefusal): false {
    this.#refusal = why;
    this.#options.progress.setRefusal(why);
    return false;
  }

  #accept(): void {
    this.#refusal = '';
    this.#options.progress.setRefusal('');
  }

  /** Asks something of the sink; once it has failed, so has this writer. */
  #step<T>(ask: () => T): T {
    try {
      return ask();
    } catch (error) {
      if (error instanceof JournalFailedError) this.#failed = error;
      throw error;
    }
  }

  #fail(cause: unknown): JournalFailedError {
    this.#failed = new JournalFailedError(this.#options.partition, cause);
    return this.#failed;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function copyRecord(frame: Uint8Array, start: number, target: Uint8Array): number {
  const length = frame[start]! | (frame[start + 1]! << 8);
  assert(length > 0 && length <= target.length, 'no record stands here');
  target.set(frame.subarray(start, start + length));
  return length;
}
