/** Limits of cards, users and accounts: what may be spent, and what has been. */
import { windowCount, windowNames } from '../../engine/core/limit-names.js';
import type { Limits } from '../../engine/core/rules.js';
import { nextPeriodDay, zoneNamed } from '../../engine/core/window.js';
import { anyCaller, moneyCallers, type Principal } from '../auth/principal.js';
import type { WindowLevel, WindowUse } from '../engine-client.js';
import { sendVersion, versionExpected } from '../http/etag.js';
import { forbidden, notFound } from '../http/problem.js';
import { route } from '../http/route.js';
import { closed, IdParams, type Static, Type, Version } from '../http/schemas.js';
import type { Services } from '../services.js';
import type { LimitedTopic } from '../stores/limits.js';
import { scopeOf } from '../stores/tenancy.js';
import { awaitEffect, changeRefused } from './change-answers.js';
import { checkLimits, Effect, LimitsBody, UsedWindows } from './limits-schema.js';

const ShownLimits = closed({ limits: LimitsBody, used: UsedWindows, version: Version }, { title: 'ShownLimits' });
const ReplacedLimits = closed(
  { limits: LimitsBody, version: Version, effective: Type.Boolean() },
  { title: 'ReplacedLimits' },
);

export function limitRoutes(services: Services) {
  return [
    ...cardLimitRoutes(services),
    ...entityLimitRoutes(services, 'account'),
    ...entityLimitRoutes(services, 'user'),
  ];
}

function cardLimitRoutes(services: Services) {
  const { cards, accounts, feed } = services;
  return [
    route({
      method: 'GET',
      url: '/api/cards/:id/limits',
      access: anyCaller,
      target: 'card',
      tag: 'limits',
      operationId: 'getCardLimits',
      summary: 'Limits of a card, and what was spent in each window',
      cached: false,
      schemas: { params: IdParams, responses: { 200: ShownLimits } },
      handler: async ({ principal, params }, reply) => {
        const card = await cards.find(principal, params.id);
        if (card === null) throw notFound();
        const [published, account] = await Promise.all([
          cards.published(principal, params.id),
          accounts.find(scopeOf(principal), card.accountId),
        ]);
        if (published === null) throw notFound();
        sendVersion(reply, card.version);
        const used = await usedWindows(services, 'card', published.number, account?.timeZone ?? 'UTC');
        return { limits: asBody(card.limits), used, version: card.version };
      },
    }),
    route({
      method: 'PUT',
      url: '/api/cards/:id/limits',
      access: moneyCallers,
      target: 'card',
      tag: 'limits',
      operationId: 'replaceCardLimits',
      errors: [409],
      versioned: true,
      summary: 'Replace all limits of a card',
      schemas: { params: IdParams, body: LimitsBody, responses: { 200: ReplacedLimits, 202: ReplacedLimits } },
      handler: async (request, reply) => {
        const { principal, params } = request;
        const limits = checkLimits(request.body as Limits);
        const version = versionExpected(request);
        const outcome = await cards.change(principal, params.id, { limits }, version);
        if (outcome.outcome !== 'changed' && outcome.outcome !== 'unchanged') throw changeRefused(outcome);
        const { card, published } = outcome;
        const effective = await awaitEffect(feed, reply, 'card', params.id, published);
        return { limits: asBody(card.limits), version: card.version, effective };
      },
    }),
  ];
}

/** Users and accounts. A member of a company sees their own limits and nothing of accounts. */
function entityLimitRoutes(services: Services, topic: LimitedTopic) {
  const { limits: store, accounts, feed } = services;
  const readers = topic === 'user' ? anyCaller : moneyCallers;
  const name = topic === 'user' ? 'User' : 'Account';
  return [
    route({
      method: 'GET',
      url: `/api/${topic}s/:id/limits`,
      access: readers,
      target: topic,
      tag: 'limits',
      operationId: `get${name}Limits`,
      summary: `Limits of ${an(topic)}, and what was spent in each window`,
      cached: false,
      schemas: { params: IdParams, responses: { 200: ShownLimits } },
      handler: async ({ principal, params }, reply) => {
        const found = await store.find(principal, topic, params.id);
        if (found === null) throw notFound();
        const zone =
          topic === 'account'
            ? (await accounts.find(scopeOf(principal), params.id))?.timeZone
            : await accounts.zoneOf(scopeOf(principal), found.number);
        sendVersion(reply, found.version);
        const used = await usedWindows(services, topic, found.number, zone ?? 'UTC');
        return { limits: asBody(found.limits), used, version: found.version };
      },
    }),
    route({
      method: 'PUT',
      url: `/api/${topic}s/:id/limits`,
      access: moneyCallers,
      target: topic,
      tag: 'limits',
      operationId: `replace${name}Limits`,
      errors: [409],
      versioned: true,
      summary: `Replace all limits of ${an(topic)}`,
      schemas: { params: IdParams, body: LimitsBody, responses: { 200: ReplacedLimits, 202: ReplacedLimits } },
      handler: async (request, reply) => {
        const { principal, params } = request;
        const limits = checkLimits(request.body as Limits);
        if (topic === 'user') await checkRank(services, principal, params.id);
        const outcome = await store.replace(principal, topic, params.id, limits, versionExpected(request));
        if (outcome.outcome !== 'changed') throw changeRefused(outcome);
        const effective = await awaitEffect(feed, reply, topic, params.id, outcome);
        return { limits: asBody(limits), version: outcome.version, effective };
      },
    }),
    route({
      method: 'GET',
      url: `/api/${topic}s/:id/effective`,
      access: readers,
      target: topic,
      tag: 'limits',
      operationId: `get${name}Effect`,
      summary: `Whether the newest version of ${an(topic)} is in force on every engine`,
      cached: false,
      schemas: { params: IdParams, responses: { 200: Effect } },
      handler: async ({ principal, params }, reply) => {
        const found = await store.find(principal, topic, params.id);
        if (found === null) throw notFound();
        const effective = await awaitEffect(feed, reply, topic, params.id, found);
        reply.code(200);
        return { version: found.version, effective };
      },
    }),
  ];
}

function an(topic: LimitedTopic): string {
  return topic === 'user' ? 'a user' : 'an account';
}

/** Only an owner may bind an owner. */
async function checkRank({ limits }: Services, principal: Principal, userId: string): Promise<void> {
  if (principal.role !== 'admin') return;
  const target = await limits.find(principal, 'user', userId);
  if (target?.role === 'owner') throw forbidden('only an owner may change what belongs to an owner');
}

/** The engine's live windows. */
async function usedWindows(
  { engine }: Services,
  level: WindowLevel,
  number: number,
  timeZone: string,
): Promise<Static<typeof UsedWindows>> {
  const use = await engine.windowUse(level, number);
  const zone = zoneNamed(timeZone);
  return showUse(use ?? nothingUsed(zone.dayOf(Date.now())), (day) => new Date(zone.startOf(day)).toISOString());
}

function nothingUsed(day: number): WindowUse {
  const zeros = new Array<number>(windowCount).fill(0);
  return { day, amounts: zeros, counts: zeros };
}

function showUse({ day, amounts, counts }: WindowUse, instantOf: (day: number) => string): Static<typeof UsedWindows> {
  const shown = windowNames.map((name, index) => {
    const next = nextPeriodDay(index, day);
    return [
      name,
      { amount: amounts[index]!, count: counts[index]!, resetsAt: next === null ? null : instantOf(next) },
    ] as const;
  });
  return Object.fromEntries(shown) as Static<typeof UsedWindows>;
}

function asBody(limits: Limits): Static<typeof LimitsBody> {
  return limits as Static<typeof LimitsBody>;
}
