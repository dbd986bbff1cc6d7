/** What settling has set apart, for operators: the list alone, because a retry needs the engine's rights. */
import { maskCardData } from '../../platform/masking/redact.js';
import { riskCallers } from '../auth/principal.js';
import { Cursor } from '../http/cursor.js';
import { route } from '../http/route.js';
import { Count, closed, Id, Money, nullable, page, pageQuery, Timestamp, Type } from '../http/schemas.js';
import type { Services } from '../services.js';

const QuarantinedRecord = closed(
  {
    partition: Count,
    sequence: Count,
    accountId: nullable(Id),
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
const order = new Cursor('quarantine', 'count', 'count');

export function quarantineRoutes({ quarantine }: Services) {
  return [
    route({
      method: 'GET',
      url: '/api/quarantine',
      access: riskCallers,
      tag: 'operators',
      operationId: 'listQuarantine',
      summary: 'Records that settling has set apart, in the order in which they are to be retried',
      description: 'Retried by `npm run quarantine` alone: the account API has no right to write the ledger.',
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
  ];
}
