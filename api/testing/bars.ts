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

export async function barsOf(api: TestApi, actor: Actor, token: string): Promise<Bar[]> {
  if (isCustomer(actor)) return customerBars(api, actor, token);
  const { sql } = api;
  const { publicId: id } = actor;
  if (actor.kind === 'key') {
    return [
      {
        state: 'revoked',
        status: 401,
        token,
        raise: () => sql`update api_keys set revoked_at = now() where public_id = ${id}`,
        lift: () => sql`update api_keys set revoked_at = null where public_id = ${id}`,
      },
      {
        state: 'expired',
        status: 401,
        token,
        raise: () => sql`update api_keys set expires_at = now() where public_id = ${id}`,
        lift: () => sql`update api_keys set expires_at = null where public_id = ${id}`,
      },
    ];
  }
  const { role, sessionId } = actor;
  return [
    {
      state: 'closed',
      status: 401,
      token,
      raise: () => sql`update operators set status = 'closed' where public_id = ${id}`,
      lift: () => sql`update operators set status = 'active' where public_id = ${id}`,
    },
    {
      state: 'in another role',
      status: 403,
      token,
      raise: () => sql`update operators set role = ${role === 'viewer' ? 'risk' : 'viewer'} where public_id = ${id}`,
      lift: () => sql`update operators set role = ${role} where public_id = ${id}`,
    },
    {
      state: 'signed out',
      status: 401,
      token,
      raise: () => sql`update operator_sessions set ended_at = now() where id = ${sessionId}`,
      lift: () => sql`update operator_sessions set ended_at = null where id = ${sessionId}`,
    },
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
  const bars: Bar[] = [
    {
      state: 'frozen',
      status: 401,
      token,
      raise: () => sql`update users set status = 'frozen' where id = ${userId}`,
      lift: () => sql`update users set status = 'active' where id = ${userId}`,
    },
    {
      state: 'signed out',
      status: 401,
      token: await tokens.sign(userId, sessionId),
      raise: () => sql`update sessions set ended_at = now(), end_reason = 'owner' where id = ${sessionId}`,
      lift: () => sql`update sessions set ended_at = null, end_reason = null where id = ${sessionId}`,
    },
  ];
  if (role === null) return bars;
  const other = role === 'member' ? 'admin' : 'member';
  bars.push({
    state: 'in another role',
    status: 403,
    token,
    raise: () => sql`update users set role = ${other} where id = ${userId}`,
    lift: () => sql`update users set role = ${role} where id = ${userId}`,
  });
  return bars;
}
