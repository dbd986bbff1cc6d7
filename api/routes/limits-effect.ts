/** What new limits would mean before they are made: which open holds they refuse today, which windows are used up. */
import { channelNames, packLetters } from '../../engine/core/codes.js';
import { windowNames } from '../../engine/core/limit-names.js';
import { rollingHoursMax, rollingHoursMin, rollingMax } from '../../engine/core/rolling.js';
import { compileRules, type Limits, listDeclines, type Rules } from '../../engine/core/rules.js';
import { type Acting, type Keeper, moneyCallers, riskCallers } from '../auth/principal.js';
import { notFound } from '../http/problem.js';
import { route } from '../http/route.js';
import { Count, Currency, closed, IdParams, Money, nullable, oneOf, type Static, Type } from '../http/schemas.js';
import type { Services } from '../services.js';
import { type Hold, holdsLookedAt } from '../stores/holds.js';
import { keeperOn } from './keepers.js';
import { usedWindows } from './limits.js';
import { checkLimits, LimitsBody } from './limits-schema.js';

const conflictNames = ['perAuthorization', 'mcc', 'merchants', 'countries', 'channels'] as const;
/** Of the holds that the limits would refuse, so many are shown. */
const shownMax = 50;

const HoldTotals = closed({ count: Count, amount: Count }, { title: 'HoldTotals' });
const LimitsEffect = closed(
  {
    open: HoldTotals,
    over: Type.Object(HoldTotals.properties, {
      additionalProperties: false,
      title: 'HoldsOver',
      description: 'holds that the new limits would refuse today; they stay held, and their clearings post',
    }),
    holds: Type.Array(
      closed(
        {
          transactionId: Type.String(),
          currency: Currency,
          heldAmount: Money,
          merchant: nullable(Type.String()),
          because: Type.Array(oneOf(conflictNames, { title: 'LimitName' })),
        },
        { title: 'HoldOver' },
      ),
      { description: `the newest ${shownMax} of \`over\`` },
    ),
    usedUp: Type.Array(oneOf(windowNames, { title: 'WindowName' }), {
      description: 'calendar windows in which nothing more may be spent under the new limits',
    }),
    usedUpRolling: Type.Array(Type.Integer({ minimum: rollingHoursMin, maximum: rollingHoursMax }), {
      maxItems: rollingMax,
      description: 'hours of the rolling windows in which nothing more may be spent under the new limits',
    }),
  },
  { title: 'LimitsEffect' },
);

export function limitEffectRoutes(services: Services) {
  return (['card', 'account', 'user'] as const).map((level) => {
    const name = `${level[0]!.toUpperCase()}${level.slice(1)}`;
    return route({
      method: 'POST',
      url: `/api/${level}s/:id/limits/effect`,
      access: [...moneyCallers, ...riskCallers],
      target: level,
      tag: 'limits',
      operationId: `preview${name}Limits`,
      report: true,
      summary: `What these limits of ${level === 'account' ? 'an' : 'a'} ${level} would mean now; changes nothing`,
      description: `Looks at the open holds among the newest ${holdsLookedAt} settled transactions.`,
      schemas: { params: IdParams, body: LimitsBody, responses: { 200: LimitsEffect } },
      handler: async (request) => {
        const limits = checkLimits(request.body as Limits, services.config.cardProtocols);
        const keeper = await keeperOn(services.owners, request, level);
        const number = await numberOf(services, keeper, level, request.params.id);
        const holds = await services.holds.open(keeper, level, number);
        return effectOf(limits, holds, await usedWindows(services, level, number, 'UTC', limits));
      },
    });
  });
}

/** Throws 404. */
async function numberOf(
  { cards, limits }: Services,
  keeper: Acting<Keeper>,
  level: 'card' | 'account' | 'user',
  id: string,
): Promise<number> {
  const found = await (level === 'card' ? cards.published(keeper, id) : limits.find(keeper, level, id));
  if (found === null) throw notFound(level);
  return found.number;
}

export function effectOf(
  limits: Limits,
  holds: readonly Hold[],
  used: Awaited<ReturnType<typeof usedWindows>>,
): Static<typeof LimitsEffect> {
  const rules = compileRules(limits);
  const judged = holds.map((hold) => ({ hold, because: rules === null ? [] : conflictsOf(rules, hold) }));
  const over = judged.filter(({ because }) => because.length > 0);
  return {
    open: totalsOf(holds),
    over: totalsOf(over.map(({ hold }) => hold)),
    holds: over.slice(0, shownMax).map(({ hold, because }) => ({
      transactionId: hold.transactionId,
      currency: hold.currency,
      heldAmount: hold.heldAmount,
      merchant: hold.merchantName ?? hold.merchantId,
      because,
    })),
    usedUp: windowNames.filter((name) => isUsedUp(limits[name] ?? {}, used[name])),
    usedUpRolling: (limits.rolling ?? [])
      .filter((window, index) => isUsedUp(window, used.rolling[index]!))
      .map(({ hours }) => hours),
  };
}

interface Spent {
  readonly amount: number;
  readonly count: number;
}

function isUsedUp({ amount = Number.POSITIVE_INFINITY, count = Number.POSITIVE_INFINITY }: Partial<Spent>, so: Spent) {
  return so.amount >= amount || so.count >= count;
}

function totalsOf(holds: readonly Hold[]) {
  return { count: holds.length, amount: holds.reduce((sum, { heldAmount }) => sum + heldAmount, 0) };
}

/** As the engine would judge a purchase like it (engine/core/checks.ts). */
function conflictsOf(rules: Rules, { amount, mcc, merchantId, country, channel }: Hold) {
  const channelNumber = channelNames.indexOf((channel ?? '') as (typeof channelNames)[number]);
  const refuses = {
    perAuthorization: amount > rules.perAuthorization,
    mcc: listDeclines(rules.mcc, Number(mcc), mcc === null),
    merchants: listDeclines(rules.merchants, merchantId ?? '', merchantId === null),
    countries: listDeclines(rules.countries, packLetters(country ?? ''), country === null),
    channels: listDeclines(rules.channels, channelNumber, channel === null),
  };
  return conflictNames.filter((name) => refuses[name]);
}
