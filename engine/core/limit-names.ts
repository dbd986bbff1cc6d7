/**
 * Names of the limits that can refuse an authorization, as `detail` says them: `card.daily.amount`,
 * `user.perAuthorization` … One byte in the journal; 0 means none. Append only.
 */
import { InvariantError } from './invariant.js';
import { rollingMax } from './rolling.js';
import { verificationNames } from './vocabulary.js';

/**
 * Whose limit: journaled and stored in `limits.level`, and but for users in `spend_windows.level` (storedLevel).
 * Checked in this order.
 */
export const Level = { card: 0, user: 1, account: 2 } as const;
export type Level = (typeof Level)[keyof typeof Level];
export const levelNames = ['card', 'user', 'account'] as const;
export const levels = [Level.card, Level.user, Level.account] as const;

/** Calendar windows in the account's time zone; the index is the position in every array of five. */
export const windowNames = ['daily', 'weekly', 'monthly', 'yearly', 'lifetime'] as const;
export const windowCount = 5;

/** Per level: 1 perAuthorization, then amount and count of each window. */
const detailsPerLevel = 1 + 2 * windowCount;

/** 0, and above the limits the details that flag an approval. */
export const detailNone = 0;
/** A clearing without an original posted anyway. */
export const detailForcePost = 1 + 3 * detailsPerLevel;
/** Approved without its partition: see docs/standin.md. */
export const detailStandIn = detailForcePost + 3 * verificationNames.length + 1;
/** The largest number that a detail has. */
export const detailLast = detailStandIn + 3 * 2 * rollingMax;

const detailNames: string[] = [''];
for (const level of levelNames) {
  detailNames.push(`${level}.perAuthorization`);
  for (const window of windowNames) detailNames.push(`${level}.${window}.amount`, `${level}.${window}.count`);
}
detailNames.push('force_post');
for (const level of levelNames) for (const name of verificationNames) detailNames.push(`${level}.verification.${name}`);
detailNames.push('stand_in');

/** Detail number of the per-authorization limit of `level`. */
export function perAuthorizationDetail(level: Level): number {
  return 1 + level * detailsPerLevel;
}

/** Detail number of a window limit. `windowIndex` is the position in windowNames. */
export function windowDetail(level: Level, windowIndex: number, what: 'amount' | 'count'): number {
  return 1 + level * detailsPerLevel + 1 + 2 * windowIndex + (what === 'count' ? 1 : 0);
}

for (const level of levelNames) {
  for (let index = 0; index < rollingMax; index++) {
    detailNames.push(`${level}.rolling.${index}.amount`, `${level}.rolling.${index}.count`);
  }
}

/** Detail number of a rolling window. `index` is its position in the limits. */
export function rollingDetail(level: Level, index: number, what: 'amount' | 'count'): number {
  const first = detailStandIn + 1;
  return first + 2 * (level * rollingMax + index) + (what === 'count' ? 1 : 0);
}

/** Detail number of what `level` asks of a check. `index` is the position in verificationNames. */
export function verificationDetail(level: Level, index: number): number {
  return detailForcePost + 1 + level * verificationNames.length + index;
}

/** True for a detail that counts authorizations (DE39 65, Marqeta TRANSACTION_COUNT_LIMIT_EXCEEDED). */
export function isCountDetail(detail: number): boolean {
  return detailName(detail).endsWith('.count');
}

/** The public name of a detail; '' for none. Throws InvariantError for an unknown number. */
export function detailName(detail: number): string {
  const name = detailNames[detail];
  if (name === undefined) throw new InvariantError(`unknown detail number ${detail}`);
  return name;
}
