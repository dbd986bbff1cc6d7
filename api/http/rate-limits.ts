/**
 * How many requests a minute are served. They are counted before anything is read or looked up, also those that end in
 * 401 or 404:
 *
 * - A request with an access token of ours, or a recently valid key or operator session, counts for its customer,
 *   operator or key. Its address does not matter.
 * - Any other request counts for its address (the /64 of IPv6): no token, an unknown token, an unknown path. If its
 *   token turns out to be good, the count moves to the token's owner. A sign-in that succeeds is taken back.
 * - Signing in, refreshing and signing out (`ownCounts`) have counts of their own for each address. People must get in
 *   and out beside senders of junk at the same address. Failed sign-ins are limited in auth/failures.ts; a refresh
 *   token cannot be guessed.
 * - The pages' files (`/assets/`) count for the wide bound of their address alone: one page loads a dozen of them, and
 *   people behind one address would take the others' requests away.
 * - All requests of an address together have a wide bound.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { addressOf } from '../../platform/process/connection-gate.js';
import type { Actor } from '../auth/principal.js';
import type { RedisConnection } from '../stores/redis.js';
import { Problem } from './problem.js';
import { RateWindows, type Standing } from './rate-windows.js';

/** Requests a minute. */
export interface RateLimits {
  /** Of a customer or an operator. */
  readonly person: number;
  /** Of an API key. */
  readonly key: number;
  /** Of an address, without a good token. */
  readonly anonymous: number;
  /** Of an address, in all. */
  readonly address: number;
}

export interface KnownCallers {
  /**
   * Whom a token belongs to, see rateKeyOf, by its signature or by what was last looked up; null: not known. Reads
   * nothing.
   */
  known(authorization: string | undefined): string | null | Promise<string | null>;
}

export interface RateLimitOptions {
  readonly limits: RateLimits;
  readonly callers: KnownCallers;
  /** Counts for all processes; null: each counts for itself. */
  readonly redis: RedisConnection | null;
}

/** Of an address, for each of `ownCounts`: 300 a second, since 200 successful sign-ins must always pass. */
const signInsPerMinute = 18_000;
/** Of the files of the pages (api/pages/pages.ts). */
const assetsUrl = '/assets/*';
/** First letters of the counts. */
const ownCounts: ReadonlyMap<string, string> = new Map([
  ['/api/auth/login', 's'],
  ['/api/auth/refresh', 'r'],
  ['/api/auth/logout', 'e'],
  ['/api/operators/login', 'p'],
  ['/api/app/session', 's'],
  ['/api/console/session', 'p'],
]);

declare module 'fastify' {
  interface FastifyRequest {
    /** What the request was counted as while its caller was not known; null: its caller is. */
    anonymousCount: string | null;
  }
}

/** Whose requests are counted together. The first letter tells a key from a person. */
export function rateKeyOf(actor: Actor): string {
  if (actor.kind === 'operator') return `o${actor.operatorId}`;
  return actor.kind === 'key' ? `k${actor.keyId}` : customerRateKey(actor.userId);
}

export function customerRateKey(userId: number): string {
  return `c${userId}`;
}

export class RateLimiter {
  readonly #limits: RateLimits;
  readonly #callers: KnownCallers;
  readonly #windows: RateWindows;
  /** Requests refused; read by the metrics. */
  refused = 0;

  constructor({ limits, callers, redis }: RateLimitOptions) {
    this.#limits = limits;
    this.#callers = callers;
    this.#windows = new RateWindows(redis);
  }

  /** Must be registered before all that reads, verifies or looks up. */
  register(app: FastifyInstance): void {
    app.decorateRequest('anonymousCount', null);
    app.addHook('onRequest', (request, reply, done) => {
      const counted = isOperations(request) ? undefined : this.#arrived(request, reply);
      if (counted === undefined) done();
      else counted.then(() => done(), done);
    });
    app.addHook('onResponse', (request, reply, done) => {
      const { anonymousCount } = request;
      const isSignIn = request.routeOptions.config.route?.tag === 'sign-in';
      if (anonymousCount !== null && isSignIn && reply.statusCode < 300) this.#windows.giveBack(anonymousCount);
      done();
    });
    app.addHook('onListen', async () => this.#windows.start());
    app.addHook('onClose', async () => this.#windows.stop());
  }

  /** Waits only for the signature of a token that is new here. Throws 429. */
  #arrived(request: FastifyRequest, reply: FastifyReply): undefined | Promise<void> {
    const address = addressOf(request.ip);
    const ofAddress = this.#windows.take(`a${address}`, this.#limits.address);
    if (ofAddress.used > ofAddress.limit) this.#refuse(ofAddress, reply);
    const own = ownCountOf(request);
    if (own !== undefined) {
      this.#admit(this.#windows.take(`${own}${address}`, signInsPerMinute), reply);
      return undefined;
    }
    if (request.routeOptions.url === assetsUrl) return undefined;
    const known = this.#callers.known(request.headers.authorization);
    if (known instanceof Promise) return known.then((caller) => this.#count(caller, address, request, reply));
    this.#count(known, address, request, reply);
    return undefined;
  }

  #count(caller: string | null, address: string, request: FastifyRequest, reply: FastifyReply): void {
    if (caller === null) {
      request.anonymousCount = `n${address}`;
      this.#admit(this.#windows.take(request.anonymousCount, this.#limits.anonymous), reply);
    } else {
      this.#countCaller(caller, reply);
    }
  }

  /** The caller of a request is verified. Throws 429. */
  identified(request: FastifyRequest, reply: FastifyReply, actor: Actor): void {
    if (request.anonymousCount === null) return;
    this.#windows.giveBack(request.anonymousCount);
    request.anonymousCount = null;
    this.#countCaller(rateKeyOf(actor), reply);
  }

  #countCaller(caller: string, reply: FastifyReply): void {
    const limit = caller.startsWith('k') ? this.#limits.key : this.#limits.person;
    this.#admit(this.#windows.take(caller, limit), reply);
  }

  #admit(standing: Standing, reply: FastifyReply): void {
    const { limit, used, resetS } = standing;
    reply.header('ratelimit-limit', limit);
    reply.header('ratelimit-remaining', Math.max(0, limit - used));
    reply.header('ratelimit-reset', resetS);
    if (used > limit) this.#refuse(standing, reply);
  }

  #refuse({ limit, resetS }: Standing, reply: FastifyReply): never {
    this.refused++;
    reply.headers({ 'ratelimit-limit': limit, 'ratelimit-remaining': 0, 'ratelimit-reset': resetS });
    throw new Problem(429, 'too_many_requests', `more than ${limit} requests in a minute; wait ${resetS} s`, {
      headers: { 'retry-after': String(resetS) },
    });
  }
}

function ownCountOf({ method, routeOptions: { url } }: FastifyRequest): string | undefined {
  return method === 'POST' && url !== undefined ? ownCounts.get(url) : undefined;
}

/** Those who run the API must see it when it matters most. */
export function isOperations(request: FastifyRequest): boolean {
  return request.routeOptions.config.route?.tag === 'operations';
}
