/**
 * What the journal tests share: a journal in memory or on disk, batches of arbitrary records, and reading it all back.
 */
import type { JournalSizes } from '../../engine/exchange/journal-sizes.js';
import { createProgress, type PartitionProgress } from '../../engine/exchange/progress.js';
import type { FrameSink } from '../journal/frame-sink.js';
import { type JournalOptions, type JournalWriter, type OpenedJournal, openJournal } from '../journal/journal.js';
import { replayJournal } from '../journal/journal-reader.js';
import { partitionDirectory } from '../journal/segment-files.js';
import type { Storage } from '../journal/storage.js';

/** Segments of a few frames, so that tests roll, run full and recycle all the time. */
export const journalSizesTiny: JournalSizes = { segmentBytes: 4096, frameBytesMax: 2048, segmentsMax: 8 };

export interface Fixture {
  readonly options: JournalOptions;
  readonly progress: PartitionProgress;
  /** @param sink where frames go; default: written and synced at once */
  open(sink?: FrameSink): OpenedJournal;
  /** Records from `from` to the end, as they were appended. */
  readAll(from?: number): Uint8Array[];
}

export function journalFixture(
  storage: Storage,
  root = '/journal',
  more: Partial<Pick<JournalOptions, 'partition' | 'partitionCount' | 'settledSequence' | 'epoch' | 'nowMs'>> & {
    sizes?: Partial<JournalSizes>;
  } = {},
): Fixture {
  const partition = more.partition ?? 0;
  const progress = createProgress(1).partitions[0]!;
  storage.makeDirectory(root);
  const options: JournalOptions = {
    storage,
    directory: partitionDirectory(root, partition),
    partitionCount: 1,
    settledSequence: 0,
    epoch: 1,
    ...more,
    partition,
    progress,
    sizes: { ...journalSizesTiny, ...more.sizes },
  };
  return {
    options,
    progress,
    open: (sink) => openJournal(sink === undefined ? options : { ...options, sink }),
    readAll(from = 1) {
      const records: Uint8Array[] = [];
      replayJournal(options, from, progress.durableSequence, (bytes, view, offset) => {
        records.push(bytes.slice(offset, offset + view.getUint16(offset, true)));
      });
      return records;
    },
  };
}

/** A record as the journal sees it: a u16 length and bytes. */
export function record(body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(body.length + 2);
  bytes.set(body, 2);
  bytes[0] = bytes.length & 255;
  bytes[1] = bytes.length >> 8;
  return bytes;
}

/** A record of `length` bytes that holds `sequence`, so that a reader can tell it. */
export function numbered(sequence: number, length = 40): Uint8Array {
  const body = new Uint8Array(length - 2).fill(1 + (sequence % 250));
  new DataView(body.buffer).setFloat64(0, sequence, true);
  return record(body);
}

/** Appends one batch. @returns the last sequence, or −1 when reserve() declined */
export function append(writer: JournalWriter, records: readonly Uint8Array[], atMs = 1000): number {
  let total = 0;
  for (const bytes of records) total += bytes.length;
  if (!writer.reserve(total)) return -1;
  let end = writer.recordsStart;
  for (const bytes of records) {
    writer.frame.set(bytes, end);
    end += bytes.length;
  }
  return writer.append(end, records.length, atMs);
}
