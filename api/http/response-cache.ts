/**
 * Answers to GET requests, kept for moments. The key has user, role and URL, so that no caller can see another's
 * answers. An answer is valid only within one generation of the tenant, so that a tenant reads its own writes. What
 * changes without a write of the tenant, such as a settled transaction, is seen once the lifetime is over.
 *
 * Every answer of a signed-in GET carries an ETag; a client that sends it back gets 304 and no body. `Cache-Control:
 * no-cache` passes by what is kept.
 */
import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import type { Principal } from '../auth/principal.js';
import type { TenantGenerations } from './tenant-generations.js';

/** Long enough for a page that asks the same thing from several places, too short for anybody to notice. */
const lifetimeMs = 2000;
const bytesMax = 32 * 1024 * 1024;
const entriesMax = 20_000;
/** A longer answer would push out a hundred others. */
const bodyLengthMax = 256 * 1024;

interface Kept {
  readonly generation: string;
  readonly body: string;
  readonly etag: string;
  readonly contentType: string;
}

/** What a GET was looked up as, until its answer is kept under it. */
interface Lookup {
  readonly key: string;
  readonly generation: string;
}

declare module 'fastify' {
  interface FastifyRequest {
    lookup: Lookup | null;
  }
}

export interface CacheCounts {
  hits: number;
  misses: number;
  notModified: number;
}

/** Must be registered before compression, and after who asks is known: routes authorize in their own first hook. */
export function registerResponseCache(app: FastifyInstance, generations: TenantGenerations, counts: CacheCounts): void {
  const kept = new LRUCache<string, Kept>({
    max: entriesMax,
    maxSize: bytesMax,
    sizeCalculation: ({ body }, key) => body.length + key.length + 200,
    ttl: lifetimeMs,
  });
  app.decorateRequest('lookup', null);
  app.addHook('preHandler', async (request, reply) => {
    if (!isCacheable(request)) return;
    const generation = await generations.current(tenantOf(request.principal));
    if (generation === null) return;
    const key = keyOf(request);
    const found = request.headers['cache-control'] === 'no-cache' ? undefined : kept.get(key);
    if (found === undefined || found.generation !== generation) {
      counts.misses++;
      request.lookup = { key, generation };
      return;
    }
    counts.hits++;
    return reply
      .headers({ 'content-type': found.contentType, etag: found.etag, 'x-cache': 'hit' })
      .serializer((text: string) => text)
      .send(found.body);
  });
  app.addHook('onSend', async (request, reply, payload) => {
    if (isWrite(request)) {
      // Before the answer leaves: who has it and then reads, reads what was written.
      await generations.advance(tenantOf(request.principal));
      return payload;
    }
    if (!isTagged(request) || reply.statusCode !== 200 || typeof payload !== 'string') return payload;
    const etag = tagOf(payload, reply.getHeader('etag'));
    keep(kept, request.lookup, payload, etag, reply);
    // Beside what others vary by: with allowed origins, by the origin.
    const vary = [reply.getHeader('vary') ?? [], 'authorization'].flat().join(', ');
    reply.headers({ etag, 'cache-control': 'private, no-cache', vary });
    if (!matches(request.headers['if-none-match'], etag)) return payload;
    counts.notModified++;
    reply.code(304).removeHeader('content-type').removeHeader('content-length');
    return '';
  });
}

/** An answer that is kept: declared so, and to a known caller. */
function isCacheable(request: FastifyRequest): boolean {
  const { route } = request.routeOptions.config;
  return isTagged(request) && route?.cached !== false;
}

function isTagged(request: FastifyRequest): boolean {
  const { route } = request.routeOptions.config;
  return request.method === 'GET' && route !== undefined && route.access !== 'public' && request.principal !== null;
}

/** Also one that failed: it may have done part of its work. */
function isWrite(request: FastifyRequest): boolean {
  return request.method !== 'GET' && request.method !== 'HEAD' && request.principal !== null;
}

function tenantOf({ companyId, userId }: Principal): string {
  return companyId === null ? `u${userId}` : `c${companyId}`;
}

function keyOf({ principal, url }: FastifyRequest): string {
  return `${principal.userId} ${principal.role} ${url}`;
}

function keep(
  kept: LRUCache<string, Kept>,
  lookup: Lookup | null,
  body: string,
  etag: string,
  reply: FastifyReply,
): void {
  if (lookup === null || body.length > bodyLengthMax) return;
  const contentType = String(reply.getHeader('content-type') ?? 'application/json; charset=utf-8');
  kept.set(lookup.key, { generation: lookup.generation, body, etag, contentType });
}

/** Covers the whole answer. @param version the tag of the object's version, where it has one */
function tagOf(body: string, version: unknown): string {
  const hash = createHash('sha1').update(body).digest('base64url').slice(0, 22);
  // Weak: compression may change the bytes. That of a version names the object in If-Match, which takes no weak one.
  if (typeof version !== 'string') return `W/"${hash}"`;
  // A kept answer has its whole tag already.
  return /^"\d+"$/.test(version) ? `${version.slice(0, -1)}-${hash}"` : version;
}

/** RFC 9110, 13.1.2: weak comparison against any of the list. */
function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  const bare = etag.replace(/^W\//, '');
  return header === '*' || header.split(',').some((candidate) => candidate.trim().replace(/^W\//, '') === bare);
}
