/** A new card in the place of another one. */
import { freezers, moneyCallers } from '../auth/principal.js';
import { sendVersion } from '../http/etag.js';
import { operationOf } from '../http/idempotency.js';
import { conflict, notFound, type Problem } from '../http/problem.js';
import { route } from '../http/route.js';
import { closed, Id, IdParams, Type } from '../http/schemas.js';
import { idOf, newCardToken } from '../ids.js';
import type { Services } from '../services.js';
import type { ReplaceOutcome } from '../stores/cards.js';
import { cardFields, expiryFrom, notVerified, ReplaceReason, showCard } from './card-schema.js';
import { awaitEffect, effectFields } from './change-answers.js';
import { keeperOn } from './keepers.js';

const CardReplacement = closed({ reason: ReplaceReason }, { title: 'CardReplacement', examples: [{ reason: 'lost' }] });
const ReplacementCard = closed(
  {
    ...cardFields,
    replaces: Type.String({ ...Id, description: 'the card whose place it takes, which is closed' }),
    ...effectFields,
  },
  { title: 'ReplacementCard' },
);

export function cardReplacementRoutes({ cards, feed, owners }: Services) {
  return [
    route({
      method: 'POST',
      url: '/api/cards/:id/replace',
      access: [...moneyCallers, ...freezers],
      target: 'card',
      tag: 'cards',
      operationId: 'replaceCard',
      summary: 'A new card in the place of one that is lost, stolen or damaged',
      description:
        'The old card is closed at once. The new one is active and has the same holder, account, name, type, limits ' +
        'and metadata. It spends in the same windows, and takes over the purchase of a single-use card and the ' +
        'merchant of a merchant-locked one. What the old card holds goes on: clear, reverse and refund it by its id. ' +
        '`effective` is about the end of the old card.',
      schemas: { params: IdParams, body: CardReplacement, responses: { 201: ReplacementCard } },
      handler: async (request, reply) => {
        const { actor, params, body } = request;
        const outcome = await cards.replace(await keeperOn(owners, request, 'card'), params.id, {
          cardId: idOf('card', operationOf(request)),
          token: newCardToken(),
          expires: expiryFrom(new Date()),
          reason: body.reason,
        });
        if (outcome.outcome !== 'replaced') throw notReplaced(outcome.outcome);
        const { card, published } = outcome;
        const effect = await awaitEffect(feed, actor, reply, 'card', params.id, published);
        // The card is made either way; where the end of the old one shows later, Location says where to look.
        reply.code(201);
        sendVersion(reply, card.version);
        return { ...showCard(card), replaces: params.id, ...effect };
      },
    }),
  ];
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
