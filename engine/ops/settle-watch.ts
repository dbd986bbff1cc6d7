/**
 * Watches the progress of settling. It is stalled when records wait and the settled position has not moved for long.
 * The reason may be an absent Postgres, a lock or a shipper that hangs. And what settling has set apart.
 */
import type { PartitionProgress } from '../exchange/progress.js';
import type { Quarantine } from '../lookups/lapsed.js';

/** Work that waits without progress for so long is a fault. Milliseconds. */
export const stallMsMax = 30_000;

interface Watched {
  readonly progress: PartitionProgress;
  settled: number;
  /** Since when nothing has moved, although records wait. */
  sinceMs: number;
}

export class SettleWatch {
  readonly #partitions: Watched[];
  quarantine: Quarantine = { count: 0, oldest: '' };

  /** @param nowMs monotonic milliseconds, as in look() */
  constructor(partitions: readonly PartitionProgress[], nowMs: number) {
    this.#partitions = partitions.map((progress) => ({ progress, settled: -1, sinceMs: nowMs }));
  }

  /** Called about once a second. */
  look(nowMs: number): void {
    for (const watched of this.#partitions) {
      const { settledSequence, durableSequence } = watched.progress;
      // Before the shipper has read its position it is −1: what is durable waits all the same.
      const waits = durableSequence > Math.max(0, settledSequence);
      if (!waits || settledSequence !== watched.settled) watched.sinceMs = nowMs;
      watched.settled = settledSequence;
    }
  }

  /** The partition that has waited longest, when that is too long. */
  stalled(nowMs: number): { readonly partition: number; readonly forMs: number; readonly records: number } | null {
    let longest = 0;
    for (const [partition, { sinceMs }] of this.#partitions.entries()) {
      if (sinceMs < this.#partitions[longest]!.sinceMs) longest = partition;
    }
    const { sinceMs, progress } = this.#partitions[longest]!;
    const forMs = nowMs - sinceMs;
    if (forMs < stallMsMax) return null;
    const records = progress.durableSequence - Math.max(0, progress.settledSequence);
    return { partition: longest, forMs, records };
  }
}
