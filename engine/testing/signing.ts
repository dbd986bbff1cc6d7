/** Signs requests as processors do. */
import { createHmac } from 'node:crypto';

export const lithicSecret = `whsec_${Buffer.from('the secret of the tests of lithic').toString('base64')}`;

/** Headers of the Standard Webhooks scheme. */
export function lithicHeaders(
  body: string | Uint8Array,
  { secret = lithicSecret, id = 'msg_of_the_tests', atMs = Date.now() } = {},
): Record<string, string> {
  const timestamp = String(Math.floor(atMs / 1000));
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}

export const stripeSecret = 'whsec_of_the_tests_of_stripe';

/** The header of Stripe's scheme, by any of these secrets. */
export function stripeHeaders(
  body: string | Uint8Array,
  { secrets = [stripeSecret], atMs = Date.now() } = {},
): Record<string, string> {
  const timestamp = Math.floor(atMs / 1000);
  const signatures = secrets.map(
    (secret) => `,v1=${createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest('hex')}`,
  );
  return { 'stripe-signature': `t=${timestamp}${signatures.join('')}` };
}

export const marqetaSecret = 'the-secret-of-the-tests-of-marqeta';

/** The header of Marqeta's scheme. */
export function marqetaHeaders(
  body: string | Uint8Array,
  { secret = marqetaSecret, algorithm = 'sha256' }: { secret?: string; algorithm?: 'sha1' | 'sha256' } = {},
): Record<string, string> {
  return { 'x-marqeta-signature': createHmac(algorithm, secret).update(body).digest('hex') };
}
