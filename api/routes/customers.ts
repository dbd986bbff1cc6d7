/** Customers as operators and the program's own programs see them: whose identity was checked. */

import { type Acting, type ApiKey, customerManagers, type Operator } from '../auth/principal.js';
import { Cursor } from '../http/cursor.js';
import { notFound } from '../http/problem.js';
import { route } from '../http/route.js';
import {
  closed,
  Id,
  IdParams,
  Kind,
  KycStatus,
  nullable,
  page,
  pageQuery,
  type Static,
  Timestamp,
  Type,
} from '../http/schemas.js';
import type { Services } from '../services.js';
import type { CustomerRow } from '../stores/customers.js';
import { anyOperator } from './operators.js';

const Customer = closed(
  {
    id: Id,
    kind: Kind,
    name: Type.String(),
    email: nullable(Type.String(), { description: 'null: a company, whose users have addresses of their own' }),
    kycStatus: KycStatus,
    createdAt: Timestamp,
  },
  { title: 'Customer' },
);
const CustomerChange = closed(
  { kycStatus: KycStatus },
  { title: 'CustomerChange', examples: [{ kycStatus: 'verified' }] },
);
const order = new Cursor('customers', 'timestamp', 'text');
const readers = [...new Set([...anyOperator, ...customerManagers])];

export function customerRoutes({ customers }: Services) {
  return [
    route({
      method: 'GET',
      url: '/api/customers',
      access: readers,
      tag: 'operators',
      operationId: 'listCustomers',
      summary: 'Customers of one status (default pending), oldest first: people, and companies as a whole',
      schemas: {
        query: pageQuery({ kycStatus: Type.Optional(KycStatus) }),
        responses: { 200: page(Customer) },
      },
      cached: false,
      handler: async ({ query }) => {
        const { kycStatus = 'pending', limit } = query;
        const rows = await customers.list({ kycStatus, after: order.decode(query.cursor), limit: limit + 1 });
        return order.page(rows, limit, (row) => [row.createdAt, row.publicId], showCustomer);
      },
    }),
    route({
      method: 'GET',
      url: '/api/customers/:id',
      access: readers,
      target: 'customer',
      tag: 'operators',
      operationId: 'getCustomer',
      summary: 'One customer',
      schemas: { params: IdParams, responses: { 200: Customer } },
      cached: false,
      handler: async ({ params }) => {
        const customer = await customers.find(params.id);
        if (customer === null) throw notFound('customer');
        return showCustomer(customer);
      },
    }),
    route({
      method: 'PATCH',
      url: '/api/customers/:id',
      access: customerManagers,
      target: 'customer',
      tag: 'operators',
      operationId: 'changeCustomer',
      summary: 'Say whether the identity of a customer was checked; only verified ones get new cards',
      schemas: { params: IdParams, body: CustomerChange, responses: { 200: Customer } },
      handler: async ({ actor, params, body }) => {
        const customer = await customers.setKycStatus(actor as Acting<Operator | ApiKey>, params.id, body.kycStatus);
        if (customer === null) throw notFound('customer');
        return showCustomer(customer);
      },
    }),
  ];
}

function showCustomer(row: CustomerRow): Static<typeof Customer> {
  const { publicId, kind, name, email, kycStatus, createdAt } = row;
  return { id: publicId, kind, name, email, kycStatus, createdAt };
}
