/**
 * Optimistic concurrency: an object's version travels in its entity tag, and a change that names an older one is
 * refused (RFC 9110, 13.1.1). The tag of a GET continues with a hash of the whole answer: `"3-hMb…"`. The answer may
 * change while the version does not, for example by spending. `If-Match` compares the version alone.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { invalid, Problem } from './problem.js';

/** Versions are Postgres' integers. */
const versionMax = 2 ** 31 - 1;

/** The tag of version 3 is `"3"`. */
export function sendVersion(reply: FastifyReply, version: number): void {
  reply.header('etag', `"${version}"`);
}

/** The version that If-Match names, null when any will do. Throws 400 when it cannot be one of ours. */
export function versionExpected(request: FastifyRequest): number | null {
  const header = request.headers['if-match'];
  if (header === undefined || header.trim() === '*') return null;
  const match = /^\s*(?:W\/)?"(\d{1,10})(?:-[\w-]{1,64})?"\s*$/.exec(header);
  if (match === null || Number(match[1]) > versionMax)
    throw invalid('if-match', 'must be the ETag of an earlier answer, such as "3", or *');
  return Number(match[1]);
}

/** Throws 412 unless `expected` (from versionExpected) is null or the version that was found. */
export function requireVersion(expected: number | null, found: number): void {
  if (expected !== null && expected !== found) throw versionChanged(found);
}

/** 412: another caller changed the object since this one read it. */
export function versionChanged(found: number): Problem {
  return new Problem(412, 'version_changed', `this is version ${found} by now: read it again, then change it`, {
    headers: { etag: `"${found}"` },
  });
}
