/**
 * Packs rows for a partition into lane entries by their bytes: a lane entry that is larger than a slab could never leave,
 * and everything behind it would wait for ever. Rows keep their order; each row alone fits (limits.ts asserts it).
 */
import { changedRow, type FeedEntry } from './feed.js';
import { laneEntryBytesMax } from './limits.js';
import type { LoadMessage } from './load-message.js';

/** Rows per lane entry, however short they are: a millisecond of the partition. */
const rowsMax = 200;

export interface PackedRows {
  readonly bytes: Buffer;
  readonly count: number;
}

class Packer {
  readonly #prefix: string;
  readonly #suffix: string;
  readonly #rowsMax: number;
  readonly #packed: PackedRows[] = [];
  #lists = new Map<string, string[]>();
  #bytes = 0;
  #count = 0;

  constructor(prefix: string, suffix: string, rowsMaxOfEntry: number) {
    this.#prefix = prefix;
    this.#suffix = suffix;
    this.#rowsMax = rowsMaxOfEntry;
  }

  add(list: string, row: unknown): void {
    const text = JSON.stringify(row);
    // The row, its comma, and at worst the name of its list.
    const bytes = Buffer.byteLength(text) + list.length + 8;
    if (this.#count > 0 && (this.#count >= this.#rowsMax || this.#bytes + bytes > laneEntryBytesMax)) this.#close();
    const rows = this.#lists.get(list);
    if (rows === undefined) this.#lists.set(list, [text]);
    else rows.push(text);
    this.#bytes += bytes;
    this.#count++;
  }

  #close(): void {
    const lists = [...this.#lists].map(([name, rows]) => `"${name}":[${rows.join(',')}]`);
    this.#packed.push({
      bytes: Buffer.from(`${this.#prefix}{${lists.join(',')}}${this.#suffix}`),
      count: this.#count,
    });
    this.#lists = new Map();
    this.#bytes = 0;
    this.#count = 0;
  }

  finish(): PackedRows[] {
    if (this.#count > 0) this.#close();
    return this.#packed;
  }
}

/** Changes of one partition, as messages with `changes`. */
export function packChanges(entries: readonly FeedEntry[]): PackedRows[] {
  const packer = new Packer('{"changes":', '}', rowsMax);
  for (const entry of entries) packer.add(`${entry.topic}s`, changedRow(entry));
  return packer.finish();
}

/**
 * In an order in which every stretch may stand alone: cards and chains come last, so that nothing is decided before the
 * books and windows that it needs are there.
 */
const loadedLists = ['accounts', 'users', 'spend', 'chains', 'cards', 'records'] as const;

/** Loaded rows, as messages of the same shape. */
export function packLoad(message: LoadMessage): PackedRows[] {
  const packer = new Packer('', '', Number.POSITIVE_INFINITY);
  for (const list of loadedLists) for (const row of message[list] ?? []) packer.add(list, row);
  return packer.finish();
}
