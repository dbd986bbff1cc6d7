/**
 * Ids of settled messages that a start has found beside the journal and not yet taken into the table of seen ids. That
 * takes a second for millions, and no message must wait for it. Until then one bit per hash says of most new ids at
 * once that they are new. Only where the bit is set (a few in a hundred) the id must be looked up.
 */
import type { Seen } from '../../engine/core/seen.js';
import type { IdStretch } from '../journal/id-files.js';

/** 8 MiB. With 4 million ids one new id in 16 meets a bit of another. Twice as much takes a start twice as long. */
const bitCount = 2 ** 26;

export class SettledIds {
  readonly #bits = new Uint32Array(bitCount / 32);
  /** Oldest first; taken from the end. */
  readonly #stretches: { readonly firstSequence: number; readonly hashes: Uint32Array; left: number }[] = [];

  #lastSequence = 0;

  constructor(stretches: readonly IdStretch[]) {
    for (const stretch of stretches) this.add(stretch);
  }

  /** First and last record whose ids these are; the first is beyond the last when there are none. */
  get firstSequence(): number {
    return this.#stretches[0]?.firstSequence ?? this.#lastSequence + 1;
  }
  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** Stretches come in the order of their records. */
  add({ firstSequence, hashes }: IdStretch): void {
    const bits = this.#bits;
    for (let index = 0; index < hashes.length; index += 2) {
      const bit = hashes[index]! & (bitCount - 1);
      bits[bit >>> 5]! |= 1 << (bit & 31);
    }
    const count = hashes.length / 2;
    this.#stretches.push({ firstSequence, hashes, left: count });
    this.#lastSequence = firstSequence + count - 1;
  }

  /** False: no settled id has that hash. @param low lower half of the hash */
  mayHold(low: number): boolean {
    const bit = low & (bitCount - 1);
    return (this.#bits[bit >>> 5]! & (1 << (bit & 31))) !== 0;
  }

  /** Takes up to `count` ids into the table, newest first. @returns true when all have been taken */
  moveInto(seen: Seen, count: number): boolean {
    let room = count;
    for (let stretch = this.#stretches.at(-1); stretch !== undefined; stretch = this.#stretches.at(-1)) {
      for (; stretch.left > 0 && room > 0; room--) {
        const index = --stretch.left;
        const low = stretch.hashes[index * 2]!;
        const high = stretch.hashes[index * 2 + 1]!;
        if (low !== 0 || high !== 0) seen.loadSettled(low, high, stretch.firstSequence + index);
      }
      if (stretch.left > 0) return false;
      this.#stretches.pop();
    }
    return true;
  }
}
