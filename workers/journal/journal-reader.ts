/**
 * Walks the frames of a partition's journal in order, across segments, up to a record that is known to be durable. For
 * replay at start and for the shipper, which follows a journal that is being written. Every frame at or before the
 * durable record must be there and right, so anything else is damage. Not for finding the end: see journal-recovery.ts.
 */
import { join } from 'node:path';
import { JournalCorruptError, JournalPartitionCountError, JournalPositionError } from './journal-errors.js';
import { frameHeaderBytes } from './segment.js';
import { listJournalFiles, segmentName } from './segment-files.js';
import { SegmentReader, successorFault } from './segment-reader.js';
import type { Storage } from './storage.js';

/** A live reader mostly finds a few frames: reading more ahead would copy zeros. */
const readaheadBytesDefault = 256 * 1024;

export interface JournalReaderOptions {
  readonly storage: Storage;
  /** Folder of the partition's journal. */
  readonly directory: string;
  readonly partition: number;
  readonly partitionCount: number;
  readonly readaheadBytes?: number;
}

export class JournalReader {
  readonly #options: JournalReaderOptions;
  #reader: SegmentReader | undefined;

  constructor(options: JournalReaderOptions) {
    this.#options = options;
  }

  /**
   * Goes to the frame that holds record `sequence`; the next call of next() returns it.
   * @param durableSequence the last record known to be on disk; `sequence` may be one past it
   * @throws JournalPositionError when the journal does not reach from `sequence` to there
   */
  seek(sequence: number, durableSequence: number): void {
    this.close();
    const { storage, directory, partition } = this.#options;
    const { segments } = listJournalFiles(storage, directory);
    let firstSequence = durableSequence + 1;
    for (let index = segments.length - 1; index >= 0; index--) {
      const reader = this.#openSegment(segments[index]!);
      firstSequence = reader.header.firstSequence;
      if (firstSequence <= sequence) {
        this.#reader = reader;
        break;
      }
      reader.close();
    }
    if (this.#reader === undefined || sequence > durableSequence + 1) {
      this.close();
      throw new JournalPositionError(partition, firstSequence, durableSequence, sequence - 1);
    }
    while (this.frame.sequence < sequence) {
      if (!this.next(durableSequence))
        throw this.frame.corrupt('the journal ends before a record that was acknowledged');
      if (this.frame.sequence > sequence) {
        // It is inside this frame: give the frame again.
        this.frame.unread();
        return;
      }
    }
  }

  /** The segment being read; frame fields and bytes are on it. Throws before seek(). */
  get frame(): SegmentReader {
    if (this.#reader === undefined) throw new Error('seek first');
    return this.#reader;
  }

  /**
   * Reads the next frame when it is durable. Its fields are then on `frame`, good until the next call.
   * @returns false when everything up to `durableSequence` was read
   * @throws JournalCorruptError when a frame that must be there is not
   */
  next(durableSequence: number): boolean {
    let reader = this.frame;
    let refreshed = false;
    while (reader.sequence <= durableSequence) {
      const found = reader.read();
      if (found === 'frame') return true;
      // The window may show the place as it was before the writer came: look again before judging.
      if (!refreshed) {
        refreshed = true;
        reader.refresh();
        continue;
      }
      reader = this.#advance(reader, found === 'zero' || found === 'full' ? 'the segment ends early' : reader.fault);
      refreshed = false;
    }
    return false;
  }

  close(): void {
    this.#reader?.close();
    this.#reader = undefined;
  }

  /** Steps to the next segment. That it continues the log proves that nothing was missing at the end of this one. */
  #advance(reader: SegmentReader, fault: string): SegmentReader {
    const { storage, directory } = this.#options;
    const number = reader.segmentNumber + 1;
    if (!storage.list(directory).includes(segmentName(number)))
      throw reader.corrupt(`${fault}, and there is no ${segmentName(number)}`);
    const next = this.#openSegment(number);
    const broken = successorFault(reader, next.header);
    if (broken !== '') {
      next.close();
      throw reader.corrupt(`${fault}; ${segmentName(number)} does not continue it: ${broken}`);
    }
    reader.close();
    this.#reader = next;
    return next;
  }

  #openSegment(number: number): SegmentReader {
    const { storage, directory, partition, partitionCount, readaheadBytes = readaheadBytesDefault } = this.#options;
    const path = join(directory, segmentName(number));
    const reader = SegmentReader.open(storage, path, number, readaheadBytes);
    const { header } = reader;
    if (header.partition === partition && header.partitionCount === partitionCount) return reader;
    reader.close();
    if (header.partition !== partition) {
      throw new JournalCorruptError(
        path,
        0,
        header.firstSequence,
        `the segment belongs to partition ${header.partition}`,
      );
    }
    throw new JournalPartitionCountError(directory, header.partitionCount, partitionCount);
  }
}

/**
 * Called with each record: it stands at `offset` of `bytes` (`view` is over the same memory) until the call returns.
 * `location` is where JournalWriter.read() finds it again; `atMs` the time of its batch, wall clock milliseconds.
 */
export type RecordVisitor = (
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  sequence: number,
  location: number,
  atMs: number,
) => void;

/** Visits records `fromSequence` to `toSequence` of a journal, in order. Returns how many. */
export function replayJournal(
  options: JournalReaderOptions,
  fromSequence: number,
  toSequence: number,
  visit: RecordVisitor,
): number {
  if (fromSequence > toSequence) return 0;
  const reader = new JournalReader({ readaheadBytes: 1 << 20, ...options });
  let count = 0;
  try {
    reader.seek(fromSequence, toSequence);
    while (reader.next(toSequence)) {
      const { bytes, view, recordsEnd, frameAtMs, frameLocation } = reader.frame;
      const locationBase = frameLocation + frameHeaderBytes - reader.frame.recordsStart;
      let { recordsStart: offset, frameSequence: sequence } = reader.frame;
      for (; offset < recordsEnd && sequence <= toSequence; sequence++) {
        if (sequence >= fromSequence) {
          visit(bytes, view, offset, sequence, locationBase + offset, frameAtMs);
          count++;
        }
        offset += view.getUint16(offset, true);
      }
    }
  } finally {
    reader.close();
  }
  return count;
}
