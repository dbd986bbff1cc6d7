/** The end of a hold that no clearing will come for: a reversal by an operator, who says why. */
import { riskCallers } from '../auth/principal.js';
import type { EngineClient } from '../engine-client.js';
import { checkName } from '../http/fields.js';
import { operationOf } from '../http/idempotency.js';
import { conflict, notFound } from '../http/problem.js';
import { route } from '../http/route.js';
import { Currency, closed, Money, Name, nullable, Type } from '../http/schemas.js';
import { idOf } from '../ids.js';
import type { Services } from '../services.js';

/** Ids are the processor's: anything visible, up to the engine's bound. */
const TransactionParams = closed({ id: Type.String({ minLength: 1, maxLength: 64 }) });
const ReleaseOrder = closed(
  { reason: Type.String({ ...Name, description: 'for the audit trail' }) },
  { title: 'ReleaseOrder', examples: [{ reason: 'the merchant confirmed that no clearing will come' }] },
);
const Release = closed(
  {
    id: Type.String({ description: 'of the reversal that releases the hold' }),
    transactionId: Type.String(),
    released: Type.Integer({ ...Money, minimum: 0, description: '0: nothing was held any more' }),
    currency: nullable(Currency),
    available: Type.Integer({ ...Money, description: 'of the account, after the release' }),
  },
  { title: 'Release' },
);

export function holdReleaseRoutes({ holds, engine, panKeys, trail, log }: Services) {
  return [
    route({
      method: 'POST',
      url: '/api/transactions/:id/release',
      access: riskCallers,
      target: 'transaction',
      tag: 'transactions',
      operationId: 'releaseHold',
      summary: 'Release what a transaction still holds',
      description:
        'The engine makes a reversal of exactly what is held at that moment: never more, and once for one ' +
        '`Idempotency-Key`. A clearing that comes later is posted without a hold.',
      schemas: { params: TransactionParams, body: ReleaseOrder, responses: { 200: Release } },
      handler: async (request) => {
        const { actor, params, body } = request;
        const reason = checkName('reason', body.reason);
        const settled = await holds.find(panKeys.keptForms(params.id));
        const found = settled ?? (await unsettled(engine, panKeys.keptForms(params.id)));
        if (found === null) throw notFound('transaction');
        const { transactionId, cardToken } = found;
        const id = idOf('rel', operationOf(request));
        const event = { action: 'transaction.release', objectKind: 'transaction', objectId: transactionId };
        const before = settled === null ? {} : { before: { held: settled.heldAmount, currency: settled.currency } };
        // The last look at the operator: the engine acts from here on.
        await trail.record(actor, { ...event, ...before, after: { id, reason }, outcome: 'asked' });
        const released = await engine.release(id, transactionId, cardToken);
        const { approved, approvedAmount, currency, available } = released;
        const after = { id, reason, released: approvedAmount, answer: released.reason };
        await trail
          .note(actor, { ...event, ...before, after, outcome: approved ? 'done' : 'refused' })
          .catch((error: Error) => {
            log.error({ error: error.message, release: id }, 'the outcome of a release is not in the audit trail');
          });
        if (released.reason === 'original_not_found') throw notFound('transaction');
        if (!approved) throw conflict('nothing_held', 'this transaction is completed: nothing of it is held');
        return { id, transactionId, released: approvedAmount, currency, available };
      },
    }),
  ];
}

/** An authorization that the engine approved and that is not settled yet: a reversal of nothing would spend the id. */
async function unsettled(engine: EngineClient, ids: readonly string[]) {
  for (const id of ids) {
    const decision = await engine.decision(id);
    if (decision?.approved === true && decision.authorizationId === id) {
      return { transactionId: id, cardToken: decision.card };
    }
  }
  return null;
}
