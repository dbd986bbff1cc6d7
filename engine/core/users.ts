/**
 * Cardholders: status and limits by number, and where their spend row stands. Dense, like accounts, in rows of 16 bytes;
 * the limits of the few that have any stand beside.
 */
import type { Status } from './accounts.js';
import { NumberIndex } from './number-index.js';
import { rowBuffer } from './row-buffer.js';
import type { Rules } from './rules.js';

const rowBytes = 16;
const cells = rowBytes / 8;
const words = rowBytes / 4;
/** A row: the number, a double; the version; and a word of marks below the place of the spend row. */
const versionWord = 2;
const marksWord = 3;
const Mark = { status: 0b11, hasRules: 0b100 } as const;
const marksMask = Mark.status | Mark.hasRules;
const marksBits = 3;

export class Users {
  readonly #index: NumberIndex;
  readonly #words: Uint32Array;
  readonly #rules = new Map<number, Rules>();

  constructor(capacity: number) {
    const { buffer, byteOffset } = rowBuffer(capacity, rowBytes);
    this.#index = new NumberIndex(capacity, {
      numbers: new Float64Array(buffer, byteOffset),
      stride: cells,
      offset: 0,
    });
    this.#words = new Uint32Array(buffer, byteOffset);
  }

  find(number: number): number {
    return this.#index.find(number);
  }

  /** @returns the slot, or −1 when the store is full */
  open(number: number): number {
    return this.#index.add(number);
  }

  /** Replaces the reference data of a user. An older version is ignored; an equal one says the same again. */
  describe(slot: number, version: number, status: Status, rules: Rules | null): void {
    const base = slot * words;
    if (version < this.#words[base + versionWord]!) return;
    this.#words[base + versionWord] = version;
    const place = this.#words[base + marksWord]! & ~marksMask;
    this.#words[base + marksWord] = place | status | (rules === null ? 0 : Mark.hasRules);
    if (rules === null) this.#rules.delete(slot);
    else this.#rules.set(slot, rules);
  }

  number(slot: number): number {
    return this.#index.key(slot);
  }
  status(slot: number): Status {
    return (this.#words[slot * words + marksWord]! & Mark.status) as Status;
  }
  rules(slot: number): Rules | null {
    return (this.#words[slot * words + marksWord]! & Mark.hasRules) === 0 ? null : this.#rules.get(slot)!;
  }
  /** Slot in Spend, as it was noted; −1 when it was not. */
  spendSlot(slot: number): number {
    return (this.#words[slot * words + marksWord]! >>> marksBits) - 1;
  }
  noteSpendSlot(slot: number, spendSlot: number): void {
    const at = slot * words + marksWord;
    this.#words[at] = ((spendSlot + 1) << marksBits) | (this.#words[at]! & marksMask);
  }
}
