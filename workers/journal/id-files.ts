/**
 * Ids of settled messages beside the journal. When a segment is retired, the hashes of its messages' ids stay in a
 * file, 8 bytes each, as many as are remembered. A start knows from them in a moment which ids are not new; without
 * them it asks Postgres, millions of rows. Made by the shipper's thread, read by the partition's.
 *
 *   ids-0000000007     header of 64 bytes, then the hash of each record's id in the order of the segment, low u32,
 *                      high u32; zeros where a record has no id. Little-endian.
 *     0 8 bytes magic "AFWIDS_1"   8 u32 partition   12 u32 partition count   16 u32 segment number   20 u32 records
 *    24 f64 first sequence        32 u32 CRC32C of the hashes   36 u32 CRC32C of bytes 0..36
 *
 * Only a help: a file that is missing, torn or of another journal is as good as none.
 */
import { join } from 'node:path';
import { crc32c } from '@node-rs/crc32';
import { hash64, hashHigh, hashLow } from '../../engine/core/hash.js';
import { RecordOffset, recordFixedBytes } from '../../engine/core/record.js';
import { segmentName } from './segment-files.js';
import { SegmentReader } from './segment-reader.js';
import type { Storage } from './storage.js';

const magic = Buffer.from('AFWIDS_1', 'latin1');
const headerBytes = 64;
const readaheadBytes = 1 << 20;

/** Ids of consecutive records. */
export interface IdStretch {
  readonly firstSequence: number;
  /** Lower and upper half of each record's hash in turn; both 0 for a record without an id. */
  readonly hashes: Uint32Array;
}

/** Whose ids they are. */
export interface IdOwner {
  readonly partition: number;
  readonly partitionCount: number;
}

interface IdFile extends IdOwner {
  readonly name: string;
  readonly count: number;
  readonly firstSequence: number;
  readonly bodyCrc: number;
}

function idFileName(segmentNumber: number): string {
  return segmentName(segmentNumber).replace('segment', 'ids');
}

/** Puts the hash of the record's id at `index` of `hashes`. */
export function hashRecordId(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  hashes: Uint32Array,
  index: number,
): void {
  const idLength = view.getUint16(offset + RecordOffset.idLength, true);
  if (idLength === 0) return;
  hash64(bytes, offset + recordFixedBytes, offset + recordFixedBytes + idLength);
  hashes[index * 2] = hashLow;
  hashes[index * 2 + 1] = hashHigh;
}

/**
 * Keeps the ids of a sealed segment that is about to go. Throws when it cannot: then they are only in Postgres.
 * @param endSequence of the record behind its last
 */
export function keepSegmentIds(storage: Storage, directory: string, number: number, endSequence: number): void {
  const reader = SegmentReader.open(storage, join(directory, segmentName(number)), number, readaheadBytes);
  try {
    const { firstSequence, partition, partitionCount } = reader.header;
    const hashes = new Uint32Array((endSequence - firstSequence) * 2);
    let index = 0;
    while (reader.read() === 'frame') {
      for (
        let offset = reader.recordsStart;
        offset < reader.recordsEnd;
        offset += reader.view.getUint16(offset, true)
      ) {
        hashRecordId(reader.bytes, reader.view, offset, hashes, index++);
      }
    }
    if (index * 2 !== hashes.length) throw reader.corrupt('the segment does not reach to the next one');
    writeIdFile(storage, directory, number, { partition, partitionCount }, { firstSequence, hashes });
  } finally {
    reader.close();
  }
}

/** Writes a file of ids under the number of their segment, durably. */
export function writeIdFile(
  storage: Storage,
  directory: string,
  number: number,
  owner: IdOwner,
  { firstSequence, hashes }: IdStretch,
): void {
  const body = new Uint8Array(hashes.buffer, hashes.byteOffset, hashes.byteLength);
  const bytes = new Uint8Array(headerBytes + body.length);
  const view = new DataView(bytes.buffer);
  bytes.set(magic, 0);
  view.setUint32(8, owner.partition, true);
  view.setUint32(12, owner.partitionCount, true);
  view.setUint32(16, number, true);
  view.setUint32(20, hashes.length / 2, true);
  view.setFloat64(24, firstSequence, true);
  view.setUint32(32, crc32c(body), true);
  view.setUint32(36, crc32c(bytes.subarray(0, 36)), true);
  bytes.set(body, headerBytes);
  const making = join(directory, `making-shipper-${idFileName(number)}`);
  storage.remove(making);
  const file = storage.create(making);
  try {
    storage.pwrite(file, bytes, bytes.length, 0);
    storage.fdatasync(file);
  } finally {
    storage.close(file);
  }
  storage.rename(making, join(directory, idFileName(number)));
  storage.syncDirectory(directory);
}

/** Removes the files whose ids are all older than `firstSequence`. */
export function removeOldIds(storage: Storage, directory: string, firstSequence: number): void {
  for (const file of idFiles(storage, directory)) {
    if (file.firstSequence + file.count <= firstSequence) storage.remove(join(directory, file.name));
  }
}

/**
 * The ids of the newest records that files have without a gap, oldest stretch first.
 * @param first no need to go further back than this record
 * @param last files behind it are left out: of segments that are still there, when a stop came between keeping their
 *   ids and retiring them
 */
export function readIds(
  storage: Storage,
  directory: string,
  owner: IdOwner,
  first: (last: number) => number,
  last = Number.MAX_SAFE_INTEGER,
): IdStretch[] {
  const files = idFiles(storage, directory)
    .filter(({ partition, partitionCount }) => partition === owner.partition && partitionCount === owner.partitionCount)
    .filter(({ firstSequence }) => firstSequence <= last)
    .sort((left, right) => left.firstSequence - right.firstSequence);
  const newest = files.at(-1);
  if (newest === undefined) return [];
  const stretches: IdStretch[] = [];
  let next = newest.firstSequence + newest.count;
  const from = first(next - 1);
  for (let file = files.pop(); file !== undefined && next > from; file = files.pop()) {
    const hashes = file.firstSequence + file.count === next ? readHashes(storage, directory, file) : null;
    if (hashes === null) break;
    stretches.unshift({ firstSequence: file.firstSequence, hashes });
    next = file.firstSequence;
  }
  return stretches;
}

function idFiles(storage: Storage, directory: string): IdFile[] {
  const files: IdFile[] = [];
  const bytes = new Uint8Array(headerBytes);
  const view = new DataView(bytes.buffer);
  for (const name of storage.list(directory)) {
    if (!name.startsWith('ids-')) continue;
    const file = storage.open(join(directory, name));
    bytes.fill(0);
    storage.pread(file, bytes, 0, headerBytes, 0);
    storage.close(file);
    if (magic.compare(bytes, 0, magic.length) !== 0) continue;
    if (crc32c(bytes.subarray(0, 36)) !== view.getUint32(36, true)) continue;
    files.push({
      name,
      partition: view.getUint32(8, true),
      partitionCount: view.getUint32(12, true),
      count: view.getUint32(20, true),
      firstSequence: view.getFloat64(24, true),
      bodyCrc: view.getUint32(32, true),
    });
  }
  return files;
}

function readHashes(storage: Storage, directory: string, { name, count, bodyCrc }: IdFile): Uint32Array | null {
  const hashes = new Uint32Array(count * 2);
  const body = new Uint8Array(hashes.buffer);
  const file = storage.open(join(directory, name));
  try {
    const read = storage.pread(file, body, 0, body.length, headerBytes);
    return read === body.length && crc32c(body) === bodyCrc ? hashes : null;
  } finally {
    storage.close(file);
  }
}
