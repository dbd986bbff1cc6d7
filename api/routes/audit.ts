/** The audit trail, for operators who look into what happened. Each look is an entry of the trail itself. */
import { Cursor } from '../http/cursor.js';
import { periodOf } from '../http/instants.js';
import { invalid } from '../http/problem.js';
import { route } from '../http/route.js';
import {
  closed,
  Id,
  Moment,
  nullable,
  oneOf,
  Part,
  page,
  pageQuery,
  type Static,
  Timestamp,
  Type,
} from '../http/schemas.js';
import type { Services } from '../services.js';
import { type AuditEntry, auditActorKinds, auditOutcomes } from '../stores/audit.js';

const Nullable = nullable(Type.String());
const Action = Type.String({ minLength: 1, maxLength: 100, pattern: '^[a-z_.]+$' });
/** JSON, as a text: which properties changed differs from object to object. */
const Change = nullable(Type.String(), { description: 'JSON of the properties that changed' });

const Outcome = oneOf(auditOutcomes, { title: 'AuditOutcome' });

const Entry = closed(
  {
    id: Id,
    at: Timestamp,
    actor: closed({
      kind: oneOf(auditActorKinds, { title: 'AuditActorKind' }),
      id: Nullable,
      address: Nullable,
    }),
    requestId: Nullable,
    action: Type.String(),
    object: closed({ kind: Nullable, id: Nullable }),
    before: Change,
    after: Change,
    outcome: Outcome,
    place: nullable(Type.Integer({ minimum: 1 }), { description: 'in the chain of hashes; null: not sealed yet' }),
  },
  { title: 'AuditEntry' },
);
const order = new Cursor('audit', 'integer');

export function auditRoutes({ trail }: Services) {
  return [
    route({
      method: 'GET',
      url: '/api/audit',
      report: true,
      access: ['operator:risk', 'operator:admin'],
      tag: 'operators',
      operationId: 'listAuditEntries',
      summary: 'The audit trail, newest first: who did what, from where, and what it changed',
      description:
        'What is asked of the engine has an entry with the outcome `asked`, and one more with what came of it. The ' +
        'latter is `unknown` where neither the engines nor the settled ledger could say.',
      cached: false,
      schemas: {
        query: pageQuery({
          actor: Type.Optional(Id),
          // Ids of transactions are the processor's, and a record is named by its place.
          object: Type.Optional(Type.String(Part)),
          action: Type.Optional(Action),
          movement: Type.Optional(
            Type.String({ ...Id, description: 'a deposit or withdrawal of the account in `object`: its whole story' }),
          ),
          outcome: Type.Optional(Outcome),
          from: Type.Optional(Moment),
          to: Type.Optional(Moment),
        }),
        responses: { 200: page(Entry) },
      },
      handler: async ({ query }) => {
        const { limit, cursor, ...rest } = query;
        // Without the account every entry of 13 months would be read.
        if (rest.movement !== undefined && rest.object === undefined)
          throw invalid('movement', 'needs its account as object');
        const filter = { ...rest, ...periodOf(rest) };
        const [beforeId] = order.decode(cursor) ?? [Number.MAX_SAFE_INTEGER];
        return order.page(await trail.list(filter, beforeId, limit), limit, ({ id }) => [id] as const, showEntry);
      },
    }),
  ];
}

function showEntry(entry: AuditEntry): Static<typeof Entry> {
  const { id, at, actorKind, actorId, address, requestId, action, objectKind, objectId, outcome, place } = entry;
  return {
    id: String(id),
    at,
    actor: { kind: actorKind, id: actorId, address },
    requestId,
    action,
    object: { kind: objectKind, id: objectId },
    before: asText(entry.before),
    after: asText(entry.after),
    outcome,
    place,
  };
}

function asText(value: Readonly<Record<string, unknown>> | null): string | null {
  return value === null ? null : JSON.stringify(value);
}
