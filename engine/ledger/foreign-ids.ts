/**
 * Ids of partitions that other engines own. The same id with a card of another partition is a conflict only where the
 * front knows it. The others report each id that they see first. That may be lost, and what was journaled may not. So
 * the newest ids are read again whenever another engine has connected: those of frames that are not settled, and
 * settled ones.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../lookups/database.js';
import { forEachFrameId, forEachSeenId } from '../lookups/seen-chunk.js';

/** Of a partition: a few minutes of its share of 10,000 messages a second. Older ones are repeated by no client. */
const idsMax = 200_000;
/** Between two reads: lookups of messages come first. */
const pauseMs = 20;
/** The pause is at least so many times as long as the read was: Postgres and this engine have messages to decide. */
const pauseShare = 3;

export interface ForeignIdsOptions {
  readonly database: Pick<Database, 'seenBefore' | 'newestFrames'>;
  readonly partitionCount: number;
  /** This engine is the owner: its host reads the ids itself. */
  isOurs(partition: number): boolean;
  /** @returns whether it was new */
  learn(low: number, high: number, partition: number, sequence: number): boolean;
  isStopped(): boolean;
}

export class ForeignIds {
  readonly #options: ForeignIdsOptions;
  #reading: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ForeignIdsOptions) {
    this.#options = options;
  }

  /** Reads the newest ids of each partition: a start waits for it. Never rejects. */
  async readNewest(): Promise<void> {
    await this.#each((partition) => this.#read(partition, 1));
  }

  /** Reads as many as are remembered, in the background. */
  readAll(): void {
    void this.#each((partition) => this.#read(partition, idsMax));
  }

  /** Reads what was missed, back to what is known. Asked for again meanwhile, it waits again. */
  catchUpIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#each((partition) => this.#read(partition, idsMax, true)), ms).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** One after the other, and one read at a time. Where Postgres is away, what was read so far has to do. */
  #each(read: (partition: number) => Promise<void>): Promise<void> {
    const { partitionCount, isOurs } = this.#options;
    this.#reading = this.#reading.then(async () => {
      for (let partition = 0; partition < partitionCount; partition++) {
        if (!isOurs(partition)) await read(partition).catch(() => undefined);
      }
    });
    return this.#reading;
  }

  async #read(partition: number, most: number, stopsAtKnown = false): Promise<void> {
    const { database, learn, isOurs, isStopped } = this.#options;
    let news = 0;
    const take = (low: number, high: number, sequence: number) => {
      if (learn(low, high, partition, sequence)) news++;
    };
    // First: what is settled meanwhile is found behind it.
    for (let before = Number.MAX_SAFE_INTEGER; before > 0 && !isStopped(); ) {
      const { frames, isLast } = await database.newestFrames(partition, before);
      for (const { firstSequence, records } of frames) forEachFrameId(records, firstSequence, take);
      before = isLast ? 0 : frames.at(-1)!.position;
    }
    let before = Number.MAX_SAFE_INTEGER;
    for (let read = 0; read < most && !isOurs(partition) && !isStopped(); ) {
      news = 0;
      const beganMs = performance.now();
      const { message, count, oldestSequence } = await database.seenBefore(partition, before);
      forEachSeenId(message, take);
      if (count === 0 || oldestSequence <= 1 || (stopsAtKnown && news === 0)) break;
      read += count;
      before = oldestSequence;
      if (read < most) await delay(Math.max(pauseMs, pauseShare * (performance.now() - beganMs)));
    }
  }
}
