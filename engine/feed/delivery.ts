/**
 * Brings changes into the lanes of their partitions, in one order with the authorizations, and knows how far they are
 * in force. A change is in force once the slab that carried it has come back. A partition whose worker is away approves
 * nothing: its changes are kept, and go first when its lane opens. One that has failed, or that another engine has,
 * needs none. One that is leaving still decides what is inside: its changes wait until it has left.
 */
import type { FeedEntry } from '../core/feed.js';
import { slabEntriesMax, slabRequestBytes } from '../core/limits.js';
import { packChanges } from '../exchange/lane-rows.js';
import { EntryKind } from '../exchange/slab.js';
import type { Lane } from '../ledger/lane.js';
import type { Waiter } from '../ledger/waiter.js';

/** Lane entries that wait for room. Beyond it nothing more is taken: the outbox keeps it. */
const waitingMax = 64;
/** What is kept for a partition whose worker is away fits the first slab when its lane opens. */
const missedBytesMax = slabRequestBytes / 2;
const missedEntriesMax = slabEntriesMax / 2;

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
  /** Cards, which a worker that has just started has none of; else users and accounts, which its restore reads. */
  readonly isOfCards: boolean;
  readonly bytes: Buffer;
  readonly count: number;
  readonly batch: Batch;
}

/** Changes that a partition without a worker has missed since its restore began. */
interface Missed {
  parts: Part[];
  bytes: number;
  isTooMuch: boolean;
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
  readonly #missed = new Map<ChangedPartition, Missed>();

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

  /**
   * Sends changes on their way. Their order is that of the calls; a snapshot's entries have sequence 0.
   * @param last place of the last change that was read, where that one is not among them
   */
  deliver(
    entries: readonly FeedEntry[],
    last: Pick<FeedEntry, 'sequence' | 'atMs'> | undefined = entries.at(-1),
  ): void {
    if (last === undefined) return;
    const groups = new Map<ChangedPartition, { readonly cards: FeedEntry[]; readonly others: FeedEntry[] }>();
    for (const entry of entries) {
      const partition = this.#partitions[this.#partitionOf(entry.payload.ownerKey)]!;
      const group = groups.get(partition) ?? { cards: [], others: [] };
      groups.set(partition, group);
      (entry.topic === 'card' ? group.cards : group.others).push(entry);
    }
    const batch: Batch = { lastSequence: last.sequence, lastAtMs: last.atMs, left: 0 };
    const parts: Part[] = [];
    for (const [partition, { cards, others }] of groups) {
      for (const packed of packChanges(others)) parts.push({ partition, isOfCards: false, ...packed, batch });
      for (const packed of packChanges(cards)) parts.push({ partition, isOfCards: true, ...packed, batch });
    }
    batch.left = parts.length;
    this.#batches.push(batch);
    this.#queued += entries.length;
    for (const part of parts) this.#send(part);
    if (parts.length === 0) this.#advance();
  }

  /** Tries again what found no room. Called by a coarse timer. */
  retry(): void {
    if (this.#waiting.length === 0) return;
    for (const part of this.#waiting.splice(0)) this.#send(part);
  }

  /** A partition without a worker is about to read what it starts with: what it missed before is in that. */
  restoring(partition: ChangedPartition): void {
    this.#missed.delete(partition);
  }

  /**
   * A partition's lane has opened. Called before any message can be claimed: what it missed goes first.
   * @returns false when that was too much to keep: the partition has to be restored again
   */
  opened(partition: ChangedPartition): boolean {
    const missed = this.#missed.get(partition);
    this.#missed.delete(partition);
    if (missed === undefined) return true;
    if (missed.isTooMuch) return false;
    for (const part of missed.parts) {
      const batch: Batch = { lastSequence: 0, lastAtMs: 0, left: 1 };
      this.#batches.push(batch);
      this.#queued += part.count;
      this.#send({ ...part, batch });
    }
    return true;
  }

  #send(part: Part): void {
    const { lane, state } = part.partition;
    if (state === 'failed' || state === 'stopped' || state === 'away') {
      this.#done(part);
      return;
    }
    if (state === 'leaving') {
      this.#waiting.push(part);
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
    if (!lane.claim(EntryKind.rows, 0, this.#nowMs(), part.bytes, waiter)) this.#waiting.push(part);
  }

  /** The partition approves nothing until it has this, so that no change needs to wait for it. */
  #miss(part: Part): void {
    if (!part.isOfCards) {
      const missed = this.#missed.get(part.partition) ?? { parts: [], bytes: 0, isTooMuch: false };
      this.#missed.set(part.partition, missed);
      missed.bytes += part.bytes.length;
      if (missed.bytes > missedBytesMax || missed.parts.length === missedEntriesMax) {
        missed.isTooMuch = true;
        missed.parts = [];
      }
      if (!missed.isTooMuch) missed.parts.push(part);
    }
    this.#done(part);
  }

  #done({ batch, count }: Part): void {
    this.#queued -= count;
    batch.left--;
    this.#advance();
  }

  /** In order: a sequence is in force when all below it are. */
  #advance(): void {
    while (this.#batches[0]?.left === 0) {
      const { lastSequence, lastAtMs } = this.#batches.shift()!;
      if (lastSequence > 0) this.#applied(lastSequence, lastAtMs);
    }
  }
}

/** Hears that the slab with the change came back, or that its worker died. */
class ChangeWaiter implements Waiter {
  readonly kind = EntryKind.rows;
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
