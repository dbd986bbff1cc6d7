/**
 * Answers to changes that engines must obey, and their common refusals. A change is in force everywhere (200), or
 * accepted and not known to be in force yet (202, with where to look).
 */
import type { FastifyReply } from 'fastify';
import { type Actor, isCustomer } from '../auth/principal.js';
import type { Effect as EffectKnown } from '../feed/change-feed.js';
import { sendVersion, versionChanged } from '../http/etag.js';
import { conflict, notFound, type Problem } from '../http/problem.js';
import { Count, closed, type Static, Type, Version } from '../http/schemas.js';
import type { Published } from '../stores/cards.js';

export interface FeedTopic {
  readonly topic: 'card' | 'user' | 'account';
  /** Internal number as decimal text. */
  readonly key: string;
  readonly version: number;
}

/** The part of the change feed that routes need. */
export interface Effectiveness {
  /** In force once every live engine has applied that version; not in force when that is not known in time. */
  effect(change: FeedTopic, timeoutMs: number): Promise<EffectKnown>;
}

/** What every answer to a change says of its effect. */
export const effectFields = {
  effective: Type.Boolean({ description: 'in force on every engine' }),
  engines: closed(
    {
      inForce: Count,
      of: Type.Integer({ minimum: 0, description: 'engines that may approve' }),
      waiting: Type.Optional(
        Type.Array(Type.String(), { description: 'ids of those that have not answered; for operators alone' }),
      ),
    },
    { title: 'EngineCount' },
  ),
  afterMs: Type.Number({ minimum: 0, description: 'from the change to this answer, in milliseconds' }),
};
export const Effect = closed({ version: Version, ...effectFields }, { title: 'Effect' });
const effectShown = closed(effectFields);

/** Engines apply a change within a few tens of milliseconds; beyond this one of them has trouble. */
export const effectiveWaitMs = 1_000;

/** What the change has come to; sets status, ETag and, for 202, Location. */
export async function awaitEffect(
  feed: Effectiveness,
  actor: Actor,
  reply: FastifyReply,
  topic: FeedTopic['topic'],
  publicId: string,
  { number, version }: Published,
): Promise<Static<typeof effectShown>> {
  const { isInForce, engines, afterMs } = await feed.effect({ topic, key: String(number), version }, effectiveWaitMs);
  sendVersion(reply, version);
  if (!isInForce) reply.code(202).header('location', `/api/${topic}s/${publicId}/effective`);
  const { inForce, of, waiting } = engines;
  return {
    effective: isInForce,
    engines: { inForce, of, ...(isCustomer(actor) ? {} : { waiting: [...waiting] }) },
    afterMs: Math.round(afterMs * 10) / 10,
  };
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
