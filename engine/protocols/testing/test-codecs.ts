/** Codecs for tests and micro-benchmarks, with a key that no deployment has. */

import { PanKeys } from '../../../platform/masking/hidden-ids.js';
import { createMarqetaCodec, type MarqetaCodec } from '../marqeta/codec.js';
import { createCodecs } from '../registry.js';

export const testPanKeys = new PanKeys(['key-of-the-tests']);

const codecs = createCodecs({ panKeys: ['key-of-the-tests'], strictFields: false });

export const nativeCodec = codecs.native;
export const ledgerCodec = codecs.ledger;

export function testMarqetaCodec(): MarqetaCodec {
  return createMarqetaCodec(testPanKeys);
}
