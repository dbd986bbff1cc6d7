/** Transactions as the engine settled them: lists with filters, whole transactions, and what was spent. */
import { Readable } from 'node:stream';
import { anyCaller, type Principal } from '../auth/principal.js';
import { csvRow } from '../http/csv.js';
import { Cursor } from '../http/cursor.js';
import { checkAmounts, instantOf, periodOf } from '../http/instants.js';
import { invalid, notFound } from '../http/problem.js';
import { route } from '../http/route.js';
import {
  Amount,
  Count,
  Currency,
  CursorText,
  closed,
  Id,
  Moment,
  Money,
  nullable,
  oneOf,
  page,
  pageQuery,
  printable,
  Timestamp,
  Type,
} from '../http/schemas.js';
import type { Services } from '../services.js';
import type { FoundWhole } from '../stores/search.js';
import { reasonNames } from '../stores/transaction-rows.js';
import {
  eventsShown,
  isSearch,
  type TransactionKey,
  type Transaction as TransactionRecord,
  type TransactionStore,
  type TransactionWithEvents as TransactionWithEventsRecord,
  transactionStatuses,
  transactionTypes,
} from '../stores/transactions.js';

const Nullable = nullable(Type.String());
const TransactionStatus = oneOf(transactionStatuses, { title: 'TransactionStatus' });

export const transactionFields = {
  id: Type.String({ description: "the authorization's id" }),
  cardId: Id,
  accountId: Id,
  type: Type.String(),
  status: TransactionStatus,
  currency: Currency,
  amount: Money,
  approvedAmount: Money,
  heldAmount: Money,
  postedAmount: Money,
  refundedAmount: Money,
  reason: Type.String({ description: 'approved, or why it was declined' }),
  detail: Type.Optional(Type.String({ description: 'the limit that refused it; or force_post, or stand_in' })),
  merchant: closed({ id: Nullable, name: Nullable, mcc: Nullable, country: Nullable }, { title: 'Merchant' }),
  channel: Nullable,
  createdAt: Timestamp,
  updatedAt: Timestamp,
};
const Transaction = closed(transactionFields, { title: 'Transaction' });
export const Event = closed(
  {
    type: Type.String(),
    amount: nullable(Money, { description: 'what the message asked for; null: it named no amount' }),
    approvedAmount: Money,
    approved: Type.Boolean(),
    reason: Type.String(),
    at: Timestamp,
    requestId: Type.String(),
  },
  { title: 'TransactionEvent' },
);
const EventTotal = closed(
  {
    type: Type.String(),
    count: Count,
    approvedAmount: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'of the approved ones' }),
  },
  { title: 'EventTotal' },
);
export const eventFields = {
  events: Type.Array(Event, { description: `oldest first, from the opening message on, at most ${eventsShown}` }),
  eventCount: Type.Integer({ minimum: 0, description: 'of the whole transaction' }),
  eventTotals: Type.Array(EventTotal, { description: 'what the messages of each type come to' }),
  nextEvents: nullable(Type.String(), {
    description: 'cursor of the events that follow: GET /api/transactions/:id/events?cursor=…; null: there are none',
  }),
};
const TransactionWithEvents = closed({ ...transactionFields, ...eventFields }, { title: 'TransactionWithEvents' });

/** Ids are the processor's: anything visible, up to the engine's bound. */
export const TransactionParams = closed({ id: Type.String({ minLength: 1, maxLength: 64 }) });

const Spending = closed(
  {
    data: Type.Array(
      closed({ key: Type.String(), amount: Money, count: Count, currency: Currency }, { title: 'Spent' }),
    ),
  },
  { title: 'Spending' },
);

export const transactionFilters = {
  card: Type.Optional(Id),
  account: Type.Optional(Id),
  status: Type.Optional(TransactionStatus),
  type: Type.Optional(oneOf(transactionTypes, { title: 'TransactionType' })),
  reason: Type.Optional(oneOf(reasonNames, { title: 'Reason' })),
  merchant: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 64,
      pattern: printable,
      description: "part of the merchant's name, in either case",
    }),
  ),
  from: Type.Optional(Moment),
  to: Type.Optional(Moment),
  min: Type.Optional(Amount),
  max: Type.Optional(Amount),
};

const cursor = new Cursor('transactions', 'timestamp', 'text');
export const eventCursor = new Cursor('events', 'timestamp', 'count');
/** Transactions that one page of a search looks at. */
const searchedMax = 10_000;
/** Transactions that one export looks at, how many it reads at a time, and how long it may take. */
const exportedMax = 50_000;
const exportPage = 500;
const exportMsMax = 120_000;
const dayMs = 86_400_000;
/** A report without `from` looks back this far. */
const reportDays = 30;
/** Longer reports belong into a data warehouse. */
const reportDaysMax = 400;

export function transactionRoutes({ panKeys, transactions }: Services) {
  return [
    route({
      method: 'GET',
      url: '/api/transactions',
      report: true,
      access: anyCaller,
      tag: 'transactions',
      operationId: 'listTransactions',
      summary: 'Transactions, newest first',
      description:
        `A search by account, status, type, reason, merchant or amount looks at ${searchedMax} transactions at a ` +
        'time: a page may then have fewer than `limit`, even none, while `next` goes on from there.',
      schemas: {
        query: pageQuery(transactionFilters),
        responses: { 200: page(Transaction) },
      },
      handler: async ({ principal, query }) => {
        const { limit, cursor: text, ...rest } = query;
        checkAmounts(rest);
        const filter = { ...rest, ...periodOf(rest) };
        const after = cursor.decode(text);
        const store = transactions.of(principal);
        const until = isSearch(filter) ? await store.horizon(principal, filter, after, searchedMax) : null;
        const rows = await store.list(principal, filter, { after, until, limit: limit + 1 });
        const found = cursor.page(rows, limit, keyOf, show);
        // What was found ends here, and the search does not.
        if (found.next === null && until !== null) return { ...found, next: cursor.encode(until) };
        return found;
      },
    }),
    route({
      method: 'GET',
      url: '/api/transactions.csv',
      report: true,
      access: anyCaller,
      tag: 'transactions',
      operationId: 'exportTransactions',
      summary: 'Transactions as CSV, newest first',
      description:
        `Of the newest ${exportedMax} transactions, or of as many after \`cursor\`, those that the filters leave. ` +
        'When there are more, the header `Link` names the next part (`rel="next"`). Amounts are decimals of their ' +
        'currency (1250 of USD is `12.50`). A text that a spreadsheet would take for a formula begins with an ' +
        'apostrophe. A file that cannot be finished ends with a cut connection, never with a complete answer.',
      cached: false,
      produces: 'text/csv',
      schemas: { query: closed({ ...transactionFilters, cursor: CursorText }), responses: { 200: Type.String() } },
      handler: async ({ principal, query }, reply) => {
        const { cursor: text, ...rest } = query;
        checkAmounts(rest);
        const filter = { ...rest, ...periodOf(rest) };
        const after = cursor.decode(text);
        const store = transactions.of(principal);
        const until = await store.horizon(principal, filter, after, exportedMax);
        if (until !== null) {
          const next = new URLSearchParams({ cursor: cursor.encode(until) });
          for (const [name, value] of Object.entries(rest)) next.set(name, String(value));
          reply.header('link', `</api/transactions.csv?${next}>; rel="next"`);
        }
        reply
          .type('text/csv; charset=utf-8; header=present')
          .header('content-disposition', 'attachment; filename="transactions.csv"')
          .header('cache-control', 'no-store')
          .send(timed(Readable.from(csvOf(store, principal, filter, { after, until }))));
        return reply as never;
      },
    }),
    route({
      method: 'GET',
      url: '/api/transactions/:id',
      access: anyCaller,
      target: 'transaction',
      tag: 'transactions',
      operationId: 'getTransaction',
      summary: 'A transaction with everything that followed it',
      cached: false,
      schemas: { params: TransactionParams, responses: { 200: TransactionWithEvents } },
      handler: async ({ principal, params }) => {
        for (const id of panKeys.keptForms(params.id)) {
          const found = await transactions.of(principal).find(principal, id);
          if (found !== null) return showWhole(found);
        }
        throw notFound();
      },
    }),
    route({
      method: 'GET',
      url: '/api/transactions/:id/events',
      access: anyCaller,
      target: 'transaction',
      tag: 'transactions',
      operationId: 'listTransactionEvents',
      summary: 'Everything that happened to a transaction, oldest first',
      cached: false,
      schemas: { params: TransactionParams, query: pageQuery({}), responses: { 200: page(Event) } },
      handler: async ({ principal, params, query }) => {
        const after = eventCursor.decode(query.cursor);
        const { limit } = query;
        for (const id of panKeys.keptForms(params.id)) {
          const found = await transactions.ledger.events(principal, id, { after, limit: limit + 1 });
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
    route({
      method: 'GET',
      url: '/api/stats/spending',
      report: true,
      access: anyCaller,
      tag: 'transactions',
      operationId: 'getSpending',
      summary: 'What was spent, by day, card or merchant category',
      schemas: {
        query: closed({
          from: Type.Optional(Moment),
          to: Type.Optional(Moment),
          by: Type.Enum(['day', 'card', 'mcc'], { type: 'string', default: 'day' }),
        }),
        responses: { 200: Spending },
      },
      handler: async ({ principal, query }) => {
        const period = periodOf(query);
        const to = period.to ?? instantOf(Date.now());
        const from = period.from ?? instantOf(Date.parse(to) - reportDays * dayMs);
        const days = (Date.parse(to) - Date.parse(from)) / dayMs;
        if (days < 0) throw invalid('from', 'must not be after to');
        if (days > reportDaysMax) throw invalid('from', `must be at most ${reportDaysMax} days before to`);
        const by = query.by as 'day' | 'card' | 'mcc';
        return { data: [...(await transactions.of(principal).spending(principal, by, from, to))] };
      },
    }),
  ];
}

type TransactionFilters = Parameters<TransactionStore['list']>[1];

/** Page by page, as fast as the client reads. */
async function* csvOf(
  store: TransactionStore,
  principal: Principal,
  filter: TransactionFilters,
  { after, until }: { readonly after: TransactionKey | null; readonly until: TransactionKey | null },
): AsyncGenerator<string> {
  yield csvRow(csvColumns);
  for (let last = after; ; ) {
    const rows = await store.list(principal, filter, { after: last, until, limit: exportPage });
    if (rows.length > 0) yield rows.map(csvOfTransaction).join('');
    if (rows.length < exportPage) return;
    last = keyOf(rows.at(-1)!);
  }
}

/** Also for a client that reads a little now and then. */
function timed(file: Readable): Readable {
  const timer = setTimeout(() => {
    file.destroy(new Error(`the export of transactions took longer than ${exportMsMax} ms`));
  }, exportMsMax);
  return file.once('close', () => clearTimeout(timer));
}

const csvColumns = [
  'id',
  'created_at',
  'updated_at',
  'card_id',
  'account_id',
  'type',
  'status',
  'reason',
  'detail',
  'currency',
  'amount',
  'approved_amount',
  'held_amount',
  'posted_amount',
  'refunded_amount',
  'merchant_id',
  'merchant_name',
  'mcc',
  'country',
  'channel',
] as const;

function csvOfTransaction(row: TransactionRecord): string {
  const { currency, merchant } = row;
  const money = (amount: number) => ({ amount, currency });
  return csvRow([
    row.transactionId,
    row.createdAt,
    row.updatedAt,
    row.cardId,
    row.accountId,
    row.type,
    row.status,
    row.reason,
    row.detail,
    currency,
    money(row.amount),
    money(row.approvedAmount),
    money(row.heldAmount),
    money(row.postedAmount),
    money(row.refundedAmount),
    merchant.id,
    merchant.name,
    merchant.mcc,
    merchant.country,
    row.channel,
  ]);
}

function keyOf({ createdAt, transactionId }: TransactionRecord): TransactionKey {
  return [createdAt, transactionId];
}

/** What the stores know has the names of the answer, and the schema lets nothing else out. */
export function show<T extends { readonly transactionId: string; readonly detail: string | null }>(row: T) {
  const { transactionId: id, detail, ...rest } = row;
  return { id, ...rest, ...(detail === null ? {} : { detail }) };
}

export function showWhole<T extends TransactionWithEventsRecord | FoundWhole>({
  events,
  eventCount,
  eventTotals,
  ...transaction
}: T) {
  return {
    ...show(transaction),
    events: [...events],
    eventCount,
    eventTotals: [...eventTotals],
    nextEvents: eventCount > events.length ? eventCursor.encode([transaction.createdAt, events.length]) : null,
  };
}
