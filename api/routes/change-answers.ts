/**
 * Answers to changes that engines must obey, and their common refusals. A change is in force everywhere (200), or
 * accepted and not known to be in force yet (202, with where to look).
 */
import type { FastifyReply } from 'fastify';
import { sendVersion, versionChanged } from '../http/etag.js';
import { conflict, notFound, type Problem } from '../http/problem.js';
import type { Published } from '../stores/cards.js';

export interface FeedTopic {
  readonly topic: 'card' | 'user' | 'account';
  /** Internal number as decimal text. */
  readonly key: string;
  readonly version: number;
}

/** The part of the change feed that routes need. */
export interface Effectiveness {
  /** True once every live engine has applied that version; false when that is not known in time. */
  effective(change: FeedTopic, timeoutMs: number): Promise<boolean>;
}

/** Engines apply a change within a few tens of milliseconds; beyond this one of them has trouble. */
export const effectiveWaitMs = 1_000;

/** Whether the change is in force; sets status, ETag and, for 202, Location. */
export async function awaitEffect(
  feed: Effectiveness,
  reply: FastifyReply,
  topic: FeedTopic['topic'],
  publicId: string,
  { number, version }: Published,
): Promise<boolean> {
  const effective = await feed.effective({ topic, key: String(number), version }, effectiveWaitMs);
  sendVersion(reply, version);
  if (!effective) reply.code(202).header('location', `/api/${topic}s/${publicId}/effective`);
  return effective;
}

/** The refusal of a change that did not happen. */
export function changeRefused(
  outcome: { readonly outcome: 'stale'; readonly version: number } | { readonly outcome: 'absent' | 'closed' },
): Problem {
  switch (outcome.outcome) {
    case 'stale':
      return versionChanged(outcome.version);
    case 'closed':
      return conflict('card_closed', 'a closed card stays closed: make a new one', { field: 'status' });
    case 'absent':
      return notFound();
  }
}
