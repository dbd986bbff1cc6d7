/**
 * The rule by which the front approves an authorization when its partition cannot answer (docs/standin.md). Pure: it
 * knows the card as the feed has it, and what stand-in approvals come to. It knows no balance and no use of windows.
 */
import { Status } from './accounts.js';
import type { Books } from './books.js';
import { CardType } from './card-types.js';
import { perAuthorizationExceeded } from './checks-limits.js';
import { channelBlocked, countryBlocked, mccBlocked, merchantBlocked, walletBlocked } from './checks-merchant.js';
import { recurringBlocked, verificationFailed } from './checks-signals.js';
import { Context } from './decision-context.js';
import { Outcome } from './outcome.js';
import type { Policy } from './question.js';
import type { Request } from './request.js';
import { type ListRule, listDeclines, type Rules } from './rules.js';

/** Amounts in minor units of the currency; caps are those of this engine alone. */
export interface StandInRule {
  /** packLetters() of the one currency in which it approves. */
  readonly currency: number;
  readonly perCardMinor: number;
  readonly perDayMinor: number;
  readonly amountMaxMinor: number;
  readonly mcc: ListRule<number> | null;
  /** How old the knowledge of cards may be, milliseconds. */
  readonly stateAgeMsMax: number;
  /** Most engines that run in a day. */
  readonly engines: number;
}

/** A card, its user and its account as they are known. */
export interface StandInCard {
  readonly token: string;
  readonly status: Status;
  readonly type: CardType;
  readonly userStatus: Status;
  readonly accountStatus: Status;
  /** packLetters() of the account's currency. */
  readonly currency: number;
  /** Last local day on which the card is valid, and the day of the account now: days since 1970-01-01. */
  readonly expiresDay: number;
  readonly day: number;
  readonly cardRules: Rules | null;
  readonly userRules: Rules | null;
  readonly accountRules: Rules | null;
}

/** Why the rule does not approve. For the metrics. */
export const standInRefusals = [
  'state_age',
  'card_unknown',
  'card_state',
  'currency',
  'amount',
  'mcc',
  'limits',
  'card_cap',
  'day_cap',
  'full',
  'lease',
  'database',
] as const;
export type StandInRefusal = (typeof standInRefusals)[number];

/**
 * @param card null: it is not known
 * @param stateAgeMs how long ago the knowledge of cards was up to date
 * @returns null where the rule approves
 */
export function standInRefusal(
  rule: StandInRule,
  card: StandInCard | null,
  request: Request,
  exposure: Pick<Exposure, 'ofCard' | 'totalMinor'>,
  stateAgeMs: number,
): StandInRefusal | null {
  if (!(stateAgeMs <= rule.stateAgeMsMax)) return 'state_age';
  if (card === null) return 'card_unknown';
  if (!isUsable(card)) return 'card_state';
  const { amountMinor, currency, mcc } = request;
  if (card.currency !== rule.currency || (currency !== 0 && currency !== rule.currency)) return 'currency';
  if (!Number.isSafeInteger(amountMinor) || amountMinor <= 0 || amountMinor > rule.amountMaxMinor) return 'amount';
  if (listDeclines(rule.mcc, mcc, mcc < 0)) return 'mcc';
  if (limitsDecline(card, request)) return 'limits';
  if (exposure.ofCard(card.token) + amountMinor > rule.perCardMinor) return 'card_cap';
  if (exposure.totalMinor + amountMinor > rule.perDayMinor) return 'day_cap';
  return null;
}

/** What a card of another type than virtual has bought decides what it may buy, and only its partition knows that. */
function isUsable({ status, type, userStatus, accountStatus, expiresDay, day }: StandInCard): boolean {
  const isActive = status === Status.active && userStatus === Status.active && accountStatus === Status.active;
  return isActive && type === CardType.virtual && day <= expiresDay;
}

/** Checks of a partition that look at a purchase and at limits, and at no books. */
const purchaseChecks: readonly ((context: Context) => boolean)[] = [
  mccBlocked,
  merchantBlocked,
  countryBlocked,
  channelBlocked,
  verificationFailed,
  walletBlocked,
  recurringBlocked,
  perAuthorizationExceeded,
];
const context = new Context({} as Books, {} as Policy, new Outcome());

/** What limits say of one purchase alone. What was spent before is not known: the caps stand for that. */
function limitsDecline({ cardRules, userRules, accountRules }: StandInCard, request: Request): boolean {
  context.request = request;
  context.cardRules = cardRules;
  context.userRules = userRules;
  context.accountRules = accountRules;
  for (const rules of [cardRules, userRules, accountRules]) {
    if (rules !== null && isAboveWindow(rules, request.amountMinor)) return true;
  }
  return purchaseChecks.some((declines) => declines(context));
}

/** Whether one purchase alone is more than some window allows. */
function isAboveWindow({ amounts, counts, rolling }: Rules, amountMinor: number): boolean {
  const amountMax = Math.min(...amounts, ...rolling.map(({ amount }) => amount));
  return amountMinor > amountMax || Math.min(...counts, ...rolling.map(({ count }) => count)) < 1;
}

/**
 * What stand-in approvals of one UTC day come to. Nothing is given back within the day: not by a reversal, nor when an
 * approval is booked.
 */
export class Exposure {
  readonly #cards = new Map<string, number>();
  day = 0;
  /** Of all cards, minor units. */
  totalMinor = 0;
  count = 0;

  /** A clock that was set back counts on the latest day. */
  begin(day: number): void {
    if (day <= this.day) return;
    this.day = day;
    this.totalMinor = 0;
    this.count = 0;
    this.#cards.clear();
  }

  ofCard(token: string): number {
    return this.#cards.get(token) ?? 0;
  }

  /** @param count of approvals */
  add(token: string, amountMinor: number, count = 1): void {
    this.#cards.set(token, this.ofCard(token) + amountMinor);
    this.totalMinor += amountMinor;
    this.count += count;
  }

  /** By card, minor units. */
  get cards(): ReadonlyMap<string, number> {
    return this.#cards;
  }
}
