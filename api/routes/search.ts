/** What operators look for, whosever it is. Each request is an entry of the audit trail, as every look of theirs. */
import { Cursor } from '../http/cursor.js';
import { checkAmounts, periodOf } from '../http/instants.js';
import { notFound } from '../http/problem.js';
import { route } from '../http/route.js';
import { closed, Id, Kind, nullable, oneOf, page, pageQuery, printable, Timestamp, Type } from '../http/schemas.js';
import type { Services } from '../services.js';
import { type FoundTransaction, hitKinds, looksMax } from '../stores/search.js';
import { isSearch, type TransactionKey } from '../stores/transactions.js';
import { anyOperator } from './operators.js';
import {
  Event,
  eventCursor,
  eventFields,
  show,
  showWhole,
  TransactionParams,
  transactionFields,
  transactionFilters,
} from './transactions.js';

const Hit = closed(
  {
    kind: oneOf(hitKinds, { title: 'HitKind' }),
    id: Type.String(),
    text: nullable(Type.String(), { description: 'a name: of the merchant, the card, the person, the company' }),
    more: nullable(Type.String(), { description: 'a status, a reason, or an e-mail address' }),
    at: nullable(Timestamp),
  },
  { title: 'Hit' },
);
const Hits = closed({ data: Type.Array(Hit, { maxItems: 100 }) }, { title: 'HitList' });
const foundFields = {
  ...transactionFields,
  cardId: nullable(Id, { description: 'null: there was no such card' }),
  accountId: nullable(Id),
  userId: nullable(Id),
  customerId: nullable(Id, { description: 'of the company, or of the person' }),
  customerKind: nullable(Kind),
  customerName: nullable(Type.String()),
};
const Found = closed(foundFields, { title: 'FoundTransaction' });
const FoundWhole = closed({ ...foundFields, ...eventFields }, { title: 'FoundTransactionWithEvents' });
const order = new Cursor('search', 'timestamp', 'text');

export function searchRoutes(services: Services) {
  return [...listRoutes(services), ...transactionLooks(services)];
}

function listRoutes({ panKeys, search }: Services) {
  return [
    route({
      method: 'GET',
      url: '/api/search',
      access: anyOperator,
      tag: 'operators',
      operationId: 'search',
      summary: 'Whatever has this id, this e-mail address, or a name that begins so',
      description:
        'Ids of transactions, messages, cards, accounts, people and companies, and tokens of cards, as a whole; ' +
        'names of people and companies by their beginning, in any case.',
      cached: false,
      report: true,
      schemas: {
        query: closed({ q: Type.Optional(Type.String({ minLength: 1, maxLength: 100, pattern: printable })) }),
        responses: { 200: Hits },
      },
      handler: async ({ query }) => {
        const text = query.q?.trim() ?? '';
        return { data: text === '' ? [] : [...(await search.hits(panKeys.keptForms(text), text))] };
      },
    }),
    route({
      method: 'GET',
      url: '/api/search/transactions',
      access: anyOperator,
      tag: 'operators',
      operationId: 'searchTransactions',
      summary: 'Transactions of all customers, newest first',
      description:
        `A search by status, type, reason, merchant or amount looks at ${looksMax} transactions at a time: a page ` +
        'may then have fewer than `limit`, even none, while `next` goes on from there.',
      cached: false,
      report: true,
      schemas: {
        query: pageQuery({
          ...transactionFilters,
          customer: Type.Optional(Id),
        }),
        responses: { 200: page(Found) },
      },
      handler: async ({ query }) => {
        const { limit, cursor, ...rest } = query;
        checkAmounts(rest);
        const filter = { ...rest, ...periodOf(rest) };
        const after = order.decode(cursor);
        const until = needsHorizon(filter) ? await search.horizon(filter, after, looksMax) : null;
        const rows = await search.transactions(filter, { after, until, limit: limit + 1 });
        const found = order.page(rows, limit, keyOf, show);
        if (found.next === null && until !== null) return { ...found, next: order.encode(until) };
        return found;
      },
    }),
  ];
}

function transactionLooks({ panKeys, search }: Services) {
  return [
    route({
      method: 'GET',
      url: '/api/search/transactions/:id',
      access: anyOperator,
      target: 'transaction',
      tag: 'operators',
      operationId: 'findTransaction',
      summary: 'The newest transaction of this id, whosever it is, with everything that followed it',
      cached: false,
      schemas: { params: TransactionParams, responses: { 200: FoundWhole } },
      handler: async ({ params }) => {
        for (const id of panKeys.keptForms(params.id)) {
          const found = await search.transaction(id);
          if (found !== null) return showWhole(found);
        }
        throw notFound();
      },
    }),
    route({
      method: 'GET',
      url: '/api/search/transactions/:id/events',
      access: anyOperator,
      target: 'transaction',
      tag: 'operators',
      operationId: 'findTransactionEvents',
      summary: 'Everything that happened to a transaction, whosever it is, oldest first',
      cached: false,
      schemas: { params: TransactionParams, query: pageQuery({}), responses: { 200: page(Event) } },
      handler: async ({ params, query: { cursor, limit } }) => {
        const after = eventCursor.decode(cursor);
        for (const id of panKeys.keptForms(params.id)) {
          const found = await search.events(id, { after, limit: limit + 1 });
          if (found === null) continue;
          const seen = (after?.[1] ?? 0) + limit;
          return eventCursor.page(
            found.events,
            limit,
            () => [found.createdAt, seen],
            (event) => event,
          );
        }
        throw notFound();
      },
    }),
  ];
}

/** An account alone has an index of its own. */
function needsHorizon({ account, card, customer, ...rest }: Parameters<typeof isSearch>[0] & { customer?: string }) {
  const named = [account, card, customer].filter((value) => value !== undefined);
  return named.length > 1 || isSearch(rest);
}

function keyOf({ createdAt, transactionId }: FoundTransaction): TransactionKey {
  return [createdAt, transactionId];
}
