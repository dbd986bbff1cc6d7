/**
 * Recognizes lookups that may have read rows as they were before a change that has already been applied. Such a lookup
 * would bring the old profile into a partition without a newer one, because the card was not in memory or was evicted.
 * No further change would ever correct it, so it has to be read again.
 *
 * A change is committed before the feed brings it, so a lookup that begins after it was noted reads it. Only lookups
 * that are on their way while a change comes by are in question, and while there are none nothing is kept.
 */
import type { FeedTopic } from '../core/feed.js';
import type { PartitionRows } from '../core/partition-rows.js';

/** Changes kept while a lookup is on its way. Beyond it (a repair of many) every lookup on its way is read again. */
const floorsMax = 65_536;

interface Floor {
  readonly version: number;
  /** Lookups below this number began before the change came by. */
  readonly below: number;
}

export class LookupGuard {
  readonly #floors = new Map<string, Floor>();
  /** In the order of their beginning. */
  readonly #lookups = new Set<number>();
  #next = 1;
  #rereadBelow = 0;

  /** A lookup is about to be sent to Postgres. @returns its number */
  begin(): number {
    this.#lookups.add(this.#next);
    return this.#next++;
  }

  /**
   * The lookup is over, one way or the other: what it brought stands in the lane, ahead of the changes that come now.
   */
  end(lookup: number): void {
    this.#lookups.delete(lookup);
    const oldest = this.#lookups.values().next().value ?? Number.POSITIVE_INFINITY;
    for (const [key, { below }] of this.#floors) {
      if (below > oldest) return;
      this.#floors.delete(key);
    }
  }

  /** A change goes past, on its way to the lanes. */
  changed(topic: FeedTopic, number: number, version: number): void {
    if (this.#lookups.size === 0) return;
    if (this.#floors.size >= floorsMax) {
      this.#floors.clear();
      this.#rereadBelow = this.#next;
      return;
    }
    const key = `${topic}${number}`;
    const known = this.#floors.get(key);
    // Deleted first: the map stays in the order of `below`.
    this.#floors.delete(key);
    this.#floors.set(key, { version: Math.max(version, known?.version ?? 0), below: this.#next });
  }

  /** Whether the lookup has to be read again. */
  isStale(lookup: number, message: PartitionRows): boolean {
    if (lookup < this.#rereadBelow) return true;
    if (this.#floors.size === 0) return false;
    const isOlder = (topic: FeedTopic) => (row: { readonly number: number; readonly version: number }) =>
      row.version < (this.#floors.get(`${topic}${row.number}`)?.version ?? 0);
    return (
      (message.cards ?? []).some(isOlder('card')) ||
      (message.users ?? []).some(isOlder('user')) ||
      (message.accounts ?? []).some(isOlder('account'))
    );
  }
}
