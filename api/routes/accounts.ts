/** Accounts, their live books, and money in and out. Every balance is the engine's of this moment. */

import { type Acting, type Actor, fundingCallers, isCustomer, moneyCallers } from '../auth/principal.js';
import type { AccountBooks } from '../engine-client.js';
import { Cursor } from '../http/cursor.js';
import { operationOf } from '../http/idempotency.js';
import { conflict, forbidden, notFound, unavailable } from '../http/problem.js';
import { route } from '../http/route.js';
import {
  Amount,
  Currency,
  closed,
  Id,
  IdParams,
  Kind,
  Money,
  nullable,
  oneOf,
  page,
  pageQuery,
  type Static,
  Status,
  Timestamp,
  Type,
} from '../http/schemas.js';
import { idOf } from '../ids.js';
import type { Services } from '../services.js';
import type { AccountRow } from '../stores/accounts.js';
import { entryKeyAfter, entryKinds } from '../stores/entries.js';
import { type NewFunding, pendingMax } from '../stores/fundings.js';
import { scopeOf } from '../stores/tenancy.js';
import { Funding, showFunding } from './fundings.js';
import { keeperOn } from './keepers.js';
import { anyOperator } from './operators.js';

export const Account = closed(
  {
    id: Id,
    kind: Kind,
    currency: Currency,
    timeZone: Type.String(),
    status: Status,
    funds: Money,
    available: Money,
    held: Money,
    posted: Money,
  },
  { title: 'Account' },
);

const Movement = closed({ id: Id, amount: Amount, account: Account }, { title: 'Movement' });
const MovementOrder = closed({ amount: Amount }, { title: 'MovementOrder', examples: [{ amount: 1250 }] });

const Entry = closed(
  {
    id: nullable(Type.String(), { description: 'of the deposit, the withdrawal or the card message' }),
    kind: oneOf(entryKinds, { title: 'EntryKind' }),
    amount: Type.Integer({
      minimum: Number.MIN_SAFE_INTEGER,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'minor units; above zero: money in. The sum of all entries is funds − posted',
    }),
    currency: Currency,
    transactionId: nullable(Type.String(), { description: 'null where no card transaction is behind it' }),
    at: Timestamp,
  },
  { title: 'Entry' },
);

type FundingOrder = Pick<NewFunding, 'id' | 'direction' | 'amount'>;
const kindOf = { deposits: 'deposit', withdrawals: 'withdrawal' } as const;
const cursor = new Cursor('accounts', 'timestamp', 'text');
const entryCursor = new Cursor('entries', 'timestamp', 'count');

export function accountRoutes({ accounts, config, engine, fundings, entries, owners, program, trail, log }: Services) {
  /** The account that the actor may fund. Throws 403 and 404. */
  const fundable = async (actor: Actor, accountId: string): Promise<AccountRow> => {
    if (isCustomer(actor) && !(await program.allowsSelfFunding())) {
      throw forbidden('this program funds its accounts itself: ask its support');
    }
    const account = await (isCustomer(actor)
      ? accounts.findStored(scopeOf(actor), accountId)
      : accounts.findAny(accountId));
    if (account === null) throw notFound();
    return account;
  };
  /** A movement by an operator above the bound waits for another operator; null: it needs none. */
  const pending = async (actor: Acting, account: AccountRow, id: string, funding: FundingOrder) => {
    if (actor.kind !== 'operator' || funding.amount <= config.fundingApprovalMinor) return null;
    const requested = await fundings.request(actor, { ...funding, movementId: id, accountNumber: account.number });
    if (requested !== null) return requested;
    throw conflict('too_many_fundings', `${pendingMax} movements wait for a second operator: decide about some first`);
  };
  const movement = (
    direction: 'deposits' | 'withdrawals',
    prefix: 'dep' | 'wd',
    operationId: string,
    summary: string,
  ) =>
    route({
      method: 'POST',
      url: `/api/accounts/:id/${direction}`,
      access: [...moneyCallers, ...fundingCallers],
      target: 'account',
      tag: 'accounts',
      operationId,
      summary,
      description:
        'An operator’s movement above `FUNDING_APPROVAL_MINOR` waits for another operator: 202 with the funding that ' +
        'is to be approved. Movements of API keys do not wait.',
      schemas: { params: IdParams, body: MovementOrder, responses: { 201: Movement, 202: Funding } },
      handler: async (request, reply) => {
        const { actor, params, body } = request;
        const account = await fundable(actor, params.id);
        // The operation names the command: whatever happens in between, the money moves once.
        const operation = operationOf(request);
        const id = idOf(prefix, operation);
        const order = { id: idOf('fund', operation), direction: kindOf[direction], amount: body.amount };
        const waiting = await pending(actor, account, id, order);
        if (waiting !== null) {
          reply.code(202).header('location', `/api/fundings/${waiting.id}`);
          return showFunding(waiting);
        }
        const event = { action: `account.${kindOf[direction]}`, objectKind: 'account', objectId: params.id };
        const after = { id, amount: body.amount, currency: account.currency };
        // The engine moves the money, so this is the last look at the actor. A block that is committed before this
        // statement is obeyed; one that comes while the engine is asked comes after the movement.
        await trail.record(actor, { ...event, after, outcome: 'asked' });
        const moved = await engine.move(direction, params.id, id, body.amount);
        const outcome = moved.approved ? 'done' : 'refused';
        await trail
          .note(actor, { ...event, after: { ...after, reason: moved.reason }, outcome })
          .catch((error: Error) => {
            // The money has moved, and the entry before says that it was asked: the ledger has the rest.
            log.error({ error: error.message, movement: id }, 'the outcome of a movement is not in the audit trail');
          });
        if (!moved.approved) throw refused(moved.reason, direction);
        return { id, amount: moved.amount, account: showAccount(account, moved.account) };
      },
    });
  return [
    route({
      method: 'GET',
      url: '/api/accounts',
      access: moneyCallers,
      tag: 'accounts',
      operationId: 'listAccounts',
      summary: 'Your accounts, oldest first',
      cached: false,
      schemas: { query: pageQuery({}), responses: { 200: page(Account) } },
      handler: async ({ principal, query }) => {
        const { limit } = query;
        const rows = await accounts.list(scopeOf(principal), { after: cursor.decode(query.cursor), limit: limit + 1 });
        const books = await engine.books(rows.slice(0, limit).map(({ accountId }) => accountId));
        return cursor.page(
          rows,
          limit,
          (row) => [row.createdAt, row.accountId],
          (row) => showAccount(row, books.get(row.accountId)),
        );
      },
    }),
    route({
      method: 'GET',
      url: '/api/accounts/:id',
      access: [...moneyCallers, ...anyOperator],
      target: 'account',
      tag: 'accounts',
      operationId: 'getAccount',
      summary: 'One account',
      cached: false,
      schemas: { params: IdParams, responses: { 200: Account } },
      handler: async (request) => {
        const { params } = request;
        const account = await accounts.find(scopeOf(await keeperOn(owners, request, 'account')), params.id);
        if (account === null) throw notFound();
        return showAccount(account, (await engine.books([params.id])).get(params.id));
      },
    }),
    route({
      method: 'GET',
      url: '/api/accounts/:id/entries',
      report: true,
      access: [...moneyCallers, ...anyOperator],
      target: 'account',
      tag: 'accounts',
      operationId: 'listEntries',
      summary: 'Every movement of an account’s money, newest first',
      description:
        'Deposits, withdrawals, what card transactions posted, and refunds, as they are settled: a moment after the ' +
        'account itself shows them. Holds move no money and are no entries.',
      cached: false,
      schemas: { params: IdParams, query: pageQuery({}), responses: { 200: page(Entry) } },
      handler: async (request) => {
        const { params, query } = request;
        const account = await accounts.find(scopeOf(await keeperOn(owners, request, 'account')), params.id);
        if (account === null) throw notFound();
        const { limit } = query;
        const after = entryCursor.decode(query.cursor);
        const rows = await entries.list(account.number, { after, limit: limit + 1 });
        const shown = rows.slice(0, limit);
        return {
          data: shown.map((entry) => ({ ...entry, currency: account.currency })),
          next: rows.length > limit ? entryCursor.encode(entryKeyAfter(shown, { after, limit })) : null,
        };
      },
    }),
    movement('deposits', 'dep', 'deposit', 'Put money in'),
    movement('withdrawals', 'wd', 'withdraw', 'Take available money out'),
  ];
}

export function showAccount(row: AccountRow, books: AccountBooks | undefined): Static<typeof Account> {
  // It is in the database, so the engine finds it, unless it reads another one.
  if (books === undefined) throw unavailable('the engine does not know this account yet; try again');
  const { accountId, kind, currency, timeZone, status } = row;
  const { funds, available, held, posted } = books;
  return { id: accountId, kind, currency, timeZone, status, funds, available, held, posted };
}

/** Why the ledger moved nothing, in words of its reasons. */
function refused(reason: string, direction: 'deposits' | 'withdrawals') {
  switch (reason) {
    case 'insufficient_funds':
      return conflict(reason, 'there is less available than that', { field: 'amount' });
    case 'account_inactive':
      return conflict(reason, 'this account is not active');
    case 'amount_invalid':
      return conflict(reason, 'this amount is more than an account can hold', { field: 'amount' });
    default:
      return conflict(
        'refused',
        `the ledger refused this ${direction === 'deposits' ? 'deposit' : 'withdrawal'}: ${reason}`,
      );
  }
}
