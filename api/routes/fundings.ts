/** Large movements of money that one operator asks for and another one approves or rejects. */
import { type Acting, type Operator, riskCallers } from '../auth/principal.js';
import { Cursor } from '../http/cursor.js';
import { checkName } from '../http/fields.js';
import { conflict, forbidden, notFound, type Problem } from '../http/problem.js';
import { route } from '../http/route.js';
import {
  Amount,
  Currency,
  closed,
  Id,
  IdParams,
  Name,
  nullable,
  oneOf,
  page,
  pageQuery,
  type Static,
  Timestamp,
  Type,
} from '../http/schemas.js';
import type { Services } from '../services.js';
import { type Funding as FundingRecord, fundingDirections, fundingHours, fundingStatuses } from '../stores/fundings.js';
import { anyOperator } from './operators.js';

const FundingStatus = oneOf(fundingStatuses, { title: 'FundingStatus' });
const Person = closed({ id: Id, name: Type.String() }, { title: 'OperatorName' });
export const Funding = closed(
  {
    id: Id,
    accountId: Id,
    direction: oneOf(fundingDirections, { title: 'FundingDirection' }),
    amount: Amount,
    currency: Currency,
    status: FundingStatus,
    movementId: Type.String({ ...Id, description: 'id of the deposit or withdrawal once it is done' }),
    requestedBy: Person,
    requestedAt: Timestamp,
    expiresAt: Timestamp,
    decidedBy: nullable(Person),
    decidedAt: nullable(Timestamp),
    reason: nullable(Type.String(), { description: 'why it was rejected, or why the ledger refused it' }),
  },
  { title: 'Funding' },
);
const Rejection = closed(
  { reason: Type.String({ ...Name, description: 'for the operator who asked, and for the audit trail' }) },
  { title: 'FundingRejection', examples: [{ reason: 'the invoice names another amount' }] },
);
const order = new Cursor('fundings', 'integer');
const common = { target: 'funding', tag: 'operators' } as const;

export function fundingRoutes(services: Services) {
  const { fundings } = services;
  return [
    route({
      method: 'GET',
      url: '/api/fundings',
      access: anyOperator,
      tag: 'operators',
      operationId: 'listFundings',
      summary: 'Movements that needed a second operator, newest first',
      cached: false,
      schemas: {
        query: pageQuery({ status: Type.Optional(FundingStatus), account: Type.Optional(Id) }),
        responses: { 200: page(Funding) },
      },
      handler: async ({ query }) => {
        const [before] = order.decode(query.cursor) ?? [Number.MAX_SAFE_INTEGER];
        const rows = await fundings.list(query, before, query.limit);
        return order.page(rows, query.limit, ({ number }) => [number] as const, showFunding);
      },
    }),
    route({
      ...common,
      method: 'GET',
      url: '/api/fundings/:id',
      access: anyOperator,
      operationId: 'getFunding',
      summary: 'One movement that needed a second operator',
      cached: false,
      schemas: { params: IdParams, responses: { 200: Funding } },
      handler: async ({ params }) => showFunding(await found(services, params.id)),
    }),
    route({
      ...common,
      method: 'POST',
      url: '/api/fundings/:id/approve',
      access: riskCallers,
      operationId: 'approveFunding',
      summary: 'Approve what another operator asked for: the money moves now, once',
      description:
        'An answer of 503 leaves it `approved`, with an outcome that is not known yet: approve it again to learn it, ' +
        `or look again after two minutes. It lapses ${fundingHours} hours after it was asked for.`,
      schemas: { params: IdParams, responses: { 200: Funding } },
      handler: async ({ actor, params }) => {
        await decide(services, actor as Acting<Operator>, params.id, 'approved', null);
        return showFunding(await carryOut(services, actor as Acting<Operator>, await found(services, params.id)));
      },
    }),
    route({
      ...common,
      method: 'POST',
      url: '/api/fundings/:id/reject',
      access: riskCallers,
      operationId: 'rejectFunding',
      summary: 'Reject what another operator asked for: nothing moves',
      schemas: { params: IdParams, body: Rejection, responses: { 200: Funding } },
      handler: async ({ actor, params, body }) => {
        const reason = checkName('reason', body.reason);
        await decide(services, actor as Acting<Operator>, params.id, 'rejected', reason);
        return showFunding(await found(services, params.id));
      },
    }),
  ];
}

/** Throws 404. */
async function found({ fundings }: Services, id: string): Promise<FundingRecord> {
  const funding = await fundings.find(id);
  if (funding === null) throw notFound('funding');
  return funding;
}

/** Throws what stands against it. An approved one may be approved again: its outcome may not be known. */
async function decide(
  services: Services,
  operator: Acting<Operator>,
  id: string,
  status: 'approved' | 'rejected',
  reason: string | null,
): Promise<void> {
  if (await services.fundings.decide(operator, id, status, reason)) return;
  const funding = await found(services, id);
  if (funding.requestedBy.id === operator.publicId) throw ownFunding();
  if (funding.status !== status) throw conflict('funding_decided', `this movement is ${funding.status} already`);
}

function ownFunding(): Problem {
  return forbidden('you asked for this movement yourself: another operator decides about it');
}

async function carryOut(
  services: Services,
  operator: Acting<Operator>,
  funding: FundingRecord,
): Promise<FundingRecord> {
  const { engine, fundings } = services;
  const { id, direction, accountId, movementId, amount } = funding;
  if (funding.status !== 'approved') return funding;
  const { approved, reason } = await engine.move(`${direction}s`, accountId, movementId, amount);
  // The money moves once, so of several approvals at once one alone is recorded as the movement.
  await fundings.complete(operator, funding, approved ? 'done' : 'refused', reason);
  return found(services, id);
}

export function showFunding({ number: _, ...funding }: FundingRecord): Static<typeof Funding> {
  return funding;
}
