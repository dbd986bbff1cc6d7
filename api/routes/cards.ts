/** Cards: list, create, show. Changes enter in card-freeze.ts and card-replacement.ts. */
import { anyCaller, moneyCallers } from '../auth/principal.js';
import { Cursor } from '../http/cursor.js';
import { sendVersion } from '../http/etag.js';
import { checkName } from '../http/fields.js';
import { operationOf } from '../http/idempotency.js';
import { conflict, notFound, Problem } from '../http/problem.js';
import { route } from '../http/route.js';
import { closed, Id, IdParams, Name, Part, page, pageQuery, Status, Type } from '../http/schemas.js';
import { idOf, newCardToken } from '../ids.js';
import type { Services } from '../services.js';
import type { AddOutcome } from '../stores/cards.js';
import { Card, CardType, expiryFrom, notVerified, showCard } from './card-schema.js';
import { keeperOn } from './keepers.js';
import { checkLimits, LimitsBody } from './limits-schema.js';
import { checkMetadata, Metadata } from './metadata-schema.js';
import { anyOperator } from './operators.js';

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
const cardFilters = {
  status: Type.Optional(Status),
  type: Type.Optional(CardType),
  account: Type.Optional(Type.String({ ...Id, description: 'id of an account' })),
  user: Type.Optional(Type.String({ ...Id, description: 'id of a cardholder' })),
  name: Type.Optional(Type.String({ ...Part, description: 'a part of the name, in any case' })),
};
const cursor = new Cursor('cards', 'timestamp', 'text');

export function cardRoutes({ cards, owners, config }: Services) {
  return [
    route({
      method: 'GET',
      url: '/api/cards',
      access: anyCaller,
      tag: 'cards',
      operationId: 'listCards',
      summary: 'Your cards, newest first',
      description:
        'With a filter, a page may have fewer cards than `limit`, even none, while `next` is not null: go on until ' +
        'it is.',
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
        'Its type is for good, and `virtual` when it is left out. A `single_use` card makes one purchase; every ' +
        'later ' +
        'authorization is declined, also when the purchase was reversed. A `merchant_locked` card belongs to the ' +
        'merchant of ' +
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
          limits: checkLimits(body.limits ?? {}, config.cardProtocols, 'limits'),
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
      access: [...anyCaller, ...anyOperator],
      target: 'card',
      tag: 'cards',
      operationId: 'getCard',
      summary: 'One card',
      schemas: { params: IdParams, responses: { 200: Card } },
      handler: async (request, reply) => {
        const card = await cards.find(await keeperOn(owners, request, 'card'), request.params.id);
        if (card === null) throw notFound();
        sendVersion(reply, card.version);
        return showCard(card);
      },
    }),
  ];
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
