/**
 * Distinguishes cached profiles that are current from those that a change has overtaken. A value in Redis may be of any
 * age: the message that should have replaced it got lost, Redis was away, or came back with what it had yesterday. A
 * value that is older than a delivered change would undo the change. The card was not in memory at its delivery, and
 * the change does not come again.
 *
 * So a value says up to which place of the feed it is known to be current (`asOf`), and this remembers which versions
 * have gone past since the floor:
 *
 *   asOf ≥ floor   every change that went past after asOf is remembered here
 *   version        a value with the version of its key's last change, or a newer one, has all that went past
 *
 * Changes that have not come by yet will find the card in memory. What does not pass is read from Postgres: nothing
 * depends on a message to Redis.
 */
import type { FeedTopic } from '../../engine/core/feed.js';

/** About 10 MB when full. */
const changesMaxDefault = 131_072;

interface Change {
  readonly version: number;
  readonly sequence: number;
}

/** A change that was made before this engine began to follow. */
export interface PastChange {
  readonly topic: FeedTopic;
  readonly number: number;
  readonly version: number;
}

const topicNumber = { card: 0, user: 1, account: 2 } as const;
const keyOf = (topic: FeedTopic, number: number) => number * 4 + topicNumber[topic];

export class ChangeLog {
  readonly #changesMax: number;
  /** The last change of each key that went past, in the order of their going past. */
  readonly #recent = new Map<number, Change>();
  /** Those of before we began, looked up in the outbox (recall). */
  #past = new Map<number, number>();
  /** Place in the feed where #recent began: the newest of #past. */
  #began = Number.POSITIVE_INFINITY;
  /** What is current as of an earlier place may have changed without our knowing. */
  #floor = Number.POSITIVE_INFINITY;

  constructor(changesMax = changesMaxDefault) {
    this.#changesMax = changesMax;
  }

  get size(): number {
    return this.#recent.size + this.#past.size;
  }

  /** From here on every change is recorded; of earlier changes nothing is known. */
  begin(sequence: number): void {
    this.#recent.clear();
    this.#past.clear();
    this.#began = sequence;
    this.#floor = sequence;
  }

  /**
   * Changes go past without their places (a snapshot is being read): nothing is current until begin() is called again.
   */
  suspend(): void {
    this.begin(Number.POSITIVE_INFINITY);
  }

  /** A change goes past, in order, on its way to the lanes. */
  changed(topic: FeedTopic, number: number, version: number, sequence: number): void {
    if (this.#floor === Number.POSITIVE_INFINITY) return;
    const key = keyOf(topic, number);
    const known = this.#recent.get(key);
    // Deleted first: the map stays in the order of the feed.
    this.#recent.delete(key);
    this.#recent.set(key, { version: Math.max(version, known?.version ?? 0), sequence });
    if (this.size > this.#changesMax) this.#forget();
  }

  #forget(): void {
    if (this.#past.size > 0) {
      this.#past.clear();
      this.#floor = Math.max(this.#floor, this.#began);
      return;
    }
    const [key, oldest] = this.#recent.entries().next().value!;
    this.#recent.delete(key);
    this.#floor = Math.max(this.#floor, oldest.sequence);
  }

  /**
   * Learns what changed before we began, newest first: these are all changes after `after` up to the floor as the
   * caller knows it. @returns whether more would be of use
   */
  recall(changes: readonly PastChange[], after: number, floor: number): boolean {
    if (floor !== this.#floor) return false;
    if (this.size + changes.length > this.#changesMax / 2) return false;
    for (const { topic, number, version } of changes) {
      const key = keyOf(topic, number);
      this.#past.set(key, Math.max(version, this.#past.get(key) ?? 0));
    }
    this.#floor = after;
    return true;
  }

  /** Whether a value of that version, current as of that place, has every change that went past. */
  isCurrent(topic: FeedTopic, number: number, version: number, asOf: number): boolean {
    if (asOf < this.#floor) return false;
    const key = keyOf(topic, number);
    return version >= (this.#recent.get(key)?.version ?? this.#past.get(key) ?? 0);
  }
}
