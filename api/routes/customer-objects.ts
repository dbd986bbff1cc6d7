/** What a customer has, for operators: users, accounts, cards and sessions. */
import { Cursor } from '../http/cursor.js';
import { route } from '../http/route.js';
import {
  closed,
  Id,
  IdParams,
  nullable,
  page,
  pageQuery,
  Role,
  type Static,
  Status,
  Timestamp,
  Type,
} from '../http/schemas.js';
import type { Services } from '../services.js';
import type { CustomerSession, CustomerUser } from '../stores/customers.js';
import { scopeOf } from '../stores/tenancy.js';
import { Account, showAccount } from './accounts.js';
import { Card, showCard } from './card-schema.js';
import { keeperOn } from './keepers.js';
import { anyOperator } from './operators.js';

const Text = nullable(Type.String());
const User = closed(
  { id: Id, email: Type.String(), name: Type.String(), role: nullable(Role), status: Status, createdAt: Timestamp },
  { title: 'CustomerUser' },
);
const Session = closed(
  {
    id: Id,
    userId: Id,
    device: Text,
    address: Text,
    createdAt: Timestamp,
    lastSeenAt: Timestamp,
    expiresAt: Timestamp,
  },
  { title: 'CustomerSession' },
);
const userOrder = new Cursor('customer users', 'integer');
const sessionOrder = new Cursor('customer sessions', 'integer');
const accountOrder = new Cursor('customer accounts', 'timestamp', 'text');
const cardOrder = new Cursor('customer cards', 'timestamp', 'text');
const common = { method: 'GET', access: anyOperator, target: 'customer', tag: 'operators', cached: false } as const;

export function customerObjectRoutes({ customers, owners, accounts, cards, engine }: Services) {
  return [
    route({
      ...common,
      url: '/api/customers/:id/users',
      operationId: 'listCustomerUsers',
      summary: 'The person, or the users of the company, oldest first',
      schemas: { params: IdParams, query: pageQuery({}), responses: { 200: page(User) } },
      handler: async (request) => {
        const { limit, cursor } = request.query;
        const scope = scopeOf(await keeperOn(owners, request, 'customer'));
        const rows = await customers.users(scope, (userOrder.decode(cursor) ?? [0])[0], limit);
        return userOrder.page(rows, limit, ({ number }) => [number] as const, showUser);
      },
    }),
    route({
      ...common,
      url: '/api/customers/:id/sessions',
      operationId: 'listCustomerSessions',
      summary: 'Living sessions of a customer’s users, newest first; end one with DELETE /api/sessions/:id',
      schemas: { params: IdParams, query: pageQuery({}), responses: { 200: page(Session) } },
      handler: async (request) => {
        const { limit, cursor } = request.query;
        const scope = scopeOf(await keeperOn(owners, request, 'customer'));
        const [before] = sessionOrder.decode(cursor) ?? [Number.MAX_SAFE_INTEGER];
        const rows = await customers.sessions(scope, before, limit);
        return sessionOrder.page(rows, limit, ({ number }) => [number] as const, showSession);
      },
    }),
    route({
      ...common,
      url: '/api/customers/:id/accounts',
      operationId: 'listCustomerAccounts',
      summary: 'Accounts of a customer, oldest first',
      schemas: { params: IdParams, query: pageQuery({}), responses: { 200: page(Account) } },
      handler: async (request) => {
        const { limit, cursor } = request.query;
        const scope = scopeOf(await keeperOn(owners, request, 'customer'));
        const rows = await accounts.list(scope, { after: accountOrder.decode(cursor), limit: limit + 1 });
        const books = await engine.books(rows.slice(0, limit).map(({ accountId }) => accountId));
        return accountOrder.page(
          rows,
          limit,
          (row) => [row.createdAt, row.accountId],
          (row) => showAccount(row, books.get(row.accountId)),
        );
      },
    }),
    route({
      ...common,
      url: '/api/customers/:id/cards',
      operationId: 'listCustomerCards',
      summary: 'Cards of a customer, newest first',
      schemas: { params: IdParams, query: pageQuery({}), responses: { 200: page(Card) } },
      handler: async (request) => {
        const { limit, cursor } = request.query;
        const keeper = await keeperOn(owners, request, 'customer');
        const found = await cards.list(keeper, { after: cardOrder.decode(cursor), limit });
        return { data: found.cards.map(showCard), next: found.next === null ? null : cardOrder.encode(found.next) };
      },
    }),
  ];
}

function showUser({ number: _, ...user }: CustomerUser): Static<typeof User> {
  return user;
}

function showSession({ number: _, ...session }: CustomerSession): Static<typeof Session> {
  return session;
}
