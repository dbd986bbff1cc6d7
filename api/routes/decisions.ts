/** Why a decision was made: every check with the numbers that it had, for operators. */

import type { EngineDecision } from '../engine-client.js';
import { notFound } from '../http/problem.js';
import { route } from '../http/route.js';
import { Count, closed, Id, Money, nullable, type Static, Timestamp, Type } from '../http/schemas.js';
import type { Services } from '../services.js';
import type { Parties } from '../stores/search.js';
import { anyOperator } from './operators.js';

const Nullable = nullable(Type.String());
const Milliseconds = Type.Number({ minimum: 0 });

const CheckNumbers = Type.Unsafe<Record<string, string | number | boolean | null>>({
  title: 'CheckNumbers',
  type: 'object',
  description: 'as the decision saw them; amounts in minor units, instants in milliseconds since 1970',
  additionalProperties: { type: ['string', 'number', 'boolean', 'null'] },
});
const Check = closed(
  {
    reason: Type.String({ description: 'with which the check declines' }),
    detail: Type.String({ description: 'which limit; empty for other checks' }),
    passed: nullable(Type.Boolean(), { description: 'null: an earlier check has declined' }),
    numbers: CheckNumbers,
  },
  { title: 'Check' },
);
const Hops = closed(
  { wait: Milliseconds, decide: Milliseconds, journal: Milliseconds, send: Milliseconds },
  { title: 'Hops' },
);
const Decision = closed(
  {
    id: Type.String({ description: "the message's id" }),
    authorizationId: Type.String(),
    original: Nullable,
    type: Type.String(),
    protocol: Type.String(),
    approved: Type.Boolean(),
    reason: Type.String(),
    detail: Type.String(),
    currency: Nullable,
    amount: nullable(Money, { description: 'null: the message named none' }),
    approvedAmount: Money,
    available: Type.Integer({ description: 'of the account after this message' }),
    held: Money,
    merchant: closed({ id: Nullable, name: Nullable, mcc: Nullable, country: Nullable }, { title: 'Merchant' }),
    channel: Nullable,
    cardId: nullable(Id),
    cardName: Nullable,
    cardShown: Type.String({ description: 'the end of the token by which the card was asked for' }),
    cardVersion: Count,
    accountId: nullable(Id),
    accountCurrency: Nullable,
    userId: nullable(Id),
    customerId: nullable(Id),
    customerName: Nullable,
    partition: Count,
    sequence: Count,
    at: Timestamp,
    revokedAt: nullable(Timestamp, { description: 'when the approval was taken back, because it was late' }),
    numbersKept: Type.Boolean({ description: 'false: an older release decided, and the checks lack most numbers' }),
    hopsMs: nullable(Hops, { description: 'null: the engine does not know it any more' }),
    checks: Type.Array(Check, { description: 'in the order in which they were made', maxItems: 100 }),
  },
  { title: 'Decision' },
);

/** Ids are the processor's: anything visible, up to the engine's bound. */
const DecisionParams = closed({ id: Type.String({ minLength: 1, maxLength: 64 }) });
const lettersShown = 4;

export function decisionRoutes({ engine, search, panKeys }: Services) {
  return [
    route({
      method: 'GET',
      url: '/api/decisions/:id',
      access: anyOperator,
      target: 'decision',
      tag: 'operators',
      operationId: 'getDecision',
      summary: 'Why a decision was made, by the id of its message or of its authorization',
      description:
        'Each check in order with its numbers at that instant, from the record of the decision: never from what is ' +
        'known today. `hopsMs` says where the milliseconds went, of the last 4,096 batches of a partition.',
      cached: false,
      schemas: { params: DecisionParams, responses: { 200: Decision } },
      handler: async ({ params }) => {
        for (const id of panKeys.keptForms(params.id)) {
          const found = await engine.decision(id);
          if (found === null) continue;
          const { cardNumber, accountNumber, userNumber } = found;
          return show(found, await search.parties(cardNumber, accountNumber, userNumber));
        }
        throw notFound('decision');
      },
    }),
  ];
}

function show(found: EngineDecision, parties: Parties): Static<typeof Decision> {
  const { id, authorizationId, original, type, protocol, approved, reason, detail, amount, approvedAmount } = found;
  const { available, held, card, cardVersion, merchant, partition, sequence, numbersKept, hopsMs, checks } = found;
  const { cardId, cardName, accountId, accountCurrency, userId, customerId, customerName } = parties;
  return {
    ...{ id, authorizationId, original, type, protocol, approved, reason, detail, amount, approvedAmount },
    ...{ available, held, cardVersion, partition, sequence, numbersKept, hopsMs, checks: [...checks] },
    ...{ cardId, cardName, accountId, accountCurrency, userId, customerId, customerName },
    currency: found.currency || null,
    merchant: {
      id: merchant.id || null,
      name: merchant.name || null,
      mcc: merchant.mcc || null,
      country: merchant.country || null,
    },
    channel: found.channel || null,
    cardShown: cardId === null && accountId !== null ? '' : `…${card.slice(-lettersShown)}`,
    at: instantOf(found.atMs),
    revokedAt: found.revokedAtMs === null ? null : instantOf(found.revokedAtMs),
  };
}

function instantOf(ms: number): string {
  return new Date(ms).toISOString();
}
