/**
 * What a card, a user and an account have spent in each calendar window: owned state. An entity is a card, an account,
 * or a user in one currency: spendNumber() gives its number. One row per entity holds the day it was last touched and
 * five sums; a later day resets the windows whose period ended. What is given back counts in the window it was taken
 * from, and only there.
 *
 * A row leaves memory only when Postgres has everything about it. From then on an entity whose row is not in memory may
 * have spent: isKnown() says whether it is to be looked up.
 */

import { type CardUse, usedAgain } from './card-types.js';
import { Departures } from './departures.js';
import { hashNumber } from './hash.js';
import { assert } from './invariant.js';
import { Level, windowCount } from './limit-names.js';
import { NumberIndex } from './number-index.js';
import { Rolling, type RollingRow } from './rolling.js';
import { rowBuffer } from './row-buffer.js';
import { samePeriod } from './window.js';

/** Use of the five windows, daily to lifetime, in minor units and in authorizations. */
export interface WindowUse {
  /** The day asked for, or a later one on which the entity has spent already: windows never run backwards. */
  readonly day: number;
  readonly amounts: readonly number[];
  readonly counts: readonly number[];
  /** What rolling windows count; null: there is none. */
  readonly rolling: RollingRow | null;
}

/**
 * A row of 64 bytes, one cache line: the amounts by window in doubles, the day and the counts by window in words. A
 * message touches three rows at random.
 */
const rowBytes = 64;
const cells = rowBytes / 8;
const words = rowBytes / 4;
const dayWord = 10;
const countWord = 11;
/**
 * Beside the rows: the key, and the sequence n of the newest record about the row. It is stored as −1 − n when the row
 * was loaded or changed since the last visit of the hand.
 */
const keyCells = 2;
const sequenceCell = 1;
/** How many rows one look for room passes: keeps the worst case of a full store short. */
const looksMax = 64;

export class Spend {
  readonly #index: NumberIndex;
  readonly #amounts: Float64Array;
  readonly #words: Int32Array;
  /** Found last, per level: one message asks for the same three entities several times. */
  readonly #foundNumber = [0, 0, 0];
  readonly #foundSlot = [-1, -1, -1];
  readonly #keys: Float64Array;
  /** By slot, of cards that are not virtual and were used. */
  readonly #uses = new Map<number, CardUse>();
  /** By slot, of entities with a rolling limit. */
  readonly #rolling = new Map<number, Rolling>();
  /** What left memory, or found no room in it. */
  readonly departures = new Departures();
  #hand = 0;

  /** @param capacity most entities (cards + users + accounts) in memory */
  constructor(capacity: number) {
    this.#keys = new Float64Array(capacity * keyCells);
    this.#index = new NumberIndex(capacity, { numbers: this.#keys, stride: keyCells, offset: 0 });
    const { buffer, byteOffset } = rowBuffer(capacity, rowBytes);
    this.#amounts = new Float64Array(buffer, byteOffset);
    this.#words = new Int32Array(buffer, byteOffset);
  }

  get size(): number {
    return this.#index.size;
  }

  /** Slot of the entity, or −1 when it is not in memory (which, where isKnown(), means: never spent). */
  find(level: Level, number: number): number {
    if (this.#foundNumber[level] === number) return this.#foundSlot[level]!;
    return this.#remember(level, number, this.#index.find(keyOf(level, number)));
  }

  /**
   * Says where the row of an entity is that the next call asks for: no need to look for it.
   * @returns false when the row in that place is another one
   */
  expect(level: Level, number: number, slot: number): boolean {
    // A user's may be the row of another currency.
    const mayDiffer = level === Level.user || !this.departures.isEmpty;
    if (mayDiffer && this.#index.key(slot) !== keyOf(level, number)) return false;
    this.#remember(level, number, slot);
    return true;
  }

  /** Whether find() says all there is: the row is in memory, or the entity, whose card was loaded, has never spent. */
  isKnown(level: Level, number: number): boolean {
    return this.find(level, number) >= 0 || !this.departures.has(hashNumber(keyOf(level, number)));
  }

  /** Whether a row as settled up to `settled` lacks something that memory had of it, where it is not any more. */
  isOutdated(level: Level, number: number, settled: number): boolean {
    return this.departures.isOutdated(hashNumber(keyOf(level, number)), settled);
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

  /** Spent in the window that never ends, minor units. */
  lifetimeAmount(slot: number): number {
    return this.#amounts[slot * cells + windowCount - 1]!;
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
   * @param sequence of the record that does so: until it is settled the row stays
   * @returns false when the store is full (the caller must have made room).
   */
  add(level: Level, number: number, day: number, amountDelta: number, countDelta: number, sequence: number): boolean {
    let slot = this.find(level, number);
    if (slot < 0) {
      slot = this.#open(level, number, day);
      if (slot < 0) return false;
    }
    this.#keys[slot * keyCells + sequenceCell] = used(sequence);
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

  /**
   * A record about the entity was journaled that spends nothing: until it is settled the row stays, if there is one.
   */
  journaled(level: Level, number: number, sequence: number): void {
    const slot = this.find(level, number);
    if (slot >= 0) this.#keys[slot * keyCells + sequenceCell] = used(sequence);
  }

  /** Counts a purchase of a card that is not virtual, or one fewer. The card has spent, so its row is in memory. */
  countPurchase(card: number, delta: number, merchant: string): void {
    const slot = this.find(Level.card, card);
    assert(slot >= 0, 'a card that made a purchase has a spend row');
    const use = usedAgain(this.#uses.get(slot) ?? null, delta, merchant);
    if (use === null) this.#uses.delete(slot);
    else this.#uses.set(slot, use);
  }

  /** What a card that is not virtual has bought; null: nothing. */
  purchases(card: number): CardUse | null {
    const slot = this.find(Level.card, card);
    return slot < 0 ? null : (this.#uses.get(slot) ?? null);
  }

  /** Whether any entity in memory has rolling windows: most programs have none. */
  get hasRolling(): boolean {
    return this.#rolling.size > 0;
  }

  /** What the entity has spent in the last days; null: no rolling window counts it. */
  rolling(level: Level, number: number): Rolling | null {
    const slot = this.find(level, number);
    return slot < 0 ? null : (this.#rolling.get(slot) ?? null);
  }

  /** Counts in the rolling windows of an entity, behind add(). @param cell of the message's arrival */
  addRolling(level: Level, number: number, day: number, cell: number, amountDelta: number, countDelta: number): void {
    if (amountDelta === 0 && countDelta === 0) return;
    const slot = this.find(level, number);
    assert(slot >= 0, 'an entity that has spent has a spend row');
    let rolling = this.#rolling.get(slot);
    if (rolling === undefined) {
      if (amountDelta <= 0 && countDelta <= 0) return;
      rolling = new Rolling(day);
      this.#rolling.set(slot, rolling);
    }
    rolling.add(day, cell, amountDelta, countDelta);
  }

  /** @returns the slot of a new row with nothing spent, or −1 when the store is full */
  #open(level: Level, number: number, day: number): number {
    const slot = this.#index.add(keyOf(level, number));
    if (slot < 0) {
      this.departures.refuse(hashNumber(keyOf(level, number)));
      return -1;
    }
    this.#remember(level, number, slot);
    this.#amounts.fill(0, slot * cells, slot * cells + windowCount);
    this.#words.fill(0, slot * words + dayWord, slot * words + words);
    this.#words[slot * words + dayWord] = day;
    this.#keys[slot * keyCells + sequenceCell] = used(0);
    return slot;
  }

  /**
   * Makes sure that so many new rows find a place: in a full store, rows leave whose newest record is at or below
   * `evictableSequence`. One that spent since the hand came by last is passed over once (CLOCK, see cards.ts).
   * @returns false when too many of the rows looked at are needed
   */
  makeRoom(rows: number, evictableSequence: number): boolean {
    if (this.#index.free >= rows) return true;
    const start = this.#hand;
    if (this.#pass(rows, evictableSequence)) return true;
    // Where all that were looked at are in use, any may go: their marks are gone now.
    this.#hand = start;
    return this.#pass(rows, evictableSequence);
  }

  #pass(rows: number, evictableSequence: number): boolean {
    for (let looks = 0; looks < looksMax; looks++) {
      const slot = this.#hand;
      this.#hand = (slot + 1) % this.#index.capacity;
      if (!this.#index.isTaken(slot)) continue;
      const stored = this.#keys[slot * keyCells + sequenceCell]!;
      const sequence = stored < 0 ? used(stored) : stored;
      if (sequence > evictableSequence) continue;
      if (stored < 0) this.#keys[slot * keyCells + sequenceCell] = sequence;
      else this.#evict(slot, sequence);
      if (this.#index.free >= rows) return true;
    }
    return false;
  }

  #evict(slot: number, sequence: number): void {
    this.departures.add(hashNumber(this.#index.key(slot)), sequence);
    this.#index.remove(slot);
    this.#uses.delete(slot);
    this.#rolling.delete(slot);
    for (const [level, found] of this.#foundSlot.entries()) if (found === slot) this.#foundNumber[level] = 0;
  }

  /**
   * Takes over a settled row; ignored when the entity is in memory already (memory is newer). False when full.
   */
  load(
    level: Level,
    number: number,
    day: number,
    amounts: readonly number[],
    counts: readonly number[],
    use: CardUse | null = null,
    rolling: RollingRow | null = null,
  ): boolean {
    if (this.find(level, number) >= 0) return true;
    const slot = this.#open(level, number, day);
    if (slot < 0) return false;
    for (let index = 0; index < windowCount; index++) {
      this.#amounts[slot * cells + index] = amounts[index] ?? 0;
      this.#words[slot * words + countWord + index] = counts[index] ?? 0;
    }
    if (use !== null) this.#uses.set(slot, use);
    if (rolling !== null) this.#rolling.set(slot, new Rolling(rolling));
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
      rolling: this.#rolling.get(slot)?.row() ?? null,
    };
  }

  /** How many more entities fit. */
  get free(): number {
    return this.#index.free;
  }
}

/** A sequence as it is stored for a row that was used, and back. */
function used(sequence: number): number {
  return -1 - sequence;
}

/** Levels are 0 to 2. */
function keyOf(level: Level, number: number): number {
  return number * 4 + level;
}
