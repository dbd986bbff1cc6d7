/**
 * Finds where a journal ends after a stop of any kind. It decides whether the end is clean, torn or damaged, and makes
 * it writable again.
 *
 * Only one frame can be in flight, and nothing follows it, so a crash leaves at most one unfinished frame, at the very
 * end. It was never acknowledged: it is cut off and reported. Everything else that is not as written is damage and
 * stops the start (segment.ts says how the two differ). Flipped bits in the unused zeros are found as well. After the
 * records of a sealed segment they are harmless and noted. After the end they are reported as a cut, or as damage where
 * a crash could not have put them. Either way no record is lost and the rewrite clears them.
 */
import { join } from 'node:path';
import { JournalCorruptError, JournalPartitionCountError, JournalPositionError } from './journal-errors.js';
import {
  firstNonZero,
  frameField,
  frameHeaderBytes,
  isFrameUnfinished,
  isHeaderCutShort,
  isLaterFrameHeader,
  type SegmentHeader,
  sectorBytes,
} from './segment.js';
import { listJournalFiles, removeMaking, segmentName } from './segment-files.js';
import { type FrameFound, SegmentReader, successorFault } from './segment-reader.js';
import type { FileId, Storage } from './storage.js';

const readaheadBytes = 1 << 20;
const frameStepBytes = 64;

/** A frame that was being written when the process or the machine stopped; no answer about its records was sent. */
export interface TornTail {
  readonly file: string;
  /** Byte in the file where the frame began and the log now ends. */
  readonly offset: number;
  readonly detail: string;
}

export interface JournalScan {
  readonly header: SegmentHeader;
  /** First record in the oldest segment (or the one that will be the first). */
  readonly firstSequence: number;
  /** Last record; firstSequence − 1 when there is none. */
  readonly lastSequence: number;
  /** Where the last segment's last frame begins, in bytes; endOffset when it has none. */
  readonly lastFrameOffset: number;
  /** Where the next frame goes in the last segment, in bytes. */
  readonly endOffset: number;
  readonly chain: number;
  /** The highest that any frame or segment carries; 0 when all are older than epochs. */
  readonly epoch: number;
  readonly segmentCount: number;
  readonly torn: TornTail | undefined;
  /** Oddities that hurt nothing, one sentence each. */
  readonly notes: readonly string[];
}

export interface JournalPlace {
  readonly storage: Storage;
  /** Folder of the partition's journal. */
  readonly directory: string;
  readonly partition: number;
  readonly partitionCount: number;
  /**
   * A copy that this process has just written (journal-copy.ts): no crash can have left anything behind its end. To
   * read the unused megabytes would hold up the partitions that share the thread.
   */
  readonly isCopy?: boolean;
}

/**
 * Reads and checks the whole journal without changing it.
 * @returns undefined when there is no segment
 * @throws JournalCorruptError, JournalPartitionCountError
 */
export function scanJournal(place: JournalPlace): JournalScan | undefined {
  const { storage, directory } = place;
  const { segments } = listJournalFiles(storage, directory);
  if (segments.length === 0) return undefined;
  const notes: string[] = [];
  let reader = openChecked(place, segments[0]!);
  const { firstSequence } = reader.header;
  try {
    for (let index = 0; ; index++) {
      let found = reader.read();
      while (found === 'frame') found = reader.read();
      const number = segments[index + 1];
      if (number === undefined) {
        const isClean = place.isCopy === true && (found === 'zero' || found === 'full');
        const torn = isClean ? undefined : judgeEnd(reader, found, notes);
        return {
          header: reader.header,
          firstSequence,
          lastSequence: reader.sequence - 1,
          lastFrameOffset: reader.lastFrameOffset,
          endOffset: reader.offset,
          chain: reader.chain,
          epoch: reader.epoch,
          segmentCount: segments.length,
          torn,
          notes,
        };
      }
      const next = openNext(place, reader, number);
      const broken = successorFault(reader, next.header);
      if (broken !== '') {
        next.close();
        if (found === 'bad header' || found === 'bad records') throw reader.corrupt(reader.fault);
        throw reader.corrupt(`the records end here, but ${segmentName(number)} does not go on from here: ${broken}`);
      }
      // The next segment's header names this very end, so what follows here was never part of the log.
      if (found === 'bad header' || found === 'bad records') {
        notes.push(`${reader.path}: unused bytes at ${reader.offset} are not zero; no record is concerned`);
      }
      reader.close();
      reader = next;
    }
  } finally {
    reader.close();
  }
}

function openChecked(place: JournalPlace, number: number): SegmentReader {
  const path = join(place.directory, segmentName(number));
  const reader = SegmentReader.open(place.storage, path, number, readaheadBytes);
  const { partition, partitionCount, firstSequence } = reader.header;
  if (partition === place.partition && partitionCount === place.partitionCount) return reader;
  reader.close();
  if (partition !== place.partition) {
    throw new JournalCorruptError(path, 0, firstSequence, `the segment belongs to partition ${partition}`);
  }
  throw new JournalPartitionCountError(place.directory, partitionCount, place.partitionCount);
}

function openNext(place: JournalPlace, reader: SegmentReader, number: number): SegmentReader {
  if (number !== reader.segmentNumber + 1) {
    throw reader.corrupt(`${segmentName(reader.segmentNumber + 1)} is missing, ${segmentName(number)} is there`);
  }
  return openChecked(place, number);
}

/** Decides what the invalid frame at the end of the last segment is. Returns undefined for a clean end. */
function judgeEnd(reader: SegmentReader, found: FrameFound, notes: string[]): TornTail | undefined {
  const torn = (detail: string): TornTail => ({ file: reader.path, offset: reader.offset, detail });
  const fileEnd = reader.segmentBytes;
  switch (found) {
    case 'frame':
      throw reader.corrupt('the end was judged before it was reached');
    case 'full':
      if (nonZeroFrom(reader, reader.offset) < fileEnd) {
        notes.push(`${reader.path}: unused bytes after ${reader.offset} are not zero; no record is concerned`);
      }
      return undefined;
    case 'zero': {
      const first = nonZeroFrom(reader, reader.offset);
      if (first === fileEnd) return undefined;
      // The sector that would hold the header was not written, so all of it must be zero …
      const sectorEnd = Math.floor(reader.offset / sectorBytes) * sectorBytes + sectorBytes;
      if (first < sectorEnd)
        throw reader.corrupt(`there is no frame header, but byte ${first} of its sector is not zero`);
      // … and one frame reaches only so far.
      const beyond = nonZeroFrom(reader, reader.offset + reader.frameBytesMax);
      if (beyond < fileEnd) throw reader.corrupt(`there is no frame header, but data as far as byte ${beyond}`);
      const later = laterFrame(reader);
      if (later >= 0) throw reader.corrupt(`there is no frame header, but a later frame at byte ${later}`);
      return torn('the sector with the frame header was not written');
    }
    case 'bad header': {
      const at = reader.window(reader.offset, frameHeaderBytes);
      if (isHeaderCutShort(reader.view, at) && nonZeroFrom(reader, reader.offset + frameHeaderBytes) === fileEnd) {
        return torn('the frame header was written in part');
      }
      throw reader.corrupt(reader.fault);
    }
    case 'bad records': {
      const { fault } = reader;
      let at = reader.window(reader.offset, frameHeaderBytes);
      const length = frameField.bytes(reader.view, at);
      const beyond = nonZeroFrom(reader, reader.offset + length);
      if (beyond < fileEnd) throw reader.corrupt(`${fault}, and there is data behind the frame at byte ${beyond}`);
      at = reader.window(reader.offset, length);
      if (!isFrameUnfinished(reader.bytes, reader.view, at, reader.offset)) throw reader.corrupt(fault);
      return torn('a part of the frame was not written');
    }
  }
}

/** File offset of the first byte at or after `from` that is not zero, or the size of the file. */
function nonZeroFrom(reader: SegmentReader, from: number): number {
  for (let offset = from; offset < reader.segmentBytes; ) {
    const length = Math.min(reader.bytes.length, reader.segmentBytes - offset);
    const at = reader.window(offset, length);
    const found = firstNonZero(reader.bytes, at, at + length) - at;
    if (found < length) return offset + found;
    offset += length;
  }
  return reader.segmentBytes;
}

/** File offset of a frame header of this record or a later one within reach of the frame at the reader, or −1. */
function laterFrame(reader: SegmentReader): number {
  const end = Math.min(reader.segmentBytes, reader.offset + reader.frameBytesMax);
  const at = reader.window(reader.offset, end - reader.offset);
  for (let step = 0; reader.offset + step + frameHeaderBytes <= end; step += frameStepBytes) {
    if (isLaterFrameHeader(reader.bytes, reader.view, at + step, reader.sequence)) return reader.offset + step;
  }
  return -1;
}

/**
 * Throws when the journal and Postgres cannot be joined. No gap may lie between the settled records and the journal,
 * and the journal must not end before the settled position.
 */
export function assertPosition(place: JournalPlace, first: number, last: number, settledSequence: number): void {
  if (last < settledSequence || first > settledSequence + 1) {
    throw new JournalPositionError(place.partition, first, last, settledSequence);
  }
}

/**
 * Removes half-made files, then makes the end of the journal durable and writable where it is. The last frame is
 * written again, the possible remains of a torn one after it are zeroed, and both are synced. The bytes that were read
 * may be a page that a failed fdatasync never wrote and marked clean. Appending after it would bury records that are
 * only in memory. Nothing before the last frame can be such a page: a frame is begun when the one before it is on the
 * disk.
 *
 * A crash in here leaves each sector as it was or as it is written. So the last frame is whole, or torn and never
 * answered, and after it comes a part of the earlier bytes.
 * @returns the last segment, open for writing at scan.endOffset
 */
export function rewriteEnd(place: JournalPlace, scan: JournalScan): FileId {
  const { storage, directory } = place;
  removeMaking(storage, directory, 'worker');
  const { number, segmentBytes, frameBytesMax } = scan.header;
  const { lastFrameOffset, endOffset } = scan;
  const file = storage.open(join(directory, segmentName(number)));
  try {
    const frame = new Uint8Array(endOffset - lastFrameOffset);
    if (frame.length > 0) {
      const count = storage.pread(file, frame, 0, frame.length, lastFrameOffset);
      storage.pwrite(file, frame, count, lastFrameOffset);
    }
    storage.preallocate(file, endOffset, Math.min(segmentBytes, endOffset + frameBytesMax));
    storage.fdatasync(file);
    return file;
  } catch (error) {
    storage.close(file);
    throw error;
  }
}
