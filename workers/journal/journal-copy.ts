/**
 * Makes the copy of a journal whose frames are in Postgres: segments, as a local journal has them, with what is not
 * settled. The partition replays it, reads records back from it, and the shipper settles from it.
 */
import { join } from 'node:path';
import type { FrameLog } from './frame-log.js';
import { emptyScan, firstSegmentHeader, type JournalOptions, JournalWriter } from './journal.js';
import { makeSegment } from './segment-maker.js';

export type CopyOptions = Omit<JournalOptions, 'sink' | 'scanned' | 'settledRecord'>;

/**
 * Puts the frames behind the settled position into a folder, in place of what stands there.
 * @param nextSequence of the record behind the last frame
 * @returns how many frames it has
 * @throws when they do not fit into the bounds of a journal, or do not follow each other
 */
export async function copyJournal(
  options: CopyOptions,
  log: Pick<FrameLog, 'framesBehind'>,
  nextSequence: number,
): Promise<number> {
  const { storage, directory, settledSequence } = options;
  storage.makeDirectory(directory);
  for (const name of storage.list(directory)) storage.remove(join(directory, name));
  let writer: JournalWriter | null = null;
  let frames = 0;
  let next = settledSequence + 1;
  try {
    const isSettled = next === nextSequence;
    for await (const { firstSequence, recordCount, atMs, records } of isSettled
      ? []
      : log.framesBehind(settledSequence)) {
      writer ??= openCopy(options, firstSequence);
      if (writer.nextSequence !== firstSequence) throw gap(options.partition, writer.nextSequence, firstSequence);
      if (!writer.reserve(records.length)) {
        throw new Error(
          `partition ${options.partition}: more is waiting to be settled than fits: start with a larger ` +
            'JOURNAL_SEGMENTS_MAX',
        );
      }
      writer.frame.set(records, writer.recordsStart);
      writer.append(writer.recordsStart + records.length, recordCount, atMs);
      next = writer.nextSequence;
      frames++;
    }
    writer ??= openCopy(options, next);
    if (next !== nextSequence) throw gap(options.partition, next, nextSequence);
  } finally {
    writer?.close();
  }
  return frames;
}

function openCopy(options: CopyOptions, firstSequence: number): JournalWriter {
  const header = firstSegmentHeader(options, 1, firstSequence);
  const file = makeSegment(options.storage, options.directory, header);
  return new JournalWriter(options, emptyScan(header), file);
}

function gap(partition: number, wanted: number, found: number): Error {
  return new Error(
    `partition ${partition}: record ${wanted} should be the next one in journal_frames or behind what is settled, ` +
      `and it is record ${found}: frames are missing, or the database was restored in part`,
  );
}
