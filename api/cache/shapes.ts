/**
 * The shapes of values in Redis, checked before one is used. It has every member of the type, each of its kind, and no
 * other. A member that is added to a type does not compile until it is added here.
 */
import { isLimits } from '../../engine/core/limits-shape.js';
import type { AccountRow } from '../stores/accounts.js';
import type { Card, FoundCards } from '../stores/cards.js';
import type { Merchant, Transaction } from '../stores/transactions.js';

type Check = (value: unknown) => boolean;

const text: Check = (value) => typeof value === 'string';
const count: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const oneOf =
  (...allowed: readonly string[]): Check =>
  (value) =>
    allowed.includes(value as string);

export const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);

export const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function members<T>(checks: { readonly [name in keyof Required<T>]: Check }): Check {
  const list = Object.entries<Check>(checks);
  return (value) =>
    isPlain(value) &&
    Object.keys(value).length === list.length &&
    list.every(([name, check]) => Object.hasOwn(value, name) && check(value[name]));
}

const texts: Check = (value) => isPlain(value) && Object.values(value).every(text);
const status = oneOf('active', 'frozen', 'closed');

export const isAccount = members<AccountRow>({
  number: count,
  accountId: text,
  kind: oneOf('personal', 'business'),
  currency: text,
  timeZone: text,
  status,
  version: count,
  createdAt: text,
});

export const isCard = members<Card>({
  cardId: text,
  userId: text,
  accountId: text,
  token: text,
  name: text,
  type: text,
  status,
  expires: text,
  limits: isLimits,
  metadata: texts,
  replacedBy: orNull(text),
  replacedFor: orNull(text),
  version: count,
  createdAt: text,
});

const isCardKey: Check = (value) => Array.isArray(value) && value.length === 2 && value.every(text);

export const isFoundCards = members<FoundCards>({ cards: listOf(isCard), next: orNull(isCardKey) });

const isMerchant = members<Merchant>({
  id: orNull(text),
  name: orNull(text),
  mcc: orNull(text),
  country: orNull(text),
});

export const isTransaction = members<Transaction>({
  transactionId: text,
  cardId: text,
  accountId: text,
  type: text,
  status: text,
  currency: text,
  amount: count,
  approvedAmount: count,
  heldAmount: count,
  postedAmount: count,
  refundedAmount: count,
  reason: text,
  detail: orNull(text),
  merchant: isMerchant,
  channel: orNull(text),
  createdAt: text,
  updatedAt: text,
});
