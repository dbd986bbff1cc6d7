/** Where a freeze enters: changes of a card, and whether they are in force on every engine. */
import { type Actor, anyCaller, freezers, isCustomer } from '../auth/principal.js';
import { versionExpected } from '../http/etag.js';
import { checkName } from '../http/fields.js';
import { forbidden, notFound } from '../http/problem.js';
import { route } from '../http/route.js';
import { closed, closedChange, IdParams, Name, type Static, Status, Type } from '../http/schemas.js';
import type { Services } from '../services.js';
import { cardFields, showCard } from './card-schema.js';
import { awaitEffect, changeRefused, Effect, effectFields } from './change-answers.js';
import { keeperOn } from './keepers.js';
import { checkMetadata, Metadata } from './metadata-schema.js';
import { anyOperator } from './operators.js';

const ChangedCard = closed({ ...cardFields, ...effectFields }, { title: 'ChangedCard' });
const CardChange = closedChange(
  { status: Type.Optional(Status), name: Type.Optional(Name), metadata: Type.Optional(Metadata) },
  { title: 'CardChange', examples: [{ status: 'frozen' }] },
);

export function cardFreezeRoutes({ cards, feed, owners }: Services) {
  return [
    route({
      method: 'GET',
      url: '/api/cards/:id/effective',
      access: [...anyCaller, ...anyOperator],
      target: 'card',
      tag: 'cards',
      operationId: 'getCardEffect',
      summary: "Whether the card's newest version is in force on every engine",
      cached: false,
      schemas: { params: IdParams, responses: { 200: Effect } },
      handler: async (request, reply) => {
        const { actor, params } = request;
        const published = await cards.published(await keeperOn(owners, request, 'card'), params.id);
        if (published === null) throw notFound();
        const effect = await awaitEffect(feed, actor, reply, 'card', params.id, published);
        reply.code(200);
        return { version: published.version, ...effect };
      },
    }),
    route({
      method: 'PATCH',
      url: '/api/cards/:id',
      access: [...anyCaller, ...freezers],
      target: 'card',
      tag: 'cards',
      operationId: 'changeCard',
      errors: [409],
      versioned: true,
      summary: 'Freeze, unfreeze, close or rename a card, or replace its metadata',
      description:
        'Operators change the status alone: `support` freezes; `risk` and `admin` also unfreeze and close. `engines` ' +
        'and `afterMs` say how many engines have the change in force, and when.',
      schemas: {
        params: IdParams,
        body: CardChange,
        responses: { 200: ChangedCard, 202: ChangedCard },
      },
      handler: async (request, reply) => {
        const { actor, params, body } = request;
        checkRight(actor, body);
        if (body.name !== undefined) checkName('name', body.name);
        if (body.metadata !== undefined) checkMetadata(body.metadata);
        const outcome = await cards.change(
          await keeperOn(owners, request, 'card'),
          params.id,
          body,
          versionExpected(request),
        );
        if (outcome.outcome !== 'changed' && outcome.outcome !== 'unchanged') throw changeRefused(outcome);
        const { card, published } = outcome;
        return { ...showCard(card), ...(await awaitEffect(feed, actor, reply, 'card', params.id, published)) };
      },
    }),
  ];
}

/** A member may freeze a lost card; only managers unfreeze it. Operators leave name and metadata to the customer. */
function checkRight(actor: Actor, change: Static<typeof CardChange>): void {
  const isStatusAlone = change.status !== undefined && Object.keys(change).length === 1;
  if (isStatusAlone && change.status === 'frozen') return;
  if (isCustomer(actor)) {
    if (actor.role !== 'member') return;
    throw forbidden('members may freeze their cards; ask an administrator of your company for everything else');
  }
  if (!isStatusAlone) throw forbidden('operators change the status of a card; its name and metadata are its owner’s');
  if (actor.kind === 'operator' && actor.role === 'support') {
    throw forbidden('support may freeze a card; ask an operator of the role risk or admin for everything else');
  }
}
