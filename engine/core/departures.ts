/**
 * What is known of rows that have left memory: by hash, the newest journal sequence that changed one of them. Rows
 * leave once Postgres has everything about them. A lookup that was read before that must not bring back an older row. A
 * lookup says up to which sequence its rows are settled, and is refused where a row with the same hash left with
 * something newer. Rows share a hash now and then: that costs another reading, and no answer.
 */

/** Half a megabyte a store: two rows that share an entry within one lookup of a few milliseconds are rare. */
const entryCount = 65_536;
const entryMask = entryCount - 1;

export class Departures {
  /** The sequence + 1; 0: nothing with that hash has left. Made when the first row leaves. */
  #newest: Float64Array | null = null;
  /** Rows that have left. For the metrics. */
  count = 0;

  /** Nothing has left so far, and nothing was refused: what was ever loaded is in memory. */
  get isEmpty(): boolean {
    return this.#newest === null;
  }

  /** A row leaves. @param sequence the newest record that changed it, 0 when none of this journal did */
  add(hash: number, sequence: number): void {
    this.count++;
    this.refuse(hash, sequence);
  }

  /** A row could not be taken in: the same as if it had left, but for the count. */
  refuse(hash: number, sequence = 0): void {
    this.#newest ??= new Float64Array(entryCount);
    const at = hash & entryMask;
    this.#newest[at] = Math.max(this.#newest[at]!, sequence + 1);
  }

  /** Whether a row with that hash has left: then one that is not in memory may be in Postgres. */
  has(hash: number): boolean {
    return this.#newest !== null && this.#newest[hash & entryMask] !== 0;
  }

  /** Whether a row with that hash left with a change that is not among those settled up to `settled`. */
  isOutdated(hash: number, settled: number): boolean {
    return this.#newest !== null && this.#newest[hash & entryMask]! > settled + 1;
  }
}
