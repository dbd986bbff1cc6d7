/** Ids of requests: the client's own where it sends a usable one, so that its log and ours can be put side by side. */
import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { maskCardData } from '../../platform/masking/redact.js';

/** Common ids fit: UUIDs, ULIDs, trace contexts. */
const wellFormed = /^[\w.:-]{1,64}$/;

/** The id that a request came with, or a new one. */
export function requestIdOf(headers: IncomingHttpHeaders): string {
  const sent = headers['request-id'] ?? headers['x-request-id'];
  // An id is written to logs and answers: one that could be a card number is not taken over.
  if (typeof sent === 'string' && wellFormed.test(sent) && maskCardData(sent) === sent) return sent;
  return `req_${randomUUID()}`;
}
