/** Limits of cards, users and accounts: what may be spent, and what has been. */
import { windowCount, windowNames } from '../../engine/core/limit-names.js';
import { Rolling } from '../../engine/core/rolling.js';
import type { Limits } from '../../engine/core/rules.js';
import { nextPeriodDay, zoneNamed } from '../../engine/core/window.js';
import { anyCaller, type Caller, isCustomer, type Keeper, moneyCallers, riskCallers } from '../auth/principal.js';
import type { WindowLevel, WindowUse } from '../engine-client.js';
import { sendVersion, versionExpected } from '../http/etag.js';
import { forbidden, notFound } from '../http/problem.js';
import { route } from '../http/route.js';
import { closed, IdParams, type Static, Version } from '../http/schemas.js';
import type { Services } from '../services.js';
import type { LimitedTopic } from '../stores/limits.js';
import { scopeOf } from '../stores/tenancy.js';
import { awaitEffect, changeRefused, Effect, effectFields } from './change-answers.js';
import { keeperOn } from './keepers.js';
import { checkLimits, LimitsBody, UsedWindows } from './limits-schema.js';
import { anyOperator } from './operators.js';

const ShownLimits = closed({ limits: LimitsBody, used: UsedWindows, version: Version }, { title: 'ShownLimits' });
const ReplacedLimits = closed({ limits: LimitsBody, version: Version, ...effectFields }, { title: 'ReplacedLimits' });

export function limitRoutes(services: Services) {
  return [
    ...cardLimitRoutes(services),
    ...entityLimitRoutes(services, 'account'),
    ...entityLimitRoutes(services, 'user'),
  ];
}

function cardLimitRoutes(services: Services) {
  const { cards, accounts, feed, owners } = services;
  return [
    route({
      method: 'GET',
      url: '/api/cards/:id/limits',
      access: [...anyCaller, ...anyOperator],
      target: 'card',
      tag: 'limits',
      operationId: 'getCardLimits',
      summary: 'Limits of a card, and what was spent in each window',
      cached: false,
      schemas: { params: IdParams, responses: { 200: ShownLimits } },
      handler: async (request, reply) => {
        const { params } = request;
        const keeper = await keeperOn(owners, request, 'card');
        const card = await cards.find(keeper, params.id);
        if (card === null) throw notFound();
        const [published, account] = await Promise.all([
          cards.published(keeper, params.id),
          accounts.find(scopeOf(keeper), card.accountId),
        ]);
        if (published === null) throw notFound();
        sendVersion(reply, card.version);
        const zone = account?.timeZone ?? 'UTC';
        const used = await usedWindows(services, 'card', published.number, zone, card.limits);
        return { limits: asBody(card.limits), used, version: card.version };
      },
    }),
    route({
      method: 'PUT',
      url: '/api/cards/:id/limits',
      access: [...moneyCallers, ...riskCallers],
      target: 'card',
      tag: 'limits',
      operationId: 'replaceCardLimits',
      errors: [409],
      versioned: true,
      summary: 'Replace all limits of a card',
      schemas: { params: IdParams, body: LimitsBody, responses: { 200: ReplacedLimits, 202: ReplacedLimits } },
      handler: async (request, reply) => {
        const { actor, params } = request;
        const limits = checkLimits(request.body as Limits, services.config.cardProtocols);
        const version = versionExpected(request);
        const outcome = await cards.change(await keeperOn(owners, request, 'card'), params.id, { limits }, version);
        if (outcome.outcome !== 'changed' && outcome.outcome !== 'unchanged') throw changeRefused(outcome);
        const { card, published } = outcome;
        const effect = await awaitEffect(feed, actor, reply, 'card', params.id, published);
        return { limits: asBody(card.limits), version: card.version, ...effect };
      },
    }),
  ];
}

/** Users and accounts. A member of a company sees their own limits and nothing of accounts. */
function entityLimitRoutes(services: Services, topic: LimitedTopic) {
  const { limits: store, accounts, feed, owners } = services;
  const readers = [...(topic === 'user' ? anyCaller : moneyCallers), ...anyOperator];
  return [
    route({
      method: 'GET',
      url: `/api/${topic}s/:id/limits`,
      access: readers,
      target: topic,
      tag: 'limits',
      operationId: `get${nameOf(topic)}Limits`,
      summary: `Limits of ${an(topic)}, and what was spent in each window`,
      cached: false,
      schemas: { params: IdParams, responses: { 200: ShownLimits } },
      handler: async (request, reply) => {
        const { params } = request;
        const keeper = await keeperOn(owners, request, topic);
        const found = await store.find(keeper, topic, params.id);
        if (found === null) throw notFound();
        const zone =
          topic === 'account'
            ? (await accounts.find(scopeOf(keeper), params.id))?.timeZone
            : await accounts.zoneOf(scopeOf(keeper), found.number);
        sendVersion(reply, found.version);
        const used = await usedWindows(services, topic, found.number, zone ?? 'UTC', found.limits);
        return { limits: asBody(found.limits), used, version: found.version };
      },
    }),
    route({
      method: 'PUT',
      url: `/api/${topic}s/:id/limits`,
      access: [...moneyCallers, ...riskCallers],
      target: topic,
      tag: 'limits',
      operationId: `replace${nameOf(topic)}Limits`,
      errors: [409],
      versioned: true,
      summary: `Replace all limits of ${an(topic)}`,
      schemas: { params: IdParams, body: LimitsBody, responses: { 200: ReplacedLimits, 202: ReplacedLimits } },
      handler: async (request, reply) => {
        const { params } = request;
        const limits = checkLimits(request.body as Limits, services.config.cardProtocols);
        const keeper = await keeperOn(owners, request, topic);
        if (topic === 'user') await checkRank(services, keeper, params.id);
        const outcome = await store.replace(keeper, topic, params.id, limits, versionExpected(request));
        if (outcome.outcome !== 'changed') throw changeRefused(outcome);
        const effect = await awaitEffect(feed, keeper, reply, topic, params.id, outcome);
        return { limits: asBody(limits), version: outcome.version, ...effect };
      },
    }),
    entityEffectRoute(services, topic, readers),
  ];
}

function entityEffectRoute({ limits: store, feed, owners }: Services, topic: LimitedTopic, readers: readonly Caller[]) {
  return route({
    method: 'GET',
    url: `/api/${topic}s/:id/effective`,
    access: readers,
    target: topic,
    tag: 'limits',
    operationId: `get${nameOf(topic)}Effect`,
    summary: `Whether the newest version of ${an(topic)} is in force on every engine`,
    cached: false,
    schemas: { params: IdParams, responses: { 200: Effect } },
    handler: async (request, reply) => {
      const { params } = request;
      const keeper = await keeperOn(owners, request, topic);
      const found = await store.find(keeper, topic, params.id);
      if (found === null) throw notFound();
      const effect = await awaitEffect(feed, keeper, reply, topic, params.id, found);
      reply.code(200);
      return { version: found.version, ...effect };
    },
  });
}

function nameOf(topic: LimitedTopic): string {
  return topic === 'user' ? 'User' : 'Account';
}

function an(topic: LimitedTopic): string {
  return topic === 'user' ? 'a user' : 'an account';
}

/** Only an owner may bind an owner. */
async function checkRank({ limits }: Services, keeper: Keeper, userId: string): Promise<void> {
  if (!isCustomer(keeper) || keeper.role !== 'admin') return;
  const target = await limits.find(keeper, 'user', userId);
  if (target?.role === 'owner') throw forbidden('only an owner may change what belongs to an owner');
}

/** The engine's live windows. @param limits whose rolling windows are shown */
export async function usedWindows(
  { engine }: Services,
  level: WindowLevel,
  number: number,
  timeZone: string,
  limits: Limits,
): Promise<Static<typeof UsedWindows>> {
  const use = await engine.windowUse(level, number);
  const zone = zoneNamed(timeZone);
  const nowMs = Date.now();
  const windows = showUse(use ?? nothingUsed(zone.dayOf(nowMs)), (day) => new Date(zone.startOf(day)).toISOString());
  const counted = new Rolling(use?.rolling ?? 0);
  const rolling = (limits.rolling ?? []).map(({ hours }) => ({
    hours,
    amount: counted.used('amount', hours, nowMs),
    count: counted.used('count', hours, nowMs),
  }));
  return { ...windows, rolling };
}

function nothingUsed(day: number): WindowUse {
  const zeros = new Array<number>(windowCount).fill(0);
  return { day, amounts: zeros, counts: zeros, rolling: null };
}

function showUse(
  { day, amounts, counts }: WindowUse,
  instantOf: (day: number) => string,
): Omit<Static<typeof UsedWindows>, 'rolling'> {
  const shown = windowNames.map((name, index) => {
    const next = nextPeriodDay(index, day);
    return [
      name,
      { amount: amounts[index]!, count: counts[index]!, resetsAt: next === null ? null : instantOf(next) },
    ] as const;
  });
  return Object.fromEntries(shown) as Omit<Static<typeof UsedWindows>, 'rolling'>;
}

function asBody(limits: Limits): Static<typeof LimitsBody> {
  return limits as Static<typeof LimitsBody>;
}
