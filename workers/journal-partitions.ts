/**
 * Changing the number of partitions. Accounts are divided among the partitions by their number, so records of another
 * number cannot be replayed; but once Postgres has them all, the old journals have served and may go.
 *
 * At start, before any journal is opened: checkPartitionCount; when it answers 'drained', change the number in
 * journal_positions, keeping each partition's sequence; then adoptPartitionCount. A crash anywhere leaves segments of
 * the old number, so the next start does all of it again.
 */
import { join } from 'node:path';
import { firstSegmentHeader } from './journal.js';
import { JournalPartitionCountError } from './journal-errors.js';
import { scanJournal } from './journal-recovery.js';
import type { SegmentSizes } from './segment.js';
import { listJournalFiles, partitionDirectory, segmentName } from './segment-files.js';
import { makeSegment } from './segment-maker.js';
import { SegmentReader } from './segment-reader.js';
import type { Storage } from './storage.js';

export interface PartitionsPlace {
  readonly storage: Storage;
  /** Folder that holds the folders of all partitions. */
  readonly root: string;
  /** How many partitions this start has. */
  readonly partitionCount: number;
  /** The last record settled for a partition, whatever the number of partitions was then; 0 when none. */
  readonly shippedSequenceOf: (partition: number) => number;
}

/** A segment written by another number of partitions. */
interface ForeignSegment {
  readonly partition: number;
  readonly number: number;
  readonly partitionCount: number;
}

/**
 * 'same' when nothing of another number is there; 'drained' when there is but Postgres has all of it.
 * @throws JournalPartitionCountError when records of another number are not settled yet
 */
export function checkPartitionCount(place: PartitionsPlace): 'same' | 'drained' {
  const foreign = foreignSegments(place);
  const checked = new Set<number>();
  for (const { partition, partitionCount } of foreign) {
    if (checked.has(partition)) continue;
    checked.add(partition);
    const directory = partitionDirectory(place.root, partition);
    // In the middle of a change the newest segment is of the new number already, and the old ones were found drained.
    if (
      listJournalFiles(place.storage, directory).segments.length !==
      foreign.filter((s) => s.partition === partition).length
    )
      continue;
    const last = scanJournal({ storage: place.storage, directory, partition, partitionCount })?.lastSequence ?? 0;
    const shipped = place.shippedSequenceOf(partition);
    if (last > shipped) {
      const detail = `records ${shipped + 1} to ${last} of partition ${partition} are not settled in Postgres yet`;
      throw new JournalPartitionCountError(directory, partitionCount, place.partitionCount, detail);
    }
  }
  return foreign.length === 0 ? 'same' : 'drained';
}

/** Begins every partition's journal anew behind what is settled and removes the old segments. Only after 'drained'. */
export function adoptPartitionCount(place: PartitionsPlace & { readonly sizes: SegmentSizes }): void {
  const { storage, root, partitionCount, sizes } = place;
  const foreign = foreignSegments(place);
  if (foreign.length === 0) return;
  // All new ones before any old one goes: as long as an old one is there, the next start knows that a change is on and
  // that an empty folder is not a lost journal.
  for (let partition = 0; partition < partitionCount; partition++) {
    const directory = partitionDirectory(root, partition);
    storage.makeDirectory(directory);
    const { segments } = listJournalFiles(storage, directory);
    const old = foreign.filter((segment) => segment.partition === partition).length;
    if (segments.length > old) continue;
    const journal = { storage, directory, partition, partitionCount, sizes };
    const header = firstSegmentHeader(journal, (segments.at(-1) ?? 0) + 1, place.shippedSequenceOf(partition) + 1);
    storage.close(makeSegment(storage, directory, header));
  }
  for (const { partition, number } of foreign) {
    const directory = partitionDirectory(root, partition);
    storage.remove(join(directory, segmentName(number)));
    storage.syncDirectory(directory);
  }
}

function foreignSegments(place: PartitionsPlace): ForeignSegment[] {
  const found: ForeignSegment[] = [];
  for (const name of place.storage.list(place.root)) {
    if (!/^p\d{1,4}$/.test(name)) continue;
    const directory = join(place.root, name);
    for (const number of listJournalFiles(place.storage, directory).segments) {
      const reader = SegmentReader.open(place.storage, join(directory, segmentName(number)), number, 0);
      const { partitionCount } = reader.header;
      reader.close();
      if (partitionCount !== place.partitionCount)
        found.push({ partition: Number(name.slice(1)), number, partitionCount });
    }
  }
  return found;
}
