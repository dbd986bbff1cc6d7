/**
 * What an integrator's client does, written against the types that openapi-typescript made of the document: signs in,
 * makes a card and freezes it. No cast: what does not fit the document does not compile.
 */
import createClient from 'openapi-fetch';
import type { components, paths } from './api.js';

export type Card = components['schemas']['Card'];

/** @returns the card as it was made, and its status and whether that is in force after the freeze */
export async function makeFrozenCard(
  baseUrl: string,
  email: string,
  password: string,
): Promise<{ card: Card; status: components['schemas']['Status']; effective: boolean }> {
  const client = createClient<paths>({ baseUrl });
  const signedIn = await client.POST('/api/auth/login', { body: { email, password } });
  if (signedIn.error !== undefined) throw new Error(`${signedIn.error.title}: ${signedIn.error.detail}`);
  const headers = { authorization: `Bearer ${signedIn.data.token}` };
  const accounts = await client.GET('/api/accounts', { headers });
  const account = accounts.data?.data[0];
  if (account === undefined) throw new Error('there is no account');
  const made = await client.POST('/api/cards', {
    headers,
    body: { accountId: account.id, name: 'Made by a typed client' },
    params: { header: { 'Idempotency-Key': 'typed-client' } },
  });
  if (made.error !== undefined) throw new Error(made.error.detail);
  const frozen = await client.PATCH('/api/cards/{id}', {
    headers,
    params: { path: { id: made.data.id }, header: { 'If-Match': `"${made.data.version}"` } },
    body: { status: 'frozen' },
  });
  if (frozen.error !== undefined) throw new Error(frozen.error.detail);
  return { card: made.data, status: frozen.data.status, effective: frozen.data.effective };
}
