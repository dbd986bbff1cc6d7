/** Fields of the native form that it does not know: summed up for the metrics, and each logged once. */
import type { PartitionStats } from '../exchange/partition-task.js';

/** A typing error in a field's name moves money otherwise than its sender meant, so operators need to see it. */
export class UnknownFieldCounts {
  readonly #warn: (field: string) => void;
  readonly #logged = new Set<string>();
  #counts: ReadonlyMap<string, number> = new Map();

  /** @param warn is called once for each name; the names are bounded in number and length, see UnknownFields */
  constructor(warn: (field: string) => void) {
    this.#warn = warn;
  }

  /** Messages by the unknown field that they had. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** Takes over what the partitions have counted. */
  see(partitions: readonly Pick<PartitionStats, 'unknownFields'>[]): void {
    const counts = new Map<string, number>();
    for (const { unknownFields } of partitions) {
      for (const [field, count] of unknownFields) counts.set(field, (counts.get(field) ?? 0) + count);
    }
    this.#counts = counts;
    for (const field of counts.keys()) {
      if (this.#logged.has(field)) continue;
      this.#logged.add(field);
      this.#warn(field);
    }
  }
}
