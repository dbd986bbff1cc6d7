/**
 * Whether the journals can take more. It looks at their disk, which may be another one than DATA_DIR's, and at the last
 * report of each partition's writer. A writer reports only when a message comes. Room that was made meanwhile counts
 * once the writer has refused nothing for a while, so that a full engine can become ready again without a message.
 */
import { join } from 'node:path';
import { diskOf } from '../../platform/process/disk.js';
import type { EngineConfig } from '../config.js';
import { journalRefusals, type PartitionProgress } from '../exchange/progress.js';

/** What the watch needs of a partition's host. */
export interface JournalOwner {
  readonly partition: number;
  readonly progress: PartitionProgress;
}

/** A refusal this recent counts, whatever room there seems to be: a quota is not seen in the free space. */
const recentMs = 2000;
const remedies = {
  'disk full': 'free space on the disk where the journal stands',
  'books lag': 'Postgres must take over the oldest records',
  'no file descriptor': 'raise the limit of open files (ulimit -n), or lower AUTH_CONNECTIONS_MAX',
} as const;

type Sizes = Pick<EngineConfig, 'journalSizes'>;

export class JournalRoom {
  readonly #config: Sizes;
  readonly #directory: string;
  readonly #owners: readonly JournalOwner[];
  readonly #nowMs: () => number;
  /** Free bytes where each partition's journal stands; null: unknown. */
  #freeBytes: (number | null)[] = [];
  /** Size of the journal's disk, the smallest of several; null: unknown. */
  diskBytes: number | null = null;
  readonly #seenBatches: number[] = [];
  readonly #refusedAtMs: number[] = [];

  /**
   * @param directory of all partitions' journals
   * @param nowMs monotonic milliseconds
   */
  constructor(
    config: Sizes,
    directory: string,
    owners: readonly JournalOwner[],
    nowMs: () => number = () => performance.now(),
  ) {
    this.#config = config;
    this.#directory = directory;
    this.#owners = owners;
    this.#nowMs = nowMs;
  }

  /** Looks at the disks. Call it every second. */
  async look(): Promise<void> {
    for (const owner of this.#owners) this.#noteRefusals(owner);
    const disks = await Promise.all(
      this.#owners.map(({ partition }) => diskOf(join(this.#directory, `p${partition}`))),
    );
    this.#freeBytes = disks.map((disk) => disk?.freeBytes ?? null);
    const sizes = disks.flatMap((disk) => disk?.bytes ?? []);
    this.diskBytes = sizes.length === 0 ? null : Math.min(...sizes);
  }

  /** The smallest free space of any journal's disk at the last look; null: unknown. */
  get freeBytes(): number | null {
    const known = this.#freeBytes.filter((bytes) => bytes !== null);
    return known.length === 0 ? null : Math.min(...known);
  }

  /** Why the partition's journal takes nothing now, and what to do; '' when it does. */
  problemOf(owner: JournalOwner): string {
    const { refusal } = owner.progress;
    if (refusal === '') return '';
    this.#noteRefusals(owner);
    const isRecent = this.#nowMs() - (this.#refusedAtMs[owner.partition] ?? Number.NEGATIVE_INFINITY) < recentMs;
    if (!isRecent && this.#hasRoom(owner)) return '';
    return `the journal of partition ${owner.partition} has no room (${refusal}): ${remedies[refusal]}`;
  }

  #noteRefusals({ partition, progress }: JournalOwner): void {
    const batches = journalRefusals.slice(1).reduce((sum, refusal) => sum + progress.refusedBatches(refusal), 0);
    if (batches === (this.#seenBatches[partition] ?? 0)) return;
    this.#seenBatches[partition] = batches;
    this.#refusedAtMs[partition] = this.#nowMs();
  }

  #hasRoom({ partition, progress }: JournalOwner): boolean {
    if (progress.spares > 0) return true;
    const { segmentBytes, segmentsMax } = this.#config.journalSizes;
    return progress.segments < segmentsMax && (this.#freeBytes[partition] ?? 0) >= segmentBytes;
  }
}
