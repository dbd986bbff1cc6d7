/**
 * The protocols that this program speaks. Both threads make their codecs from this table: the front to route messages,
 * a partition to read and answer them. A protocol's numbers stand in core/codes.ts, because they are journaled.
 */

import { PanKeys } from '../../platform/masking/hidden-ids.js';
import type { Codec, CodecOptions } from './codec.js';
import { createLedgerCodec } from './commands/codec.js';
import { createLithicEventCodec, createMarqetaEventCodec, createStripeEventCodec } from './facts/codec.js';
import { createIsoCodec } from './iso8583/codec.js';
import { createLithicCodec } from './lithic/codec.js';
import { createMarqetaCodec } from './marqeta/codec.js';
import { createNativeCodec } from './native/codec.js';
import { createStripeCodec } from './stripe/codec.js';

const makers: readonly ((options: CodecOptions) => Codec)[] = [
  createNativeCodec,
  createMarqetaCodec,
  createLedgerCodec,
  createLithicCodec,
  createLithicEventCodec,
  createStripeCodec,
  createStripeEventCodec,
  createMarqetaEventCodec,
  createIsoCodec,
];

export interface WireOptions {
  /** Newest first, see PanKeys. */
  readonly panKeys: readonly string[];
  readonly strictFields: boolean;
}

/** Indexed by Protocol. */
export type Codecs = readonly (Codec | undefined)[];

export function createCodecs({ panKeys, strictFields }: WireOptions): Codecs {
  const codecs: (Codec | undefined)[] = [];
  const options = { panKeys: new PanKeys(panKeys), strictFields };
  for (const make of makers) {
    const codec = make(options);
    codecs[codec.protocol] = codec;
  }
  return codecs;
}
