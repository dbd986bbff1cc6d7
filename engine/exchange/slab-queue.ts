/**
 * Slabs on their way from the front to a partitions' thread and back, in shared memory. While the thread serves the
 * queue, a batch costs no Piscina task. The front writes the slab's number and wakes the thread, and the thread writes
 * down how it went.
 *
 * Words: [0] rings, [1] slabs given, [2] slabs done, [3] where serving ends, or onAndOn. Behind them the slabs'
 * numbers (engine/exchange/partition-task.ts) and their results, each in a ring. The front writes rings, given, the end
 * and the numbers; the thread writes done and the results. A count is stored after what it counts, and Atomics are
 * sequentially consistent: a reader of a count sees the slabs and results up to it.
 */
import { assert } from '../core/invariant.js';

const headWords = 4;
const ringsAt = 0;
const givenAt = 1;
const doneAt = 2;
const endAt = 3;
const onAndOn = -1;
/** Counts wrap around here. */
const countMax = 2 ** 30;

/** How a slab went. */
export const SlabOutcome = {
  decided: 1,
  /** The journal has failed. */
  journalFailed: 2,
  /** Its partition threw. */
  threw: 3,
} as const;
export type SlabOutcome = (typeof SlabOutcome)[keyof typeof SlabOutcome];

export class SlabQueue {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #slots: number;

  /**
   * @param slots how many slabs can be given and not taken back at once; or memory that another thread made. A power
   * of two
   */
  constructor(slots: number | SharedArrayBuffer) {
    this.buffer = typeof slots === 'number' ? new SharedArrayBuffer((headWords + 2 * slots) * 4) : slots;
    this.#words = new Int32Array(this.buffer);
    this.#slots = (this.#words.length - headWords) / 2;
    assert(this.#slots > 0 && (this.#slots & (this.#slots - 1)) === 0, 'the slots are a power of two');
  }

  // The front's side.

  /** Puts a slab behind the others; ring() wakes the thread. */
  give(task: number): void {
    const given = this.#words[givenAt]!;
    assert(distance(Atomics.load(this.#words, doneAt), given) < this.#slots, 'more slabs are away than lanes have');
    this.#words[headWords + (given & (this.#slots - 1))] = task;
    Atomics.store(this.#words, givenAt, (given + 1) % countMax);
  }

  ring(): void {
    Atomics.add(this.#words, ringsAt, 1);
    Atomics.notify(this.#words, ringsAt);
  }

  /** Serving begins, until end(). Only while the thread does not serve. */
  begin(): void {
    Atomics.store(this.#words, endAt, onAndOn);
  }

  /** The thread serves what was given so far, and then ends its task. */
  end(): void {
    Atomics.store(this.#words, endAt, this.#words[givenAt]!);
    this.ring();
  }

  /** Slabs done so far. */
  get doneCount(): number {
    return Atomics.load(this.#words, doneAt);
  }

  /** How the slab went that was given as number `count`, from 0 on. Only once it is done. */
  outcome(count: number): SlabOutcome {
    return this.#words[headWords + this.#slots + (count & (this.#slots - 1))] as SlabOutcome;
  }

  // The thread's side.

  /** To be read before looking for work: then no ring is lost between the look and the wait. */
  get rings(): number {
    return Atomics.load(this.#words, ringsAt);
  }

  /** Blocks until it is rung again after `rings`. */
  wait(rings: number): void {
    Atomics.wait(this.#words, ringsAt, rings);
  }

  /** Slabs that were given and are not done; serving ends behind them where hasEnded says so. */
  get waitingCount(): number {
    return distance(this.#words[doneAt]!, Atomics.load(this.#words, givenAt));
  }

  get hasEnded(): boolean {
    const end = Atomics.load(this.#words, endAt);
    return end !== onAndOn && end === this.#words[doneAt]!;
  }

  /** The number of a slab that waits, counted from the oldest. */
  task(index: number): number {
    return this.#words[headWords + ((this.#words[doneAt]! + index) & (this.#slots - 1))]!;
  }

  /** Writes down how the slab went that is `index` behind the oldest; finish() says it. */
  setOutcome(index: number, outcome: SlabOutcome): void {
    this.#words[headWords + this.#slots + ((this.#words[doneAt]! + index) & (this.#slots - 1))] = outcome;
  }

  /** The oldest `count` slabs are done. */
  finish(count: number): void {
    Atomics.store(this.#words, doneAt, (this.#words[doneAt]! + count) % countMax);
  }
}

/** The count after `count`. */
export function nextCount(count: number): number {
  return (count + 1) % countMax;
}

function distance(from: number, to: number): number {
  return (to - from + countMax) % countMax;
}
