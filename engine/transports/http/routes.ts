/** Which protocol has which path of the authorization port. A protocol that is not here has no path. */

import { Protocol } from '../../core/codes.js';
import type { Codec } from '../../protocols/codec.js';
import type { Notification, NotificationFault } from '../../protocols/facts/notification.js';
import { lithicNotification } from '../../protocols/lithic/events.js';
import type { Codecs } from '../../protocols/registry.js';
import { type HttpForm, marqetaForm, nativeForm } from './answers.js';
import { type SignatureCheck, standardWebhooks } from './signatures.js';

export interface Route {
  readonly path: string;
  readonly codec: Codec;
  readonly form: HttpForm;
}

/** A path whose requests are signed over their bytes. They have no Basic authentication. */
export interface SignedRoute extends Route {
  readonly signature: SignatureCheck;
  /** Absent: every request is a question. */
  readonly notifications?: Notifications;
}

/** Requests that report what has happened. */
export interface Notifications {
  /** Null: the request is a question. */
  read(body: unknown): Notification | NotificationFault | null;
  readonly codec: Codec;
}

const paths = [
  { path: '/v1/authorizations', protocol: Protocol.native, form: nativeForm },
  { path: '/marqeta/jit', protocol: Protocol.marqeta, form: marqetaForm },
] as const;

export function routesOf(codecs: Codecs): readonly Route[] {
  return paths.map(({ path, protocol, form }) => ({ path, codec: codecs[protocol]!, form }));
}

/** Secrets of the processors that sign, newest first; without any a protocol has no path. */
export interface SigningSecrets {
  readonly lithic: readonly string[];
}

export function signedRoutesOf(codecs: Codecs, { lithic }: SigningSecrets): readonly SignedRoute[] {
  const routes: SignedRoute[] = [];
  if (lithic.length > 0) {
    const signature = standardWebhooks(lithic);
    const events = codecs[Protocol.lithicEvents]!;
    const notifications = { read: lithicNotification, codec: events };
    // A decline is a 200, and a 503 brings the question back at once: both as in the native form.
    const form = { ...nativeForm, conflict: null };
    routes.push({ path: '/lithic/asa', codec: codecs[Protocol.lithic]!, form, signature });
    routes.push({ path: '/lithic/events', codec: events, form, signature, notifications });
  }
  return routes;
}
