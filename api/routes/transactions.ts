/** Transactions as the engine settled them: lists with filters, whole chains, and what was spent. */
import { Cursor } from '../http/cursor.js';
import { checkAmounts, instantOf, periodOf } from '../http/instants.js';
import { anyCaller } from '../http/principal.js';
import { invalid, notFound } from '../http/problem.js';
import { route } from '../http/route.js';
import {
  Amount,
  Count,
  Currency,
  closed,
  Id,
  Moment,
  Money,
  nullable,
  oneOf,
  page,
  pageQuery,
  type Static,
  Timestamp,
  Type,
} from '../http/schemas.js';
import type { Services } from '../services.js';
import {
  eventsShown,
  type Transaction as TransactionRecord,
  type TransactionWithEvents as TransactionWithEventsRecord,
  transactionStatuses,
} from '../stores/transactions.js';

const Nullable = nullable(Type.String());
const TransactionStatus = oneOf(transactionStatuses, { title: 'TransactionStatus' });

const transactionFields = {
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
  detail: Type.Optional(Type.String({ description: 'the limit that refused it, or force_post' })),
  merchant: closed({ id: Nullable, name: Nullable, mcc: Nullable, country: Nullable }, { title: 'Merchant' }),
  channel: Nullable,
  createdAt: Timestamp,
  updatedAt: Timestamp,
};
const Transaction = closed(transactionFields, { title: 'Transaction' });
const Event = closed(
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
const TransactionWithEvents = closed(
  {
    ...transactionFields,
    events: Type.Array(Event, { description: `oldest first, from the opening message on, at most ${eventsShown}` }),
    eventCount: Type.Integer({ minimum: 0, description: 'of the whole transaction' }),
    eventTotals: Type.Array(EventTotal, { description: 'what the messages of each type come to' }),
    nextEvents: nullable(Type.String(), {
      description: 'cursor of the events that follow: GET /api/transactions/:id/events?cursor=…; null: there are none',
    }),
  },
  { title: 'TransactionWithEvents' },
);

/** Ids are the processor's: anything visible, up to the engine's bound. */
const TransactionParams = closed({ id: Type.String({ minLength: 1, maxLength: 64 }) });

const Spending = closed(
  {
    data: Type.Array(
      closed({ key: Type.String(), amount: Money, count: Count, currency: Currency }, { title: 'Spent' }),
    ),
  },
  { title: 'Spending' },
);

const cursor = new Cursor('transactions', 'timestamp', 'text');
const eventCursor = new Cursor('events', 'timestamp', 'count');
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
      schemas: {
        query: pageQuery({
          card: Type.Optional(Id),
          status: Type.Optional(TransactionStatus),
          from: Type.Optional(Moment),
          to: Type.Optional(Moment),
          min: Type.Optional(Amount),
          max: Type.Optional(Amount),
        }),
        responses: { 200: page(Transaction) },
      },
      handler: async ({ principal, query }) => {
        const { limit, cursor: text, ...rest } = query;
        checkAmounts(rest);
        const filter = { ...rest, ...periodOf(rest) };
        const after = cursor.decode(text);
        const rows = await transactions.of(principal).list(principal, filter, { after, limit: limit + 1 });
        return cursor.page(rows, limit, (row) => [row.createdAt, row.transactionId], show);
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

/** What the stores know has the names of the answer, and the schema lets nothing else out. */
function show({ transactionId: id, detail, ...rest }: TransactionRecord): Static<typeof Transaction> {
  return { id, ...rest, ...(detail === null ? {} : { detail }) };
}

function showWhole({ events, eventCount, eventTotals, ...transaction }: TransactionWithEventsRecord) {
  return {
    ...show(transaction),
    events: [...events],
    eventCount,
    eventTotals: [...eventTotals],
    nextEvents: eventCount > events.length ? eventCursor.encode([transaction.createdAt, events.length]) : null,
  };
}
