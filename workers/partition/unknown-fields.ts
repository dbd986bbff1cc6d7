/** Counts answered messages by the unknown fields that they had, for the metrics. */
import type { Request } from '../../engine/core/request.js';
import { EntryStatus } from '../../engine/exchange/slab.js';
import type { Codec } from '../../engine/protocols/codec.js';

/** Request.unknownFields has so many bits. */
const fieldsMax = 31;

export class UnknownFields {
  readonly #counts = new Float64Array(fieldsMax);

  count({ unknownFields }: Request, status: number): void {
    if (unknownFields === 0 || status < EntryStatus.decided) return;
    for (let bit = 0; bit < fieldsMax; bit++) if ((unknownFields & (1 << bit)) !== 0) this.#counts[bit]! += 1;
  }

  /** Named as the fields of one codec. */
  of(codec: Codec): [name: string, count: number][] {
    const names = codec.unknownFields?.names ?? [];
    return names.map((name, bit): [string, number] => [name, this.#counts[bit]!]).filter(([, count]) => count > 0);
  }
}
