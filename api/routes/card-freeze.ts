/** Where a freeze enters: changes of a card, and whether they are in force on every engine. */
import { anyCaller } from '../auth/principal.js';
import { versionExpected } from '../http/etag.js';
import { checkName } from '../http/fields.js';
import { forbidden, notFound } from '../http/problem.js';
import { route } from '../http/route.js';
import { closed, closedChange, IdParams, Name, type Static, Status, Type } from '../http/schemas.js';
import type { Services } from '../services.js';
import { cardFields, showCard } from './card-schema.js';
import { awaitEffect, changeRefused } from './change-answers.js';
import { Effect } from './limits-schema.js';
import { checkMetadata, Metadata } from './metadata-schema.js';

const ChangedCard = closed(
  {
    ...cardFields,
    effective: Type.Boolean({ description: 'in force on every engine' }),
  },
  { title: 'ChangedCard' },
);
const CardChange = closedChange(
  { status: Type.Optional(Status), name: Type.Optional(Name), metadata: Type.Optional(Metadata) },
  { title: 'CardChange', examples: [{ status: 'frozen' }] },
);

export function cardFreezeRoutes({ cards, feed }: Services) {
  return [
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
  ];
}

/** A member may freeze a lost card; only managers unfreeze it. */
function checkMember(change: Static<typeof CardChange>): void {
  if (change.status === 'frozen' && Object.keys(change).length === 1) return;
  throw forbidden('members may freeze their cards; ask an administrator of your company for everything else');
}
