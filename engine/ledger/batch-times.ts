/**
 * Where the milliseconds of a partition's last batches went, so that a decision can say it of itself. One row a batch,
 * not a message: what a message waited follows from its own arrival.
 */
import type { Slab } from '../exchange/slab.js';

/** Some seconds of full load, and every message of the last hours where few come. */
const batchesMax = 4096;
const cells = 6;
const Cell = { first: 0, last: 1, sealedAtMs: 2, decidedAtMs: 3, durableAtMs: 4, sendMs: 5 } as const;

/** Milliseconds. */
export interface Hops {
  /** From the arrival until the batch left for the partition; lookups are in it. */
  readonly wait: number;
  readonly decide: number;
  /** Until its record was durable. */
  readonly journal: number;
  /** Until the answers of its batch had been given to the sockets. */
  readonly send: number;
}

export class BatchTimes {
  /** Made with the first batch: most engines own a part of the partitions. */
  #rows = new Float64Array(0);
  #count = 0;
  /** Last record of the batch before; −1: not known. */
  #last = -1;

  /** The next batch follows none that is here. */
  begin(): void {
    this.#count = 0;
    this.#last = -1;
  }

  /** A batch was answered. */
  add(slab: Slab, sendMs: number): void {
    const last = slab.lastSequence;
    const first = this.#last + 1;
    const isKnown = this.#last >= 0 && last >= first;
    this.#last = last;
    if (!isKnown) return;
    if (this.#rows.length === 0) this.#rows = new Float64Array(batchesMax * cells);
    const rows = this.#rows;
    const at = (this.#count++ % batchesMax) * cells;
    rows[at + Cell.first] = first;
    rows[at + Cell.last] = last;
    rows[at + Cell.sealedAtMs] = slab.sealedAtMs;
    rows[at + Cell.decidedAtMs] = slab.decidedAtMs;
    rows[at + Cell.durableAtMs] = slab.returnedAtMs;
    rows[at + Cell.sendMs] = sendMs;
  }

  /** Hops of the record with that sequence, which arrived then; null: its batch is not among the last ones. */
  find(sequence: number, arrivedAtMs: number): Hops | null {
    const rows = this.#rows;
    let low = Math.max(0, this.#count - batchesMax);
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (rows[(middle % batchesMax) * cells + Cell.last]! < sequence) low = middle + 1;
      else high = middle;
    }
    const at = (low % batchesMax) * cells;
    if (low === this.#count || rows[at + Cell.first]! > sequence) return null;
    const [sealedAtMs, decidedAtMs, durableAtMs] = [2, 3, 4].map((cell) => rows[at + cell]!) as [
      number,
      number,
      number,
    ];
    return {
      wait: round(sealedAtMs - arrivedAtMs),
      decide: round(decidedAtMs - sealedAtMs),
      journal: round(durableAtMs - decidedAtMs),
      send: round(rows[at + Cell.sendMs]!),
    };
  }
}

/** To microseconds; clocks that were set meanwhile count as no time. */
function round(ms: number): number {
  return Math.max(0, Math.round(ms * 1000) / 1000);
}
