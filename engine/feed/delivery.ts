/**
 * Brings changes into the lanes of the partitions they belong to, where they stand in one order with the authorizations,
 * and knows how far they are in force: a change is, once the slab that carried it has come back. A partition whose worker
 * is away approves nothing: its changes are kept, and go first when its lane opens. One that has failed needs none.
 */
import { changedRows, type FeedEntry } from '../core/feed.js';
import { EntryKind } from '../core/slab.js';
import type { Lane, Waiter } from '../lane.js';

/** Changes per lane entry: some 100 KiB at most, a small part of a slab and about a millisecond of the worker. */
const changesPerEntryMax = 200;
/** Lane entries that wait for room. Beyond it nothing more is taken: the outbox keeps it. */
const waitingMax = 64;
/** Changes kept for a partition whose worker is away: they must fit its lane when it opens. Beyond it they wait. */
const missedMax = 4000;

/** A partition as the feed sees it. */
export interface ChangedPartition {
  readonly lane: Pick<Lane, 'claim' | 'isReady'>;
  readonly state: string;
}

/** Changes that came together, in force when all partitions have theirs. */
interface Batch {
  /** 0 for a snapshot, which has no place in the feed. */
  readonly lastSequence: number;
  readonly lastAtMs: number;
  left: number;
}

interface Part {
  readonly partition: ChangedPartition;
  readonly bytes: Buffer;
  readonly count: number;
  readonly batch: Batch;
}

export class Delivery {
  readonly #partitions: readonly ChangedPartition[];
  readonly #partitionOf: (ownerKey: number) => number;
  readonly #nowMs: () => number;
  readonly #applied: (sequence: number, atMs: number) => void;
  /** Oldest first. */
  readonly #batches: Batch[] = [];
  #waiting: Part[] = [];
  #queued = 0;
  readonly #missed = new Map<ChangedPartition, Part[]>();

  /** @param applied called when all changes up to a sequence are in force */
  constructor(
    partitions: readonly ChangedPartition[],
    partitionOf: (ownerKey: number) => number,
    nowMs: () => number,
    applied: (sequence: number, atMs: number) => void,
  ) {
    this.#partitions = partitions;
    this.#partitionOf = partitionOf;
    this.#nowMs = nowMs;
    this.#applied = applied;
  }

  get hasRoom(): boolean {
    return this.#waiting.length < waitingMax;
  }

  /** Nothing is on its way. */
  get isIdle(): boolean {
    return this.#batches.length === 0;
  }

  /** Changes on their way. */
  get queued(): number {
    return this.#queued;
  }

  /** Sends changes on their way. Their order is that of the calls; a snapshot's entries have sequence 0. */
  deliver(entries: readonly FeedEntry[]): void {
    const last = entries.at(-1);
    if (last === undefined) return;
    const groups = new Map<ChangedPartition, FeedEntry[]>();
    for (const entry of entries) {
      const partition = this.#partitions[this.#partitionOf(entry.payload.ownerKey)]!;
      const group = groups.get(partition);
      if (group === undefined) groups.set(partition, [entry]);
      else group.push(entry);
    }
    const batch: Batch = { lastSequence: last.sequence, lastAtMs: last.atMs, left: 0 };
    const parts: Part[] = [];
    for (const [partition, group] of groups) {
      for (let start = 0; start < group.length; start += changesPerEntryMax) {
        const slice = group.slice(start, start + changesPerEntryMax);
        const bytes = Buffer.from(JSON.stringify({ changes: changedRows(slice) }));
        parts.push({ partition, bytes, count: slice.length, batch });
      }
    }
    batch.left = parts.length;
    this.#batches.push(batch);
    this.#queued += entries.length;
    for (const part of parts) this.#send(part);
  }

  /** Tries again what found no room. Called by a coarse timer. */
  retry(): void {
    if (this.#waiting.length === 0) return;
    for (const part of this.#waiting.splice(0)) this.#send(part);
  }

  /** A partition's lane has opened. Called before any message can be claimed: what it missed goes first. */
  opened(partition: ChangedPartition): void {
    const missed = this.#missed.get(partition) ?? [];
    this.#missed.delete(partition);
    for (const { bytes, count } of missed) {
      const batch: Batch = { lastSequence: 0, lastAtMs: 0, left: 1 };
      this.#batches.push(batch);
      this.#queued += count;
      this.#send({ partition, bytes, count, batch });
    }
  }

  #send(part: Part): void {
    const { lane, state } = part.partition;
    if (state === 'failed' || state === 'stopped') {
      this.#done(part);
      return;
    }
    if (!lane.isReady) {
      this.#miss(part);
      return;
    }
    // Whose worker dies meanwhile has missed it: the successor may have read its accounts and users before the change.
    const waiter = new ChangeWaiter(
      () => this.#done(part),
      () => this.#send(part),
    );
    if (!lane.claim(EntryKind.load, 0, this.#nowMs(), part.bytes, waiter)) this.#waiting.push(part);
  }

  #miss(part: Part): void {
    const missed = this.#missed.get(part.partition) ?? [];
    if (missed.reduce((sum, { count }) => sum + count, part.count) > missedMax) {
      this.#waiting.push(part);
      return;
    }
    missed.push(part);
    this.#missed.set(part.partition, missed);
    this.#done(part);
  }

  #done({ batch, count }: Part): void {
    this.#queued -= count;
    batch.left--;
    // In order: a sequence is in force when all below it are.
    while (this.#batches[0]?.left === 0) {
      const { lastSequence, lastAtMs } = this.#batches.shift()!;
      if (lastSequence > 0) this.#applied(lastSequence, lastAtMs);
    }
  }
}

/** Hears that the slab with the change came back, or that its worker died. */
class ChangeWaiter implements Waiter {
  readonly kind = EntryKind.load;
  /** Never too late: the lane refuses no change because of its age. */
  readonly arrivalMs = Number.POSITIVE_INFINITY;
  readonly isRefused = false;
  reentries = 0;
  #isSettled = false;
  readonly #done: () => void;
  readonly #again: () => void;

  constructor(done: () => void, again: () => void) {
    this.#done = done;
    this.#again = again;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  answer(): void {
    this.#isSettled = true;
    this.#done();
  }

  refuse(): void {
    this.#isSettled = true;
    this.#again();
  }
}
