/**
 * Makes segments and takes spares, for the thread that writes the journal. A segment gets its header before its name.
 * So a crash in between leaves a spare with a header, which is overwritten later, and never a segment without one.
 */
import { join } from 'node:path';
import { encodeSegmentHeader, type SegmentHeader, segmentHeaderBytes } from './segment.js';
import { listJournalFiles, makingName, segmentName } from './segment-files.js';
import type { FileId, Storage } from './storage.js';

/**
 * Makes the segment of `header` and returns it open. A spare needs a header write and two syncs; without a spare the
 * whole file is written first.
 * @throws ENOSPC or EDQUOT when there is no room, EMFILE or ENFILE when there is no file descriptor. No file is left
 * then, provided that this storage synced the folder before and keeps it open.
 */
export function makeSegment(storage: Storage, directory: string, header: SegmentHeader): FileId {
  const spare = openSpare(storage, directory, header.segmentBytes);
  const path = spare?.path ?? join(directory, makingName('worker', header.number));
  const file = spare?.file ?? makeZeroed(storage, path, header.segmentBytes);
  try {
    storage.pwrite(file, encodeSegmentHeader(header), segmentHeaderBytes, 0);
    storage.fdatasync(file);
    storage.rename(path, join(directory, segmentName(header.number)));
    // Before any frame goes in: a record in a file whose name may vanish would not be durable.
    storage.syncDirectory(directory);
    return file;
  } catch (error) {
    storage.close(file);
    throw error;
  }
}

function openSpare(storage: Storage, directory: string, bytes: number): { file: FileId; path: string } | undefined {
  for (const name of listJournalFiles(storage, directory).spares) {
    const path = join(directory, name);
    const file = storage.open(path);
    if (storage.size(file) === bytes) return { file, path };
    storage.close(file);
  }
  return undefined;
}

function makeZeroed(storage: Storage, path: string, bytes: number): FileId {
  storage.remove(path);
  const file = storage.create(path);
  try {
    storage.preallocate(file, 0, bytes);
    return file;
  } catch (error) {
    storage.close(file);
    storage.remove(path);
    throw error;
  }
}
