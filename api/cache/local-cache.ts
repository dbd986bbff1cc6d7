/**
 * The level within this process: values by group and field, where a group is forgotten as a whole. A group has a mark
 * that changes whenever it is forgotten. A value that was looked up under an older mark is not kept, so one that was
 * read before a change and arrives after it is harmless.
 */
import { LRUCache } from 'lru-cache';

/** Pages and cards: a few kilobytes each at most. */
const entriesMax = 20_000;
const groupsMax = 20_000;

interface Entry {
  readonly value: unknown;
}

export class LocalCache {
  readonly #entries: LRUCache<string, Entry>;
  readonly #marks = new LRUCache<string, number>({ max: groupsMax });
  #newestMark = 0;

  /** @param lifetimeMs longest that anything is kept */
  constructor(lifetimeMs: number) {
    this.#entries = new LRUCache<string, Entry>({ max: entriesMax, ttl: lifetimeMs });
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The group's mark. One that was evicted comes back as a new one: its entries are then simply not found. */
  mark(group: string): number {
    return this.#marks.get(group) ?? this.#newMark(group);
  }

  /** Undefined when there is none. */
  get(group: string, field: string): Entry | undefined {
    return this.#entries.get(keyOf(group, this.mark(group), field));
  }

  /** Keeps the value unless the group was forgotten since `mark`. */
  set(group: string, field: string, mark: number, value: unknown, lifetimeMs: number): void {
    if (this.mark(group) !== mark) return;
    this.#entries.set(keyOf(group, mark, field), { value }, { ttl: lifetimeMs });
  }

  forget(group: string): void {
    this.#newMark(group);
  }

  clear(): void {
    this.#entries.clear();
    this.#marks.clear();
  }

  #newMark(group: string): number {
    this.#newestMark++;
    this.#marks.set(group, this.#newestMark);
    return this.#newestMark;
  }
}

function keyOf(group: string, mark: number, field: string): string {
  return `${group}\n${mark}\n${field}`;
}
