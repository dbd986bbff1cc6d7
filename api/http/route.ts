/**
 * How a route is declared: method, path, who may call it, schemas of all that goes in and out, and the handler. One
 * declaration gives validation, authorization, serialization, documentation and the tenancy test their parts; nothing
 * is served that was not declared this way.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../auth/principal.js';
import type { Static, TSchema } from './schemas.js';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** What the `:id` of a path names: the tenancy test puts another tenant's there. */
export type Target =
  | 'company'
  | 'user'
  | 'account'
  | 'card'
  | 'transaction'
  | 'decision'
  | 'session'
  | 'key'
  | 'invitation'
  | 'customer'
  | 'funding';

export interface RouteSchemas {
  readonly params?: TSchema;
  readonly query?: TSchema;
  readonly body?: TSchema;
  /** By status, the usual one first. A 204 has the schema `NoContent`. */
  readonly responses: Readonly<Record<number, TSchema>>;
}

export interface Upload {
  /** For the documentation: what the header says is not believed. */
  readonly mediaRange: string;
  readonly bytesMax: number;
  /** Runs before the body is read. Throws when no more can be taken now. */
  admit(reply: FastifyReply): void;
}

type StaticOf<T> = T extends TSchema ? Static<T> : unknown;

export type RequestOf<S extends RouteSchemas> = FastifyRequest<{
  Params: StaticOf<S['params']>;
  Querystring: StaticOf<S['query']>;
  Body: StaticOf<S['body']>;
}>;

type AnswerOf<S extends RouteSchemas> = StaticOf<S['responses'][keyof S['responses']]>;

export interface RouteDefinition<S extends RouteSchemas> {
  readonly method: Method;
  /** With `:id` where an object is named. */
  readonly url: string;
  /** Who may call it; 'public' needs no token. */
  readonly access: 'public' | readonly Caller[];
  /** Required when the path has an `:id`. */
  readonly target?: Target;
  readonly tag: string;
  /** Name of the operation in generated clients: `createCard`. Unique. */
  readonly operationId: string;
  /** One line for the documentation. */
  readonly summary: string;
  /** More for the documentation, in Markdown. */
  readonly description?: string;
  /** Statuses of errors beside those that `statusesOf` knows of every route of this form. */
  readonly errors?: readonly number[];
  /** True when the handler heeds `If-Match` and may answer 412. */
  readonly versioned?: boolean;
  /** PUT only: the body is bytes, which the handler gets as they are. */
  readonly upload?: Upload;
  /** Media type of answers whose schema is a text. Default application/json. */
  readonly produces?: string;
  readonly schemas: S;
  /** GET only: false when the answer must not be kept by the response cache (live balances). Default true. */
  readonly cached?: boolean;
  /** True when an answer keeps the database busy: few of one tenant are made at a time (tenant-bounds.ts). */
  readonly report?: boolean;
  /**
   * GET only: true when the answer goes on until the client leaves. Its time is no latency, and it takes nothing of
   * what a tenant may do at once: such a route has a bound of its own.
   */
  readonly stream?: boolean;
  /** GET only: true when an operator sees nothing of others by it, so that the audit trail has no entry of it. */
  readonly unrecorded?: boolean;
  /** POST only: true when the answer carries a secret, which must not be kept for a repeated Idempotency-Key. */
  readonly secret?: boolean;
  /** Answers with the first status of `responses` unless it sets another. */
  handler(request: RequestOf<S>, reply: FastifyReply): Promise<AnswerOf<S>>;
}

/** A declared route with its types forgotten: what the server registers and tests walk. */
export interface Route extends Omit<RouteDefinition<RouteSchemas>, 'handler'> {
  handler(request: FastifyRequest, reply: FastifyReply): Promise<unknown>;
}

/**
 * Declares a route. Throws on a declaration that would not be safe or could not be documented: a bug, found at start.
 */
export function route<const S extends RouteSchemas>(definition: RouteDefinition<S>): Route {
  const where = `${definition.method} ${definition.url}`;
  if (definition.url.includes(':id') !== (definition.target !== undefined)) {
    throw new Error(`${where}: a path with :id must say what it names (target), and no other`);
  }
  const { body, responses } = definition.schemas;
  if (Object.keys(responses).length === 0) throw new Error(`${where} has no response schema`);
  for (const schema of [body, ...Object.values(responses)]) {
    const { type, title } = (schema ?? {}) as { type?: string; title?: string };
    if (type === 'object' && !/^[A-Z][A-Za-z]+$/.test(title ?? '')) {
      throw new Error(`${where}: give the schema of each body and answer a title such as Card`);
    }
  }
  return definition as unknown as Route;
}

/** Every status that the route may answer with; an answer with another one is a bug. */
export function statusesOf(route: Route): ReadonlySet<number> {
  let statuses = known.get(route);
  if (statuses === undefined) {
    statuses = statusesDeclared(route);
    known.set(route, statuses);
  }
  return statuses;
}

/** Every answer is held against them. */
const known = new WeakMap<Route, ReadonlySet<number>>();

function statusesDeclared(route: Route): ReadonlySet<number> {
  const { method, access, target, schemas, stream, errors = [], versioned = false } = route;
  const statuses = new Set([...Object.keys(schemas.responses).map(Number), ...errors, 400, 414, 429, 500, 503]);
  if (access !== 'public') for (const status of [401, 403]) statuses.add(status);
  if (access !== 'public' && method === 'GET' && stream !== true) statuses.add(304);
  if (target !== undefined) statuses.add(404);
  // A body is read and refused, also where none is expected.
  if (method !== 'GET') for (const status of [413, 415]) statuses.add(status);
  // The key is in use, or was used with another request.
  if (takesIdempotencyKey(route)) statuses.add(409);
  if (versioned) statuses.add(412);
  return statuses;
}

/** Answers with tokens or keys are not written to a table to be read again. */
export function takesIdempotencyKey({ method, access, secret = false }: Route): boolean {
  return method === 'POST' && access !== 'public' && !secret;
}
