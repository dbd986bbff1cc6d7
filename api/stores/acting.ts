/**
 * Who acts in a writing statement. The database checks them as of now in the statement itself (actor_enter) and records
 * them with what the statement changed (sql/migrations/262).
 */
import { type Acting, type Actor, isCustomer, type Origin } from '../auth/principal.js';
import type { Sql } from './sql.js';

/** A request without a sign-in: what it may do is decided by what it sends. */
export interface Visitor {
  readonly kind: 'visitor';
  readonly origin: Pick<Origin, 'address' | 'requestId'>;
}

/** Work of the API's own, beside the requests, or of a tool. */
export interface System {
  readonly kind: 'system';
  readonly publicId: string;
}

export type By = Acting<Actor> | Visitor | System;

export const system = (publicId: string): System => ({ kind: 'system', publicId });

/** Parts of a writing statement: `with ${enter}, … update … where … and ${admitted}`. */
export interface Gate {
  /** The first part after `with`. */
  readonly enter: ReturnType<Sql>;
  /** A condition of every writing part: true, or the whole statement fails and writes nothing. */
  readonly admitted: ReturnType<Sql>;
}

export function gateOf(sql: Sql, by: By): Gate {
  return {
    enter: sql`actor as materialized (select actor_enter(${contextOf(sql, by)}) as admitted)`,
    admitted: sql`(select admitted from actor)`,
  };
}

/** The context of actor_enter() and audit_record(). */
export function contextOf(sql: Sql, by: By) {
  return sql`${sql.json(contextFields(by))}::jsonb`;
}

function contextFields(by: By) {
  if (by.kind === 'system') return { kind: by.kind, id: by.publicId };
  const { address, requestId: request } = by.origin;
  if (by.kind === 'visitor') return { kind: by.kind, address, request };
  const { publicId: id, origin } = by;
  const common = { id, callers: [...origin.callers], address, request };
  if (isCustomer(by)) return { kind: 'user', number: by.userId, session: by.sessionId, ...common };
  if (by.kind === 'operator') return { kind: by.kind, number: by.operatorId, session: by.sessionId, ...common };
  return { kind: by.kind, number: by.keyId, ...common };
}
