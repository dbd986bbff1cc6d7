/**
 * Whether a value has the shape of Limits: for what comes back from a cache, where it should be right and may be torn.
 */
import { windowNames } from './limit-names.js';
import { amountMinorMax } from './request.js';
import { rollingHoursMax, rollingHoursMin, rollingMax } from './rolling.js';
import type { AllowOrBlock, Limits, RollingLimit, WindowLimit } from './rules.js';
import { verificationModes, verificationNames } from './vocabulary.js';

/** Longest list that is taken over; the account API takes far shorter ones. */
const membersMax = 10_000;
/** Most authorizations that a rolling window limits: what the account API takes. */
const countMax = 1_000_000_000;
const listNames = ['mcc', 'merchants', 'countries', 'channels', 'wallets'] as const;

export function isLimits(value: unknown): value is Limits | null {
  if (value === null) return true;
  if (!isObject<Limits>(value) || !isOptionalCount(value.perAuthorization)) return false;
  if (!isRolling(value.rolling)) return false;
  if (!isVerification(value.verification) || !isOneOf(['allow', 'block'], value.recurring)) return false;
  return windowNames.every((name) => isWindow(value[name])) && listNames.every((name) => isList(value[name]));
}

function isRolling(value: Limits['rolling']): boolean {
  if (value === undefined) return true;
  return Array.isArray(value) && value.length <= rollingMax && value.every(isRollingLimit);
}

function isRollingLimit(value: RollingLimit): boolean {
  if (!isObject<RollingLimit>(value) || !Number.isInteger(value.hours)) return false;
  const { hours, amount = 0, count = 0 } = value;
  if (hours < rollingHoursMin || hours > rollingHoursMax) return false;
  return isOptionalCount(amount, count) && amount <= amountMinorMax && count <= countMax;
}

function isVerification(value: Limits['verification']): boolean {
  if (value === undefined) return true;
  if (!isObject<NonNullable<Limits['verification']>>(value)) return false;
  return verificationNames.every((name) => isOneOf(verificationModes, value[name]));
}

function isOneOf(names: readonly string[], value: unknown): boolean {
  return value === undefined || names.includes(value as string);
}

function isWindow(value: WindowLimit | undefined): boolean {
  return value === undefined || (isObject<WindowLimit>(value) && isOptionalCount(value.amount, value.count));
}

function isList(value: AllowOrBlock | undefined): boolean {
  return value === undefined || (isObject<AllowOrBlock>(value) && isNames(value.allow) && isNames(value.block));
}

function isNames(value: unknown): boolean {
  if (value === undefined) return true;
  return Array.isArray(value) && value.length <= membersMax && value.every((name) => typeof name === 'string');
}

function isOptionalCount(...values: readonly unknown[]): boolean {
  return values.every((value) => value === undefined || (Number.isSafeInteger(value) && (value as number) >= 0));
}

function isObject<T extends object>(value: unknown): value is T {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
