/** Cards: list, create, show, freeze, close, rename. */
import { Cursor } from '../http/cursor.js';
import { sendVersion, versionExpected } from '../http/etag.js';
import { checkName } from '../http/fields.js';
import { operationOf } from '../http/idempotency.js';
import { anyCaller, moneyCallers } from '../http/principal.js';
import { conflict, forbidden, notFound, Problem } from '../http/problem.js';
import { route } from '../http/route.js';
import {
  closed,
  closedChange,
  Id,
  IdParams,
  Name,
  page,
  pageQuery,
  type Static,
  Status,
  Timestamp,
  Type,
  Version,
} from '../http/schemas.js';
import { idOf, newCardToken } from '../ids.js';
import type { Services } from '../services.js';
import type { AddOutcome, Card as CardRecord } from '../stores/cards.js';
import { awaitEffect, changeRefused } from './change-answers.js';
import { checkLimits, Effect, LimitsBody } from './limits-schema.js';

/** Cards are valid to the end of the month, this many years on. */
const validYears = 4;

const cardFields = {
  id: Id,
  token: Type.String({ description: 'what the authorization port takes as `card`' }),
  accountId: Id,
  userId: Id,
  name: Type.String(),
  status: Status,
  expires: Type.String({ format: 'date', description: 'last day of validity' }),
  limits: LimitsBody,
  version: Version,
  createdAt: Timestamp,
};
const Card = closed(cardFields, { title: 'Card' });
const ChangedCard = closed(
  {
    ...cardFields,
    effective: Type.Boolean({ description: 'in force on every engine' }),
  },
  { title: 'ChangedCard' },
);
const NewCard = closed(
  {
    accountId: Id,
    name: Name,
    limits: Type.Optional(LimitsBody),
    userId: Type.Optional(Type.String({ ...Id, description: 'cardholder in your company; default: you' })),
  },
  { title: 'NewCard' },
);
const CardChange = closedChange({ status: Type.Optional(Status), name: Type.Optional(Name) }, { title: 'CardChange' });

const cursor = new Cursor('cards', 'timestamp', 'text');

export function cardRoutes({ cards, feed }: Services) {
  return [
    route({
      method: 'GET',
      url: '/api/cards',
      access: anyCaller,
      tag: 'cards',
      operationId: 'listCards',
      summary: 'Your cards, newest first',
      schemas: { query: pageQuery({}), responses: { 200: page(Card) } },
      handler: async ({ principal, query }) => {
        const { limit } = query;
        const rows = await cards.list(principal, { after: cursor.decode(query.cursor), limit: limit + 1 });
        return cursor.page(rows, limit, (row) => [row.createdAt, row.cardId], showCard);
      },
    }),
    route({
      method: 'POST',
      url: '/api/cards',
      access: moneyCallers,
      tag: 'cards',
      operationId: 'createCard',
      errors: [404],
      summary: 'A new card, active at once',
      schemas: {
        body: NewCard,
        responses: { 201: Card },
      },
      handler: async (request, reply) => {
        const { principal, body } = request;
        const outcome = await cards.add(principal, {
          cardId: idOf('card', operationOf(request)),
          token: newCardToken(),
          accountId: body.accountId,
          holderId: body.userId ?? principal.publicId,
          name: checkName('name', body.name),
          expires: expiryFrom(new Date()),
          limits: checkLimits(body.limits ?? {}, 'limits'),
        });
        if (outcome.outcome !== 'added') throw notAdded(outcome);
        sendVersion(reply, outcome.card.version);
        return showCard(outcome.card);
      },
    }),
    route({
      method: 'GET',
      url: '/api/cards/:id',
      access: anyCaller,
      target: 'card',
      tag: 'cards',
      operationId: 'getCard',
      summary: 'One card',
      schemas: { params: IdParams, responses: { 200: Card } },
      handler: async ({ principal, params }, reply) => {
        const card = await cards.find(principal, params.id);
        if (card === null) throw notFound();
        sendVersion(reply, card.version);
        return showCard(card);
      },
    }),
    route({
      method: 'GET',
      url: '/api/cards/:id/effective',
      access: anyCaller,
      target: 'card',
      tag: 'cards',
      operationId: 'getCardEffect',
      summary: "Whether the card's newest version is in force on every engine",
      cached: false,
      schemas: { params: IdParams, responses: { 200: Effect } },
      handler: async ({ principal, params }, reply) => {
        const published = await cards.published(principal, params.id);
        if (published === null) throw notFound();
        const effective = await awaitEffect(feed, reply, 'card', params.id, published);
        reply.code(200);
        return { version: published.version, effective };
      },
    }),
    route({
      method: 'PATCH',
      url: '/api/cards/:id',
      access: anyCaller,
      target: 'card',
      tag: 'cards',
      operationId: 'changeCard',
      errors: [409],
      versioned: true,
      summary: 'Freeze, unfreeze, close or rename a card',
      schemas: {
        params: IdParams,
        body: CardChange,
        responses: { 200: ChangedCard, 202: ChangedCard },
      },
      handler: async (request, reply) => {
        const { principal, params, body } = request;
        if (principal.role === 'member') checkMember(body);
        if (body.name !== undefined) checkName('name', body.name);
        const outcome = await cards.change(principal, params.id, body, versionExpected(request));
        if (outcome.outcome !== 'changed' && outcome.outcome !== 'unchanged') throw changeRefused(outcome);
        const { card, published } = outcome;
        const effective = await awaitEffect(feed, reply, 'card', params.id, published);
        return { ...showCard(card), effective };
      },
    }),
  ];
}

export function showCard({ cardId, ...card }: CardRecord): Static<typeof Card> {
  const { token, accountId, userId, name, status, expires, limits, version, createdAt } = card;
  return {
    id: cardId,
    token,
    accountId,
    userId,
    name,
    status,
    expires,
    limits: limits as Static<typeof LimitsBody>,
    version,
    createdAt,
  };
}

/** A lost card is frozen by whoever notices; what was frozen by others is theirs to unfreeze. */
function checkMember(change: { readonly status?: string; readonly name?: string }): void {
  if (change.status === 'frozen' && change.name === undefined) return;
  throw forbidden('members may freeze their cards; ask an administrator of your company for everything else');
}

/** The last day of the month `validYears` from now, YYYY-MM-DD. */
function expiryFrom(now: Date): string {
  return new Date(Date.UTC(now.getUTCFullYear() + validYears, now.getUTCMonth() + 1, 0)).toISOString().slice(0, 10);
}

function notAdded({ outcome }: Exclude<AddOutcome, { outcome: 'added' }>): Problem {
  switch (outcome) {
    case 'no_account':
      return new Problem(404, 'not_found', 'you have no account of this id', { field: 'accountId' });
    case 'no_holder':
      return new Problem(404, 'not_found', 'there is no such person in your company', { field: 'userId' });
    case 'account_closed':
      return conflict('account_closed', 'this account is closed', { field: 'accountId' });
  }
}
