/** The ids of settled messages as Postgres gives them: hashes with their journal sequences, a stretch at a time. */
import type { PartitionRows } from '../core/partition-rows.js';

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
