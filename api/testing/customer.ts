/**
 * A customer of the API as a client is one: registers, pays with cards at the engine, and waits for what comes later.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { EnginePlace } from '../../engine/testing/engine-process.js';
import { testPassword, testUser } from '../../engine/testing/engine-process.js';
import type { Reply, RequestOptions } from './api-inside.js';

/** What a customer needs of an API, within the test's process or beside it. */
export interface ApiUnderTest {
  readonly engine: EnginePlace | null;
  request(method: string, path: string, options?: RequestOptions): Promise<Reply>;
}

export interface Decision {
  readonly approved: boolean;
  readonly reason: string;
  readonly detail?: string;
  readonly authorizationId: string;
  readonly available: number;
}

/** A busy machine sheds load; a client waits and asks again, and so does this one. */
const retryMs = 50;
const retriesMax = 200;

let counter = 0;

/** A text that no other call in this process gets. */
export function fresh(prefix: string): string {
  counter++;
  return `${prefix}-${process.pid}-${counter}`;
}

export class Customer {
  readonly #api: ApiUnderTest;
  readonly token: string;
  readonly userId: string;
  readonly email: string;

  constructor(api: ApiUnderTest, token: string, userId: string, email: string) {
    this.#api = api;
    this.token = token;
    this.userId = userId;
    this.email = email;
  }

  static async register(api: ApiUnderTest, kind: 'personal' | 'business', timeZone = 'UTC'): Promise<Customer> {
    const email = `${fresh('customer')}@example.com`;
    const reply = await patient(() =>
      api.request('POST', '/api/auth/register', {
        body: {
          email,
          password: 'a-password-of-tests',
          name: 'A Customer',
          kind,
          timeZone,
          ...(kind === 'business' ? { company: 'A Company' } : {}),
        },
      }),
    );
    if (reply.status !== 201) throw new Error(`not registered: ${reply.status} ${reply.text}`);
    return new Customer(api, reply.json.token, reply.json.user.id, email);
  }

  get(path: string): Promise<Reply> {
    return patient(() => this.#api.request('GET', path, { token: this.token }));
  }

  /** @param key of idempotency; a new one when absent */
  post(path: string, body: unknown, key = fresh('key')): Promise<Reply> {
    const headers = { 'idempotency-key': key };
    return patient(() => this.#api.request('POST', path, { token: this.token, body, headers }));
  }

  change(method: 'PATCH' | 'PUT', path: string, body: unknown, headers: Record<string, string> = {}): Promise<Reply> {
    return patient(() => this.#api.request(method, path, { token: this.token, body, headers }));
  }

  /** The only account. */
  async accountId(): Promise<string> {
    const reply = await this.get('/api/accounts');
    if (reply.status !== 200) throw new Error(`no accounts: ${reply.status} ${reply.text}`);
    return reply.json.data[0].id;
  }

  /** A new card of the account. */
  async card(accountId: string, limits?: object): Promise<{ id: string; token: string; version: number }> {
    const reply = await this.post('/api/cards', { accountId, name: 'A card', ...(limits ? { limits } : {}) });
    if (reply.status !== 201) throw new Error(`no card: ${reply.status} ${reply.text}`);
    return reply.json;
  }
}

/** Asks again after a 503. */
async function patient(ask: () => Promise<Reply>): Promise<Reply> {
  for (let attempt = 0; ; attempt++) {
    const reply = await ask();
    if (reply.status !== 503 || attempt === retriesMax) return reply;
    await delay(retryMs);
  }
}

/** Asks the engine of the test. @param message replaces fields of a purchase of 12.50 at a grocer's */
export async function pay(api: ApiUnderTest, card: string, message: Record<string, unknown> = {}): Promise<Decision> {
  const id = fresh('auth');
  const response = await fetch(`http://127.0.0.1:${api.engine!.authPort}/v1/authorizations`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`${testUser}:${testPassword}`).toString('base64')}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({
      id,
      type: 'authorization',
      card,
      amount: 1250,
      currency: 'USD',
      merchant: { id: 'm-1', name: 'Corner Store', mcc: '5411', country: 'US' },
      channel: 'chip',
      ...message,
    }),
    signal: AbortSignal.timeout(10_000),
  });
  return (await response.json()) as Decision;
}
