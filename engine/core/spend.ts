/**
 * What a card, a user and an account have spent in each calendar window: owned state. One row per entity holds the day
 * it was last touched and five sums; a later day resets the windows whose period ended. What is given back counts in
 * the window it was taken from, and only there.
 */

import type { Level } from './limit-names.js';
import { windowCount } from './limit-names.js';
import { NumberIndex } from './number-index.js';
import type { WindowUse } from './partition-task.js';
import { rowBuffer } from './row-buffer.js';
import { samePeriod } from './window.js';

/**
 * A row of 64 bytes, one cache line: the amounts by window in doubles, the day and the counts by window in words. A message
 * touches three rows at random.
 */
const rowBytes = 64;
const cells = rowBytes / 8;
const words = rowBytes / 4;
const dayWord = 10;
const countWord = 11;

export class Spend {
  readonly #index: NumberIndex;
  readonly #amounts: Float64Array;
  readonly #words: Int32Array;
  /** Found last, per level: one message asks for the same three entities several times. */
  readonly #foundNumber = [0, 0, 0];
  readonly #foundSlot = [-1, -1, -1];

  /** @param capacity most entities (cards + users + accounts) of this partition */
  constructor(capacity: number) {
    this.#index = new NumberIndex(capacity);
    const { buffer, byteOffset } = rowBuffer(capacity, rowBytes);
    this.#amounts = new Float64Array(buffer, byteOffset);
    this.#words = new Int32Array(buffer, byteOffset);
  }

  get size(): number {
    return this.#index.size;
  }

  /** Slot of the entity, or −1 when it is not in memory (which, once its card is known, means: never spent). */
  find(level: Level, number: number): number {
    if (this.#foundNumber[level] === number) return this.#foundSlot[level]!;
    return this.#remember(level, number, this.#index.find(number * 4 + level));
  }

  /** Tells where the row of an entity stands that is about to be asked for: no need to look for it. Rows never move. */
  expect(level: Level, number: number, slot: number): void {
    this.#remember(level, number, slot);
  }

  /** Reads something of a row: see LookAhead. */
  glance(slot: number): number {
    return this.#day(slot);
  }

  #remember(level: Level, number: number, slot: number): number {
    this.#foundNumber[level] = number;
    this.#foundSlot[level] = slot;
    return slot;
  }

  /** Spent in window `index` as of local day `day`, minor units. */
  amount(slot: number, index: number, day: number): number {
    return this.#current(slot, index, day) ? this.#amounts[slot * cells + index]! : 0;
  }

  /** Authorizations in window `index` as of local day `day`. */
  count(slot: number, index: number, day: number): number {
    return this.#current(slot, index, day) ? this.#words[slot * words + countWord + index]! : 0;
  }

  /** The later of `day` and the newest day that the entity spent on. */
  latestDay(level: Level, number: number, day: number): number {
    const slot = this.find(level, number);
    return slot < 0 ? day : Math.max(day, this.#day(slot));
  }

  /** The newest local day that the row has spent on. */
  #day(slot: number): number {
    return this.#words[slot * words + dayWord]!;
  }

  #current(slot: number, index: number, day: number): boolean {
    const lastDay = this.#day(slot);
    return day <= lastDay || samePeriod(index, lastDay, day);
  }

  /**
   * Adds to (or, with negative deltas, gives back to) every window that `day` falls into. A day later than the row's
   * moves the row forward; an earlier one reaches only the windows still open. Never below zero.
   * @returns false when the store is full (the caller must have reserved).
   */
  add(level: Level, number: number, day: number, amountDelta: number, countDelta: number): boolean {
    let slot = this.find(level, number);
    if (slot < 0) {
      slot = this.#index.add(number * 4 + level);
      if (slot < 0) return false;
      this.#remember(level, number, slot);
      this.#words[slot * words + dayWord] = day;
    }
    const amounts = this.#amounts;
    const counts = this.#words;
    const amountAt = slot * cells;
    const countAt = slot * words + countWord;
    const lastDay = this.#day(slot);
    if (day > lastDay) {
      for (let index = 0; index < windowCount; index++) {
        if (samePeriod(index, lastDay, day)) continue;
        amounts[amountAt + index] = 0;
        counts[countAt + index] = 0;
      }
      this.#words[slot * words + dayWord] = day;
    }
    for (let index = 0; index < windowCount; index++) {
      if (day < lastDay && !samePeriod(index, lastDay, day)) continue;
      amounts[amountAt + index] = Math.max(0, amounts[amountAt + index]! + amountDelta);
      counts[countAt + index] = Math.max(0, counts[countAt + index]! + countDelta);
    }
    return true;
  }

  /** Takes over a settled row; ignored when the entity is in memory already (memory is newer). False when full. */
  load(level: Level, number: number, day: number, amounts: readonly number[], counts: readonly number[]): boolean {
    if (this.find(level, number) >= 0) return true;
    const slot = this.#index.add(number * 4 + level);
    if (slot < 0) return false;
    this.#remember(level, number, slot);
    this.#words[slot * words + dayWord] = day;
    for (let index = 0; index < windowCount; index++) {
      this.#amounts[slot * cells + index] = amounts[index] ?? 0;
      this.#words[slot * words + countWord + index] = counts[index] ?? 0;
    }
    return true;
  }

  /** Use of every window as of `day`, or of the later day on which the entity has spent; null when not in memory. */
  use(level: Level, number: number, day: number): WindowUse | null {
    const slot = this.find(level, number);
    if (slot < 0) return null;
    const asOf = Math.max(day, this.#day(slot));
    const windows = Array.from({ length: windowCount }, (_, index) => index);
    return {
      day: asOf,
      amounts: windows.map((index) => this.amount(slot, index, asOf)),
      counts: windows.map((index) => this.count(slot, index, asOf)),
    };
  }

  /** How many more entities fit. */
  get free(): number {
    return this.#index.capacity - this.#index.size;
  }
}
