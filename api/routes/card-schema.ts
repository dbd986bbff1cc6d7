/** A card as answers show it, and what routes that make one have in common. */
import { cardTypeNames } from '../../engine/core/card-types.js';
import { Problem } from '../http/problem.js';
import { closed, Id, oneOf, type Static, Status, Timestamp, Type, Version } from '../http/schemas.js';
import { type Card as CardRecord, replaceReasons } from '../stores/cards.js';
import { LimitsBody } from './limits-schema.js';
import { Metadata } from './metadata-schema.js';

/** Cards are valid to the end of the month, this many years on. */
const validYears = 4;

export const CardType = oneOf(cardTypeNames, { title: 'CardType' });
export const ReplaceReason = oneOf(replaceReasons, { title: 'ReplaceReason' });

export const cardFields = {
  id: Id,
  token: Type.String({ description: 'what the authorization port takes as `card`' }),
  accountId: Id,
  userId: Id,
  name: Type.String(),
  type: CardType,
  status: Status,
  expires: Type.String({ format: 'date', description: 'last day of validity' }),
  limits: LimitsBody,
  metadata: Metadata,
  replacedBy: Type.Optional(Type.String({ ...Id, description: 'the card that took its place' })),
  replacedFor: Type.Optional(ReplaceReason),
  version: Version,
  createdAt: Timestamp,
};
export const Card = closed(cardFields, { title: 'Card' });

export function showCard({ cardId, ...card }: CardRecord): Static<typeof Card> {
  const { token, accountId, userId, name, type, status, expires, limits, metadata, version, createdAt } = card;
  return {
    id: cardId,
    token,
    accountId,
    userId,
    name,
    type,
    status,
    expires,
    limits: limits as Static<typeof LimitsBody>,
    metadata,
    ...(card.replacedBy === null ? {} : { replacedBy: card.replacedBy }),
    ...(card.replacedFor === null ? {} : { replacedFor: card.replacedFor }),
    version,
    createdAt,
  };
}

/** The last day of the month `validYears` from now, YYYY-MM-DD. */
export function expiryFrom(now: Date): string {
  return new Date(Date.UTC(now.getUTCFullYear() + validYears, now.getUTCMonth() + 1, 0)).toISOString().slice(0, 10);
}

export function notVerified(): Problem {
  return new Problem(403, 'customer_not_verified', 'there are no new cards unless your identity is verified');
}
