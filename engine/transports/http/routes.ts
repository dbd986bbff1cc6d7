/** Which protocol has which path of the authorization port. A protocol that is not here has no path. */

import { Protocol } from '../../core/codes.js';
import type { Codec } from '../../protocols/codec.js';
import type { Codecs } from '../../protocols/registry.js';
import { type HttpForm, marqetaForm, nativeForm } from './answers.js';

export interface Route {
  readonly path: string;
  readonly codec: Codec;
  readonly form: HttpForm;
}

const paths = [
  { path: '/v1/authorizations', protocol: Protocol.native, form: nativeForm },
  { path: '/marqeta/jit', protocol: Protocol.marqeta, form: marqetaForm },
] as const;

export function routesOf(codecs: Codecs): readonly Route[] {
  return paths.map(({ path, protocol, form }) => ({ path, codec: codecs[protocol]!, form }));
}
