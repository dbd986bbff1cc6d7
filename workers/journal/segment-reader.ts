/**
 * Reads one segment frame by frame through a window of memory, checking everything. Serves recovery, replay and the
 * shipper; it judges only the frame at hand. What an invalid frame means depends on who reads (journal-reader.ts for a
 * live journal, journal-recovery.ts for the end of the log).
 */
import { JournalCorruptError } from './journal-errors.js';
import {
  decodeSegmentHeader,
  type FramePlace,
  frameBodyFault,
  frameBytesLeast,
  frameField,
  frameHeaderBytes,
  frameHeaderFault,
  isZero,
  locationOf,
  type SegmentHeader,
  segmentHeaderBytes,
} from './segment.js';
import type { FileId, Storage } from './storage.js';

/** What stands at the reader's position. */
export type FrameFound =
  /** A frame, whole and right: its fields are set and the position is behind it. */
  | 'frame'
  /** Where a header should be there are 64 zeros: the end of what was written, if all is well. */
  | 'zero'
  /** No frame fits into what is left of the file. */
  | 'full'
  /** The header is not that of the frame which belongs here: see `fault`. */
  | 'bad header'
  /** The header is right, the records are not: see `fault`. */
  | 'bad records';

export class SegmentReader implements FramePlace {
  readonly #storage: Storage;
  readonly #file: FileId;
  readonly #readaheadBytes: number;
  /** File offset of the window's first byte, and how many bytes of it are read. */
  #windowStart = 0;
  #windowBytes = 0;
  #open = true;
  /** Where the last frame began and what came before it, for unread(). */
  #frameOffset = segmentHeaderBytes;
  #frameChain = 0;
  #frameEpoch = 0;

  readonly path: string;
  readonly header: SegmentHeader;
  /** The window; it moves, so a frame's bytes are good only until the next read(). */
  readonly bytes: Uint8Array;
  readonly view: DataView;

  /** Where the next frame should begin in the file. */
  offset = segmentHeaderBytes;
  /** Sequence that the next frame should begin with. */
  sequence: number;
  /** CRC of the last frame's header, or the seed. */
  chain: number;
  /** Of the last frame, or of the segment. */
  epoch: number;
  /** What is wrong with the frame at `offset`, after 'bad header' or 'bad records'. */
  fault = '';

  /** The frame that read() found: where its records stand in `bytes`, end excluded. */
  recordsStart = 0;
  recordsEnd = 0;
  recordCount = 0;
  frameSequence = 0;
  frameAtMs = 0;

  private constructor(storage: Storage, path: string, file: FileId, header: SegmentHeader, readaheadBytes: number) {
    this.#storage = storage;
    this.#file = file;
    this.#readaheadBytes = Math.max(frameHeaderBytes, readaheadBytes);
    this.path = path;
    this.header = header;
    this.sequence = header.firstSequence;
    this.chain = header.chainSeed;
    this.epoch = header.epoch;
    const windowBytes = Math.min(header.segmentBytes, Math.max(this.#readaheadBytes, header.frameBytesMax));
    this.bytes = new Uint8Array(windowBytes);
    this.view = new DataView(this.bytes.buffer);
  }

  /**
   * Opens the segment numbered `number` at `path`.
   * @param readaheadBytes how much to read at once: much for a scan, little for a reader that keeps up with the writer
   * @throws JournalCorruptError when its header is not what it must be
   */
  static open(storage: Storage, path: string, number: number, readaheadBytes: number): SegmentReader {
    const file = storage.open(path);
    try {
      const bytes = new Uint8Array(segmentHeaderBytes);
      const count = storage.pread(file, bytes, 0, segmentHeaderBytes, 0);
      const header = decodeSegmentHeader(bytes.subarray(0, count));
      if (typeof header === 'string') throw new JournalCorruptError(path, 0, 0, header);
      if (header.number !== number) {
        throw new JournalCorruptError(path, 0, header.firstSequence, `the file header says segment ${header.number}`);
      }
      const size = storage.size(file);
      if (size !== header.segmentBytes) {
        const detail = `the file has ${size} bytes, its header says ${header.segmentBytes}`;
        throw new JournalCorruptError(path, 0, header.firstSequence, detail);
      }
      return new SegmentReader(storage, path, file, header, readaheadBytes);
    } catch (error) {
      storage.close(file);
      throw error;
    }
  }

  get partition(): number {
    return this.header.partition;
  }
  get segmentNumber(): number {
    return this.header.number;
  }
  get segmentBytes(): number {
    return this.header.segmentBytes;
  }
  get frameBytesMax(): number {
    return this.header.frameBytesMax;
  }

  /** Where the frame that read() found last begins in the file; `offset` before the first. */
  get lastFrameOffset(): number {
    return this.#frameOffset;
  }

  /** Location (segment.ts) of the first byte of the frame that read() found. */
  get frameLocation(): number {
    return locationOf(this.header.number, this.#frameOffset);
  }

  /** Reads the frame at `offset` and steps behind it, or says why it cannot and stays. */
  read(): FrameFound {
    if (this.offset + frameBytesLeast > this.header.segmentBytes) return 'full';
    let at = this.window(this.offset, frameHeaderBytes);
    if (isZero(this.bytes, at, at + frameHeaderBytes)) return 'zero';
    this.fault = frameHeaderFault(this.bytes, this.view, at, this);
    if (this.fault !== '') return 'bad header';
    const length = frameField.bytes(this.view, at);
    at = this.window(this.offset, length);
    this.fault = frameBodyFault(this.bytes, this.view, at);
    if (this.fault !== '') return 'bad records';
    this.#frameOffset = this.offset;
    this.#frameChain = this.chain;
    this.#frameEpoch = this.epoch;
    this.recordsStart = at + frameHeaderBytes;
    this.recordsEnd = at + frameField.recordsEnd(this.view, at);
    this.recordCount = frameField.recordCount(this.view, at);
    this.frameSequence = this.sequence;
    this.frameAtMs = frameField.atMs(this.view, at);
    this.chain = frameField.headerCrc(this.view, at);
    this.epoch = frameField.epoch(this.view, at);
    this.sequence += this.recordCount;
    this.offset += length;
    return 'frame';
  }

  /** Steps back before the frame that read() just found, so that it finds it again. */
  unread(): void {
    this.offset = this.#frameOffset;
    this.chain = this.#frameChain;
    this.epoch = this.#frameEpoch;
    this.sequence = this.frameSequence;
  }

  /** Forgets what was read ahead: a live reader may have read a place before the writer filled it. */
  refresh(): void {
    this.#windowBytes = 0;
  }

  /**
   * Brings [offset, offset + length) of the file into the window; bytes past the end of the file read as zero.
   * @returns where it begins in `bytes`
   */
  window(offset: number, length: number): number {
    const at = offset - this.#windowStart;
    if (at >= 0 && at + length <= this.#windowBytes) return at;
    const wanted = Math.min(this.bytes.length, Math.max(length, this.#readaheadBytes));
    const count = this.#storage.pread(this.#file, this.bytes, 0, wanted, offset);
    this.bytes.fill(0, count, wanted);
    this.#windowStart = offset;
    this.#windowBytes = wanted;
    return 0;
  }

  corrupt(detail: string, offset = this.offset): JournalCorruptError {
    return new JournalCorruptError(this.path, offset, this.sequence, detail);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#storage.close(this.#file);
  }
}

/** What is wrong with `next` as the segment after `sealed`, which was read to its end; '' when it continues the log. */
export function successorFault(sealed: SegmentReader, next: SegmentHeader): string {
  if (next.partition !== sealed.header.partition) return `it belongs to partition ${next.partition}`;
  if (next.partitionCount !== sealed.header.partitionCount)
    return `it was written by ${next.partitionCount} partitions`;
  if (next.firstSequence !== sealed.sequence) {
    return (
      `it begins with record ${next.firstSequence}, but the segment before it ends before record ` +
      `${sealed.sequence}`
    );
  }
  if (next.epoch < sealed.epoch) return `it is of epoch ${next.epoch} behind epoch ${sealed.epoch}`;
  if (next.chainSeed !== sealed.chain) return 'it does not follow the last frame of the segment before it (chain)';
  return '';
}
