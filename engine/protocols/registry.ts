/** The protocols of an engine, made alike for the front and for each partition. */

import { PanKeys } from '../../platform/masking/hidden-ids.js';
import type { Codec } from './codec.js';
import { createLedgerCodec } from './commands/codec.js';
import { createMarqetaCodec, type MarqetaCodec } from './marqeta/codec.js';
import { createNativeCodec, type NativeCodec } from './native/codec.js';

export interface WireOptions {
  /** Newest first, see PanKeys. */
  readonly panKeys: readonly string[];
  /** An unknown field of the native form refuses the message, instead of being counted. */
  readonly strictFields: boolean;
}

export interface Codecs {
  readonly native: NativeCodec;
  readonly marqeta: MarqetaCodec;
  readonly ledger: Codec;
}

export function createCodecs({ panKeys: keys, strictFields }: WireOptions): Codecs {
  const panKeys = new PanKeys(keys);
  return {
    native: createNativeCodec({ panKeys, strictFields }),
    marqeta: createMarqetaCodec(panKeys),
    ledger: createLedgerCodec(panKeys),
  };
}
