/**
 * The ids of messages as Postgres gives them. Of settled ones: hashes with their journal sequences, a stretch at a
 * time. Of others: the frames of the journal.
 */
import { hash64, hashHigh, hashLow } from '../core/hash.js';
import type { PartitionRows } from '../core/partition-rows.js';
import { RecordOffset, recordFixedBytes } from '../core/record.js';

/** Calls `visit` with the hash of each id in the message; a record without an id has none. */
export function forEachSeenId(
  { seen }: Pick<PartitionRows, 'seen'>,
  visit: (low: number, high: number, sequence: number) => void,
): void {
  if (seen === undefined) return;
  const sequences = Buffer.from(seen.sequences, 'base64');
  const hashes = Buffer.from(seen.hashes, 'base64');
  for (let offset = 0; offset < hashes.length; offset += 8) {
    const [low, high] = [hashes.readUInt32BE(offset + 4), hashes.readUInt32BE(offset)];
    if (low !== 0 || high !== 0) visit(low, high, sequences.readDoubleBE(offset));
  }
}

/** Calls `visit` with the hash of each id in the records of a frame; a record without an id has none. */
export function forEachFrameId(
  records: Buffer,
  firstSequence: number,
  visit: (low: number, high: number, sequence: number) => void,
): void {
  let sequence = firstSequence;
  for (let offset = 0; offset < records.length; sequence++) {
    const id = offset + recordFixedBytes;
    const idLength = records.readUInt16LE(offset + RecordOffset.idLength);
    if (idLength > 0) {
      hash64(records, id, id + idLength);
      visit(hashLow, hashHigh, sequence);
    }
    offset += Math.max(recordFixedBytes, records.readUInt16LE(offset + RecordOffset.length));
  }
}
