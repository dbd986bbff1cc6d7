/** Cards: list, create, show, freeze, close, rename. */
import { cardTypeNames } from '../../engine/core/card-types.js';
import { anyCaller, moneyCallers } from '../auth/principal.js';
import { Cursor } from '../http/cursor.js';
import { sendVersion, versionExpected } from '../http/etag.js';
import { checkName } from '../http/fields.js';
import { operationOf } from '../http/idempotency.js';
import { conflict, forbidden, notFound, Problem } from '../http/problem.js';
import { route } from '../http/route.js';
import {
  closed,
  closedChange,
  Id,
  IdParams,
  Name,
  oneOf,
  Part,
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
import { type AddOutcome, type Card as CardRecord, type ReplaceOutcome, replaceReasons } from '../stores/cards.js';
import { awaitEffect, changeRefused } from './change-answers.js';
import { checkLimits, Effect, LimitsBody } from './limits-schema.js';
import { checkMetadata, Metadata } from './metadata-schema.js';

/** Cards are valid to the end of the month, this many years on. */
const validYears = 4;

const CardType = oneOf(cardTypeNames, { title: 'CardType' });
const ReplaceReason = oneOf(replaceReasons, { title: 'ReplaceReason' });

const cardFields = {
  id: Id,
  token: Type.String({ description: 'what the authorization port takes as `card`' }),
  accountId: Id,
  userId: Id,
  name: Type.String(),
  type: CardType,
  status: Status,
  expires: Type.String({ format: 'date', description: 'last day of validity' }),
  limits: LimitsBody,
  metadata: Metadata,
  replacedBy: Type.Optional(Type.String({ ...Id, description: 'the card that took its place' })),
  replacedFor: Type.Optional(ReplaceReason),
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
    type: Type.Optional(CardType),
    limits: Type.Optional(LimitsBody),
    metadata: Type.Optional(Metadata),
    userId: Type.Optional(Type.String({ ...Id, description: 'cardholder in your company; default: you' })),
  },
  {
    title: 'NewCard',
    examples: [{ accountId: 'acct_demo', name: 'Groceries', limits: { daily: { amount: 20_000 } } }],
  },
);
const CardChange = closedChange(
  { status: Type.Optional(Status), name: Type.Optional(Name), metadata: Type.Optional(Metadata) },
  { title: 'CardChange', examples: [{ status: 'frozen' }] },
);
const CardReplacement = closed({ reason: ReplaceReason }, { title: 'CardReplacement', examples: [{ reason: 'lost' }] });
const ReplacementCard = closed(
  {
    ...cardFields,
    replaces: Type.String({ ...Id, description: 'the card whose place it takes, which is closed' }),
    effective: Type.Boolean({ description: 'the end of the old card is in force on every engine' }),
  },
  { title: 'ReplacementCard' },
);

const cardFilters = {
  status: Type.Optional(Status),
  type: Type.Optional(CardType),
  account: Type.Optional(Type.String({ ...Id, description: 'id of an account' })),
  user: Type.Optional(Type.String({ ...Id, description: 'id of a cardholder' })),
  name: Type.Optional(Type.String({ ...Part, description: 'a part of the name, in any case' })),
};
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
      description:
        'With a filter, a page may have fewer cards than `limit`, even none, while `next` is not null: go on until it is.',
      schemas: { query: pageQuery(cardFilters), responses: { 200: page(Card) } },
      handler: async ({ principal, query }) => {
        const { limit, cursor: from, ...filter } = query;
        const found = await cards.list(principal, { after: cursor.decode(from), limit, filter });
        return { data: found.cards.map(showCard), next: found.next === null ? null : cursor.encode(found.next) };
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
      description:
        'Its type is for good, and `virtual` when it is left out. A `single_use` card makes one purchase; every later ' +
        'authorization is declined, also when the purchase was reversed. A `merchant_locked` card belongs to the merchant of ' +
        'its first purchase, and declines those of others.',
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
          type: body.type ?? 'virtual',
          expires: expiryFrom(new Date()),
          limits: checkLimits(body.limits ?? {}, 'limits'),
          metadata: checkMetadata(body.metadata ?? {}),
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
      summary: 'Freeze, unfreeze, close or rename a card, or replace its metadata',
      schemas: {
        params: IdParams,
        body: CardChange,
        responses: { 200: ChangedCard, 202: ChangedCard },
      },
      handler: async (request, reply) => {
        const { principal, params, body } = request;
        if (principal.role === 'member') checkMember(body);
        if (body.name !== undefined) checkName('name', body.name);
        if (body.metadata !== undefined) checkMetadata(body.metadata);
        const outcome = await cards.change(principal, params.id, body, versionExpected(request));
        if (outcome.outcome !== 'changed' && outcome.outcome !== 'unchanged') throw changeRefused(outcome);
        const { card, published } = outcome;
        const effective = await awaitEffect(feed, reply, 'card', params.id, published);
        return { ...showCard(card), effective };
      },
    }),
    route({
      method: 'POST',
      url: '/api/cards/:id/replace',
      access: moneyCallers,
      target: 'card',
      tag: 'cards',
      operationId: 'replaceCard',
      summary: 'A new card in the place of one that is lost, stolen or damaged',
      description:
        'The old card is closed at once. The new one is active and has the same holder, account, name, type, limits and ' +
        'metadata. It spends in the same windows, and takes over the purchase of a single-use card and the merchant of a ' +
        'merchant-locked one. What the old card holds goes on: clear, reverse and refund it by its id.',
      schemas: { params: IdParams, body: CardReplacement, responses: { 201: ReplacementCard } },
      handler: async (request, reply) => {
        const { principal, params, body } = request;
        const outcome = await cards.replace(principal, params.id, {
          cardId: idOf('card', operationOf(request)),
          token: newCardToken(),
          expires: expiryFrom(new Date()),
          reason: body.reason,
        });
        if (outcome.outcome !== 'replaced') throw notReplaced(outcome.outcome);
        const { card, published } = outcome;
        const effective = await awaitEffect(feed, reply, 'card', params.id, published);
        // The card is made either way; where the end of the old one shows later, Location says where to look.
        reply.code(201);
        sendVersion(reply, card.version);
        return { ...showCard(card), replaces: params.id, effective };
      },
    }),
  ];
}

export function showCard({ cardId, ...card }: CardRecord): Static<typeof Card> {
  const { token, accountId, userId, name, type, status, expires, limits, metadata, version, createdAt } = card;
  return {
    id: cardId,
    token,
    accountId,
    userId,
    name,
    type,
    status,
    expires,
    limits: limits as Static<typeof LimitsBody>,
    metadata,
    ...(card.replacedBy === null ? {} : { replacedBy: card.replacedBy }),
    ...(card.replacedFor === null ? {} : { replacedFor: card.replacedFor }),
    version,
    createdAt,
  };
}

/** A member may freeze a lost card; only managers unfreeze it. */
function checkMember(change: Static<typeof CardChange>): void {
  if (change.status === 'frozen' && Object.keys(change).length === 1) return;
  throw forbidden('members may freeze their cards; ask an administrator of your company for everything else');
}

/** The last day of the month `validYears` from now, YYYY-MM-DD. */
function expiryFrom(now: Date): string {
  return new Date(Date.UTC(now.getUTCFullYear() + validYears, now.getUTCMonth() + 1, 0)).toISOString().slice(0, 10);
}

function notReplaced(outcome: Exclude<ReplaceOutcome['outcome'], 'replaced'>): Problem {
  switch (outcome) {
    case 'absent':
      return notFound();
    case 'closed':
      return conflict('card_closed', 'this card is closed, and a closed card has no replacement: make a new one');
    case 'account_closed':
      return conflict('account_closed', 'the account of this card is closed');
    case 'holder_closed':
      return conflict('user_closed', 'the cardholder is closed: make a card for another cardholder');
    case 'not_verified':
      return notVerified();
  }
}

function notVerified(): Problem {
  return new Problem(403, 'customer_not_verified', 'there are no new cards unless your identity is verified');
}

function notAdded(refusal: Exclude<AddOutcome, { outcome: 'added' }>): Problem {
  switch (refusal.outcome) {
    case 'no_account':
      return new Problem(404, 'not_found', 'you have no account of this id', { field: 'accountId' });
    case 'no_holder':
      return new Problem(404, 'not_found', 'there is no such person in your company', { field: 'userId' });
    case 'account_closed':
      return conflict('account_closed', 'this account is closed', { field: 'accountId' });
    case 'too_many':
      return conflict('too_many_cards', `you have ${refusal.max} cards that are not closed: close one first`);
    case 'not_verified':
      return notVerified();
  }
}
