/**
 * Follows the feed without missing a change, whatever the messenger does. It takes entries in order and recognizes a
 * gap. It repairs a gap from the outbox, or from a snapshot when the outbox no longer reaches back. Entries that come
 * twice, late or out of order change nothing.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../../platform/log.js';
import type { RawEntry } from '../core/feed.js';

/** Entries that came ahead of missing ones, and their bytes. What finds no room is read with the repair. */
const aheadMax = 4096;
const aheadBytesMax = 8 * 1024 * 1024;
/** Entries per read of the outbox, which bounds their bytes too. */
const pageMax = 1000;
const roomLookMs = 5;

export interface OutboxPage {
  /** Entries after the asked one, in order, without gaps. */
  readonly entries: readonly RawEntry[];
  /** Newest number given. */
  readonly newest: number;
  /** Last number that was removed. */
  readonly pruned: number;
}

/** The truth: the outbox, and the rows behind it. */
export interface FeedSource {
  read(after: number, limit: number): Promise<OutboxPage>;
  /** Profiles of everything that ever changed, in pages of bounded size. */
  snapshot(): AsyncIterable<readonly RawEntry[]>;
}

/** Where changes go. */
export interface FeedSink {
  readonly hasRoom: boolean;
  readonly isIdle: boolean;
  deliver(entries: readonly RawEntry[]): void;
}

export class Follower {
  readonly #source: FeedSource;
  readonly #sink: FeedSink;
  readonly #log: Pick<Log, 'warn' | 'error'>;
  readonly #messengerCarries: boolean;
  /** The feed began again, or a snapshot replaced what was missed: everything up to this number is in force. */
  readonly #restarted: (sequence: number) => void;
  #received: number;
  #newest: number;
  readonly #wasSetBack: (newest: number) => void;
  readonly #ahead = new Map<number, { readonly entry: RawEntry; readonly bytes: number }>();
  #aheadBytes = 0;
  #isRepairing = false;
  #again = false;
  #isStopped = false;
  /** For the metrics. */
  gaps = 0;
  repairs = 0;
  snapshots = 0;
  failures = 0;

  /**
   * @param position everything up to this number is known already
   * @param messengerCarries the messenger brings the entries themselves, so that reading the outbox is a repair
   */
  constructor(
    position: number,
    messengerCarries: boolean,
    source: FeedSource,
    sink: FeedSink,
    restarted: (sequence: number) => void,
    log: Pick<Log, 'warn' | 'error'>,
    wasSetBack: (newest: number) => void = () => undefined,
  ) {
    this.#received = position;
    this.#newest = position;
    this.#messengerCarries = messengerCarries;
    this.#source = source;
    this.#sink = sink;
    this.#restarted = restarted;
    this.#log = log;
    this.#wasSetBack = wasSetBack;
  }

  /** Everything up to here has been sent on its way into the lanes. */
  get received(): number {
    return this.#received;
  }
  /** Newest number that is known. */
  get newest(): number {
    return Math.max(this.#newest, this.#received);
  }
  /** Entries that wait for those before them. */
  get ahead(): number {
    return this.#ahead.size;
  }
  get isRepairing(): boolean {
    return this.#isRepairing;
  }

  stop(): void {
    this.#isStopped = true;
  }

  /**
   * Entries as the messenger brings them.
   * @param bytes how many they have together
   */
  entries(list: readonly RawEntry[], bytes = 0): void {
    for (const entry of list) {
      this.#newest = Math.max(this.#newest, entry.sequence);
      if (entry.sequence > this.#received) this.#keepAhead(entry, bytes / list.length);
    }
    this.#takeAhead();
    if (this.#received < this.#newest) {
      if (!this.#isRepairing) this.gaps++;
      this.#repair();
    }
  }

  /** A hint says that there are changes up to `newest`. */
  announced(newest: number): void {
    // A session that may notify can send any text.
    if (!Number.isSafeInteger(newest)) return;
    this.#newest = Math.max(this.#newest, newest);
    if (this.#received < this.#newest) this.#repair();
  }

  /**
   * The newest number of the database is below ours at the time of the request. So it was set back, to a backup or to a
   * standby without the last changes, and gives the same numbers again.
   */
  setBack(newest: number): void {
    this.#log.error({ newest, received: this.#received }, 'the database was set back to an older copy');
    this.#wasSetBack(newest);
    this.#newest = newest;
    this.#received = -1;
    this.#forgetAllAhead();
    this.#repair();
  }

  #keepAhead(entry: RawEntry, bytes: number): void {
    if (this.#ahead.has(entry.sequence)) return;
    if (this.#ahead.size >= aheadMax || this.#aheadBytes + bytes > aheadBytesMax) return;
    this.#ahead.set(entry.sequence, { entry, bytes });
    this.#aheadBytes += bytes;
  }

  #forgetAhead(sequence: number): void {
    this.#aheadBytes -= this.#ahead.get(sequence)?.bytes ?? 0;
    this.#ahead.delete(sequence);
  }

  #forgetAllAhead(): void {
    this.#ahead.clear();
    this.#aheadBytes = 0;
  }

  #takeAhead(): void {
    const run: RawEntry[] = [];
    while (this.#sink.hasRoom && run.length < pageMax) {
      const entry = this.#ahead.get(this.#received + 1)?.entry;
      if (entry === undefined) break;
      this.#forgetAhead(entry.sequence);
      this.#received = entry.sequence;
      run.push(entry);
    }
    this.#sink.deliver(run);
  }

  #repair(): void {
    this.#again = true;
    if (this.#isRepairing) return;
    this.#isRepairing = true;
    void this.#repairAll().finally(() => {
      this.#isRepairing = false;
    });
  }

  async #repairAll(): Promise<void> {
    try {
      while (this.#again && !this.#isStopped) {
        this.#again = false;
        let isDone = false;
        while (!isDone) isDone = await this.#readPage();
      }
    } catch (error) {
      // Reported again with the next renewal.
      this.failures++;
      if (!this.#isStopped) this.#log.warn({ error: (error as Error).message }, 'the outbox could not be read');
    }
  }

  /** @returns whether everything has been read */
  async #readPage(): Promise<boolean> {
    while (!this.#sink.hasRoom) {
      if (this.#isStopped) return true;
      await delay(roomLookMs);
    }
    const asked = this.#received;
    const page = await this.#source.read(asked, pageMax);
    if (this.#isStopped) return true;
    if (this.#messengerCarries) this.repairs++;
    if (asked < page.pruned || asked < 0) {
      await this.#takeSnapshot(page.newest);
      return false;
    }
    if (page.newest < asked) {
      this.setBack(page.newest);
      return true;
    }
    this.#newest = Math.max(this.#newest, page.newest);
    // The messenger may have brought some of them meanwhile.
    const fresh = page.entries.filter(({ sequence }) => sequence > this.#received);
    if (fresh.length > 0) {
      if (fresh[0]!.sequence !== this.#received + 1) throw new Error(`the outbox has a gap after ${this.#received}`);
      this.#received = fresh.at(-1)!.sequence;
      this.#sink.deliver(fresh);
    }
    this.#takeAhead();
    for (const sequence of this.#ahead.keys()) if (sequence <= this.#received) this.#forgetAhead(sequence);
    return this.#received >= page.newest;
  }

  /** Reads everything that ever changed. What changes meanwhile has numbers above `newest` and is read after it. */
  async #takeSnapshot(newest: number): Promise<void> {
    this.snapshots++;
    this.#log.warn({ received: this.#received, newest }, 'too far behind for the outbox: reading what ever changed');
    for await (const entries of this.#source.snapshot()) {
      while (!this.#sink.hasRoom && !this.#isStopped) {
        await delay(roomLookMs);
      }
      if (this.#isStopped) return;
      this.#sink.deliver(entries);
    }
    while (!this.#sink.isIdle && !this.#isStopped) await delay(roomLookMs);
    this.#forgetAllAhead();
    this.#received = newest;
    this.#newest = Math.max(this.#newest, newest);
    this.#restarted(newest);
  }
}
