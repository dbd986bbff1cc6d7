/** Codecs for tests and micro-benchmarks, with a key that no deployment has. */

import { PanKeys } from '../../../platform/masking/hidden-ids.js';
import { createLedgerCodec } from '../commands/codec.js';
import { createLithicCodec, type LithicCodec } from '../lithic/codec.js';
import { createMarqetaCodec, type MarqetaCodec } from '../marqeta/codec.js';
import { createNativeCodec } from '../native/codec.js';
import { createStripeCodec, type StripeCodec } from '../stripe/codec.js';

export const testPanKeys = new PanKeys(['key-of-the-tests']);

export const nativeCodec = createNativeCodec({ panKeys: testPanKeys, strictFields: false });
export const ledgerCodec = createLedgerCodec({ panKeys: testPanKeys });

export function testMarqetaCodec(): MarqetaCodec {
  return createMarqetaCodec({ panKeys: testPanKeys });
}

export const testLithicCodec = (): LithicCodec => createLithicCodec({ panKeys: testPanKeys });

export const testStripeCodec = (): StripeCodec => createStripeCodec({ panKeys: testPanKeys });
