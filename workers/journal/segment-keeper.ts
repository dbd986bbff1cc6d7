/**
 * Keeps a journal folder in shape from the shipper's thread. It retires settled segments, and keeps zeroed spares ready
 * so that the worker never waits for 64 MiB of zeros. Works in small steps: a burst of writing would stand in the way
 * of the worker's fdatasync on the same device.
 */
import { join } from 'node:path';
import type { JournalSizes } from '../../engine/exchange/journal-sizes.js';
import { isOutOfDescriptors } from '../../platform/process/descriptors.js';
import { keepSegmentIds, removeOldIds } from './id-files.js';
import { decodeSegmentHeader, segmentHeaderBytes } from './segment.js';
import { listJournalFiles, makingName, removeMaking, segmentName, spareName } from './segment-files.js';
import type { FileId, Storage } from './storage.js';

/** What one step writes and syncs. */
const stepBytes = 1 << 20;
/**
 * While no spare is ready the one that is made grows so many times as fast as the journal: it is ready when a quarter
 * of a segment is written. Sixteen steps a second, whatever the journal needed, made syncs of the worker wait.
 */
const growthFactor = 4;
/** After a failure (mostly a full disk) spares can wait: the worker makes its own or declines. */
const retryMs = 1000;

export interface SegmentKeeperOptions {
  readonly storage: Storage;
  readonly directory: string;
  readonly sizes: JournalSizes;
  /** How many spares to keep. */
  readonly spareCount: number;
  /** Longest pause between two steps, milliseconds. */
  readonly unhurriedMs: number;
  /** Bytes that the journal has written, frame headers and padding included. */
  readonly journaledBytes: () => number;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  readonly onFiles: (segments: number, spares: number) => void;
  /** How many ids stay behind when their segments go; 0 for none. */
  readonly seenIds: number;
}

export class SegmentKeeper {
  readonly #options: SegmentKeeperOptions;
  /** First sequence of each segment seen; they never change while the shipper runs. */
  readonly #firstSequences = new Map<number, number>();
  #making: { path: string; file: FileId; zeroedBytes: number; journaledBytes: number } | undefined;
  /** The segment that is open may be nearly full: the next spare is made as fast as may be. */
  #isLate = true;
  #nextNumber = 1;
  #retryAtMs = 0;
  #steppedAtMs = Number.NEGATIVE_INFINITY;
  #started = false;

  constructor(options: SegmentKeeperOptions) {
    this.#options = options;
  }

  /**
   * Retires every sealed segment whose records all are at or before `settledSequence`, oldest first. Publish that
   * sequence before: a reader that misses a segment then knows that Postgres has its records. Of none of them may an
   * approval still be revoked (see finalSequence).
   */
  retire(settledSequence: number): void {
    const { storage, directory } = this.#options;
    const { segments, spares } = listJournalFiles(storage, directory);
    let kept = segments.length;
    for (const [index, number] of segments.entries()) {
      const next = segments[index + 1];
      // The last one is being written. A segment ends where the next begins.
      if (next === undefined || this.#firstSequence(next) > settledSequence + 1) break;
      const path = join(directory, segmentName(number));
      this.#keepIds(number, this.#firstSequence(next));
      if (this.#making === undefined && spares.length < this.#options.spareCount && this.#hasOurSize(path)) {
        this.#recycle(path);
      } else {
        storage.remove(path);
      }
      // One by one: if two removals reached the disk in the other order, a crash would leave a gap in the numbers.
      storage.syncDirectory(directory);
      this.#firstSequences.delete(number);
      kept--;
    }
    this.#options.onFiles(kept, spares.length);
  }

  /**
   * Does the next bit of work on a spare.
   * @returns true when there is more to do soon
   */
  step(): boolean {
    const { nowMs, sizes } = this.#options;
    if (nowMs() < this.#retryAtMs) return false;
    try {
      if (this.#making === undefined) return this.#begin();
      if (!this.#isDue(this.#making)) return false;
      this.#steppedAtMs = nowMs();
      const to = Math.min(sizes.segmentBytes, this.#making.zeroedBytes + stepBytes);
      this.#options.storage.preallocate(this.#making.file, this.#making.zeroedBytes, to);
      this.#making.zeroedBytes = to;
      if (to === sizes.segmentBytes) this.#finish();
      return true;
    } catch {
      // Not synced means not zero: the file must not become a spare.
      this.#discard();
      this.#isLate = true;
      this.#retryAtMs = nowMs() + retryMs;
      return false;
    }
  }

  /**
   * Gives up what is half made. Until the next step another journal may stand in the folder, whose segments have the
   * same numbers: the partition's new threads make another copy (journal-copy.ts).
   */
  close(): void {
    this.#firstSequences.clear();
    this.#isLate = true;
    this.#discard();
  }

  #isDue({ zeroedBytes, journaledBytes: sinceBytes }: { zeroedBytes: number; journaledBytes: number }): boolean {
    const { nowMs, unhurriedMs, journaledBytes } = this.#options;
    if (nowMs() >= this.#steppedAtMs + unhurriedMs) return true;
    const isBehind = this.#isLate || zeroedBytes < growthFactor * (journaledBytes() - sinceBytes);
    return isBehind && !this.#hasSpare();
  }

  #hasSpare(): boolean {
    const { storage, directory } = this.#options;
    return listJournalFiles(storage, directory).spares.length > 0;
  }

  #begin(): boolean {
    const { storage, directory, sizes, spareCount } = this.#options;
    if (!this.#started) {
      removeMaking(storage, directory, 'shipper');
      this.#removeMisfits();
      this.#started = true;
    }
    const { segments, spares, making } = listJournalFiles(storage, directory);
    this.#nextNumber = Math.max(this.#nextNumber, ...spares.map((name) => Number(name.slice('spare-'.length)) + 1));
    this.#options.onFiles(segments.length, spares.length);
    // While sealed segments wait to be settled one new spare is enough: the others will come from them.
    if (spares.length >= (segments.length > 1 ? 1 : spareCount)) return false;
    const hasRoom =
      segments.length + spares.length + making.length < sizes.segmentsMax &&
      storage.freeBytes(directory) >= sizes.segmentBytes;
    if (!hasRoom) {
      // Until there is room, the open segment fills.
      this.#isLate ||= spares.length === 0;
      return false;
    }
    const path = join(directory, makingName('shipper', this.#nextNumber));
    this.#making = { path, file: storage.create(path), zeroedBytes: 0, journaledBytes: this.#options.journaledBytes() };
    return true;
  }

  /**
   * Spares of another size, from before a change of the configuration, are of no use to the worker: it never takes one.
   */
  #removeMisfits(): void {
    const { storage, directory } = this.#options;
    for (const name of listJournalFiles(storage, directory).spares) {
      const path = join(directory, name);
      // The worker may take a fitting one between the listing and here.
      if (!storage.exists(path) || this.#hasOurSize(path)) continue;
      storage.remove(path);
      storage.syncDirectory(directory);
    }
  }

  #hasOurSize(path: string): boolean {
    const { storage, sizes } = this.#options;
    const file = storage.open(path);
    const size = storage.size(file);
    storage.close(file);
    return size === sizes.segmentBytes;
  }

  #keepIds(number: number, endSequence: number): void {
    const { storage, directory, seenIds } = this.#options;
    if (seenIds === 0) return;
    try {
      keepSegmentIds(storage, directory, number, endSequence);
      removeOldIds(storage, directory, endSequence - seenIds);
    } catch (error) {
      // The segment stays until a file descriptor is free.
      if (isOutOfDescriptors(error)) throw error;
      // A full disk, mostly. The ids are in Postgres too, where the next start will look for them.
    }
  }

  /** The name goes first, durably (by the caller); only then are bytes touched: see JournalWriter.read. */
  #recycle(path: string): void {
    const { storage, directory } = this.#options;
    const to = join(directory, makingName('shipper', this.#nextNumber));
    storage.rename(path, to);
    try {
      const file = storage.open(to);
      this.#making = { path: to, file, zeroedBytes: 0, journaledBytes: this.#options.journaledBytes() };
    } catch (error) {
      storage.remove(to);
      if (!isOutOfDescriptors(error)) throw error;
    }
  }

  #finish(): void {
    const { storage, directory } = this.#options;
    const made = this.#making!;
    storage.close(made.file);
    this.#making = undefined;
    this.#isLate = false;
    storage.rename(made.path, join(directory, spareName(this.#nextNumber++)));
    storage.syncDirectory(directory);
  }

  #discard(): void {
    const made = this.#making;
    this.#making = undefined;
    if (made === undefined) return;
    this.#options.storage.close(made.file);
    this.#options.storage.remove(made.path);
  }

  #firstSequence(number: number): number {
    const known = this.#firstSequences.get(number);
    if (known !== undefined) return known;
    const { storage, directory } = this.#options;
    const bytes = new Uint8Array(segmentHeaderBytes);
    const file = storage.open(join(directory, segmentName(number)));
    storage.pread(file, bytes, 0, segmentHeaderBytes, 0);
    storage.close(file);
    const header = decodeSegmentHeader(bytes);
    // Damage is for the reader to report; here it only means that nothing may be removed.
    if (typeof header === 'string') return Number.MAX_SAFE_INTEGER;
    this.#firstSequences.set(number, header.firstSequence);
    return header.firstSequence;
  }
}
