/** Every way in which an actor can lose the right to write, for the test that walks the routes with it. */
import { randomBytes } from 'node:crypto';
import { type Actor, isCustomer } from '../auth/principal.js';
import type { TestApi } from './api-inside.js';

export interface Bar {
  /** Completes "a caller who is …". */
  readonly state: string;
  /** Of the refusal. */
  readonly status: 401 | 403;
  /** What the request is sent with. */
  readonly token: string;
  raise(): Promise<unknown>;
  lift(): Promise<unknown>;
}

/** @param set raises the bar, or lifts it */
function bar(state: string, status: Bar['status'], token: string, set: (isRaised: boolean) => Promise<unknown>): Bar {
  return { state, status, token, raise: () => set(true), lift: () => set(false) };
}

export async function barsOf(api: TestApi, actor: Actor, token: string): Promise<Bar[]> {
  if (isCustomer(actor)) return customerBars(api, actor, token);
  const { sql } = api;
  const { publicId: id } = actor;
  const at = (isSet: boolean) => (isSet ? sql`now()` : null);
  if (actor.kind === 'key') {
    return [
      bar('revoked', 401, token, (on) => sql`update api_keys set revoked_at = ${at(on)} where public_id = ${id}`),
      bar('expired', 401, token, (on) => sql`update api_keys set expires_at = ${at(on)} where public_id = ${id}`),
    ];
  }
  const { role, sessionId } = actor;
  const other = role === 'viewer' ? 'risk' : 'viewer';
  const set = (change: object) => sql`update operators set ${sql(change)} where public_id = ${id}`;
  return [
    bar('closed', 401, token, (on) => set({ status: on ? 'closed' : 'active' })),
    bar('in another role', 403, token, (on) => set({ role: on ? other : role })),
    bar(
      'signed out',
      401,
      token,
      (on) => sql`update operator_sessions set ended_at = ${at(on)} where id = ${sessionId}`,
    ),
  ];
}

async function customerBars(api: TestApi, customer: Extract<Actor, { userId: number }>, token: string): Promise<Bar[]> {
  const { sql } = api;
  const { userId, role } = customer;
  const { tokens } = api.api.services;
  const key = randomBytes(8);
  const [session] = await sql<{ id: number }[]>`
    insert into sessions (user_id, public_id, key, secret_hash, salt, expires_at)
    values (${userId}, ${key.toString('hex')}, ${key}, '', '', now() + interval '1 day') returning id::integer`;
  const sessionId = session!.id;
  const set = (change: object) => sql`update users set ${sql(change)} where id = ${userId}`;
  const signOut = (on: boolean) => {
    const change = { ended_at: on ? new Date() : null, end_reason: on ? 'owner' : null };
    return sql`update sessions set ${sql(change)} where id = ${sessionId}`;
  };
  const bars = [
    bar('frozen', 401, token, (on) => set({ status: on ? 'frozen' : 'active' })),
    bar('signed out', 401, await tokens.sign(userId, sessionId), signOut),
  ];
  if (role === null) return bars;
  const other = role === 'member' ? 'admin' : 'member';
  return [...bars, bar('in another role', 403, token, (on) => set({ role: on ? other : role }))];
}
