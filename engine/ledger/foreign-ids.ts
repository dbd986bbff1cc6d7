/**
 * The newest ids of partitions that other engines own, read once, when this engine joins them: from then on the others
 * report new ones. The same id with a card of another partition is a conflict only where the front knows it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../lookups/database.js';
import { forEachSeenId } from '../lookups/seen-chunk.js';

/** Of a partition: a few minutes of its share of 10,000 messages a second. Older ones are repeated by no client. */
const idsMax = 200_000;
/** Between two reads: lookups of messages come first. */
const pauseMs = 20;

export interface ForeignIdsOptions {
  readonly database: Pick<Database, 'seenBefore'>;
  readonly partitionCount: number;
  /** This engine is the owner: its host reads the ids itself. */
  isOurs(partition: number): boolean;
  learn(low: number, high: number, partition: number, sequence: number): void;
  isStopped(): boolean;
}

/** Never rejects: where Postgres is away, what was read so far has to do. */
export async function readForeignIds(options: ForeignIdsOptions): Promise<void> {
  const { database, partitionCount, isOurs, learn, isStopped } = options;
  try {
    for (let partition = 0; partition < partitionCount; partition++) {
      let before = Number.MAX_SAFE_INTEGER;
      for (let read = 0; read < idsMax && !isOurs(partition) && !isStopped(); ) {
        const { message, count, oldestSequence } = await database.seenBefore(partition, before);
        forEachSeenId(message, (low, high, sequence) => learn(low, high, partition, sequence));
        if (count === 0 || oldestSequence <= 1) break;
        read += count;
        before = oldestSequence;
        await delay(pauseMs);
      }
    }
  } catch {
    // The next start reads them.
  }
}
