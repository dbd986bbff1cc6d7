/** What settling has set apart, for operators. An engine retries a record: the API may not write the ledger. */
import { maskCardData } from '../../platform/masking/redact.js';
import { riskCallers } from '../auth/principal.js';
import { Cursor } from '../http/cursor.js';
import { notFound, unavailable } from '../http/problem.js';
import { route } from '../http/route.js';
import { Count, Currency, closed, Id, Money, nullable, page, pageQuery, Timestamp, Type } from '../http/schemas.js';
import type { Services } from '../services.js';

const QuarantinedRecord = closed(
  {
    partition: Count,
    sequence: Count,
    accountId: nullable(Id),
    currency: nullable(Currency),
    fundsDelta: Money,
    heldDelta: Money,
    postedDelta: Money,
    booksKept: Type.Boolean({ description: 'the account’s balance took what the record moved' }),
    windowsKept: Type.Boolean({ description: 'the spend windows took it' }),
    sqlstate: Type.String(),
    error: Type.String({ description: 'why PostgreSQL refused the record' }),
    at: Timestamp,
  },
  { title: 'QuarantinedRecord' },
);
const Retry = closed(
  {
    partition: Type.Integer({ ...Count, maximum: 9999 }),
    sequence: Type.Integer({ ...Count, maximum: 999_999_999_999_999 }),
  },
  { title: 'QuarantineRetry', examples: [{ partition: 0, sequence: 17 }] },
);
const Retried = closed(
  {
    settled: Type.Boolean({ description: 'false: PostgreSQL has refused the record again' }),
    error: nullable(Type.String(), { description: 'why it was refused again' }),
  },
  { title: 'QuarantineRetried' },
);
const order = new Cursor('quarantine', 'count', 'count');

export function quarantineRoutes({ quarantine, engine, trail, log }: Services) {
  return [
    route({
      method: 'GET',
      url: '/api/quarantine',
      access: riskCallers,
      tag: 'operators',
      operationId: 'listQuarantine',
      summary: 'Records that settling has set apart, in the order in which they are to be retried',
      cached: false,
      schemas: { query: pageQuery({}), responses: { 200: page(QuarantinedRecord) } },
      handler: async ({ query }) => {
        const after = order.decode(query.cursor) ?? ([-1, -1] as const);
        return order.page(
          await quarantine.list(after, query.limit),
          query.limit,
          ({ partition, sequence }) => [partition, sequence] as const,
          (record) => ({ ...record, error: maskCardData(record.error) }),
        );
      },
    }),
    route({
      method: 'POST',
      url: '/api/quarantine/retry',
      access: riskCallers,
      tag: 'operators',
      operationId: 'retryQuarantined',
      summary: 'Settle a quarantined record after all',
      description:
        'What the record moved is in the books already, unless they were refused too: nothing moves twice. It is ' +
        'refused again while its cause is there, or while an earlier record of its transaction is quarantined.',
      errors: [404],
      schemas: { body: Retry, responses: { 200: Retried } },
      handler: async ({ actor, body }) => {
        const { partition, sequence } = body;
        const place = `${partition}/${sequence}`;
        const event = { action: 'quarantine.retry', objectKind: 'record', objectId: place };
        // The last look at the operator: the engine acts from here on.
        await trail.record(actor, { ...event, outcome: 'asked' });
        const { status, error } = await engine.retry(partition, sequence);
        if (status === 'unavailable') throw unavailable('PostgreSQL does not answer the engine: try again', 1);
        const answer = maskCardData(error);
        await trail
          .note(actor, {
            ...event,
            after: { status, error: answer },
            outcome: status === 'settled' ? 'done' : 'refused',
          })
          .catch((failure: Error) => {
            log.error({ error: failure.message, place }, 'the outcome of a retry is not in the audit trail');
          });
        if (status === 'absent') throw notFound('record');
        return { settled: status === 'settled', error: status === 'settled' ? null : answer };
      },
    }),
  ];
}
