/** Which protocol has which path of the authorization port. A protocol that is not here has no path. */

import { Protocol } from '../../core/codes.js';
import type { Codec } from '../../protocols/codec.js';
import type { NotificationRead } from '../../protocols/facts/notification.js';
import { lithicNotification } from '../../protocols/lithic/events.js';
import { marqetaNotification } from '../../protocols/marqeta/events.js';
import type { Codecs } from '../../protocols/registry.js';
import { stripeNotification } from '../../protocols/stripe/events.js';
import { type HttpForm, marqetaForm, nativeForm } from './answers.js';
import type { BasicAuth } from './basic-auth.js';
import { marqetaSignatures, type SignatureCheck, standardWebhooks, stripeSignatures } from './signatures.js';

export interface Route {
  readonly path: string;
  readonly codec: Codec;
  readonly form: HttpForm;
}

/** A path with an authentication of its own: signatures over the bytes of its requests. */
export interface SignedRoute extends Route {
  readonly signature: SignatureCheck;
  /** Absent: every request is a question. */
  readonly notifications?: Notifications;
}

/** Requests that report what has happened. */
export interface Notifications {
  read(body: unknown): NotificationRead;
  readonly codec: Codec;
}

const paths = [
  { path: '/v1/authorizations', protocol: Protocol.native, form: nativeForm },
  { path: '/marqeta/jit', protocol: Protocol.marqeta, form: marqetaForm },
] as const;

export function routesOf(codecs: Codecs): readonly Route[] {
  return paths.map(({ path, protocol, form }) => ({ path, codec: codecs[protocol]!, form }));
}

/**
 * Secrets of the processors that sign, newest first. Without any Lithic and Stripe have no path, and Marqeta's
 * notifications have Basic authentication alone.
 */
export interface SigningSecrets {
  readonly marqeta: readonly string[];
  readonly lithic: readonly string[];
  readonly stripe: readonly string[];
}

export function signedRoutesOf(
  codecs: Codecs,
  { marqeta, lithic, stripe }: SigningSecrets,
  auth: Pick<BasicAuth, 'accepts'>,
): readonly SignedRoute[] {
  // A decline is a 200, as in the native form, and a conflict is one.
  const form = { ...nativeForm, conflict: null };
  const marqetaEvents = codecs[Protocol.marqetaEvents]!;
  const routes: SignedRoute[] = [
    {
      path: '/marqeta/webhook',
      codec: marqetaEvents,
      form,
      signature: marqetaSignatures(marqeta, auth),
      notifications: { read: marqetaNotification, codec: marqetaEvents },
    },
  ];
  if (lithic.length > 0) {
    const signature = standardWebhooks(lithic);
    const events = codecs[Protocol.lithicEvents]!;
    const notifications = { read: lithicNotification, codec: events };
    routes.push({ path: '/lithic/asa', codec: codecs[Protocol.lithic]!, form, signature });
    routes.push({ path: '/lithic/events', codec: events, form, signature, notifications });
  }
  if (stripe.length > 0) {
    const signature = stripeSignatures(stripe);
    const notifications = { read: stripeNotification, codec: codecs[Protocol.stripeEvents]! };
    routes.push({ path: '/stripe/issuing', codec: codecs[Protocol.stripe]!, form, signature, notifications });
  }
  return routes;
}
