/**
 * The one table of answers. A refusal is a value from here, never an exception.
 *
 * Numbers are journaled: append only, retire but never reuse. The order of the numbers says nothing about precedence;
 * precedence is the order of the checks in checks.ts.
 *
 * `responseCode` is ISO 8583:1987 DE39. A protocol's own words for a reason stand in its folder.
 */
import { InvariantError } from './invariant.js';

export const Reason = {
  approved: 0,
  cardInactive: 1,
  limitExceeded: 2,
  insufficientFunds: 3,
  systemError: 4,
  cardNotFound: 5,
  cardExpired: 6,
  accountInactive: 7,
  userInactive: 8,
  mccBlocked: 9,
  merchantBlocked: 10,
  countryBlocked: 11,
  channelBlocked: 12,
  currencyMismatch: 13,
  originalNotFound: 14,
  originalClosed: 15,
  amountInvalid: 16,
  duplicateConflict: 17,
  overloaded: 18,
  verificationFailed: 19,
  walletBlocked: 20,
  recurringBlocked: 21,
} as const;
export type ReasonName = keyof typeof Reason;
export type Reason = (typeof Reason)[ReasonName];

export interface ReasonEntry {
  readonly number: Reason;
  /** The public name, as the authorization port says it. */
  readonly name: string;
  /**
   * ISO 8583:1987 DE39, two characters. Partial approval (10), verification (85) and count limits (65): see
   * responseCode().
   */
  readonly responseCode: string;
}

export const reasonTable: readonly ReasonEntry[] = [
  { number: Reason.approved, name: 'approved', responseCode: '00' },
  { number: Reason.cardInactive, name: 'card_inactive', responseCode: '62' },
  { number: Reason.limitExceeded, name: 'limit_exceeded', responseCode: '61' },
  { number: Reason.insufficientFunds, name: 'insufficient_funds', responseCode: '51' },
  { number: Reason.systemError, name: 'system_error', responseCode: '96' },
  { number: Reason.cardNotFound, name: 'card_not_found', responseCode: '14' },
  { number: Reason.cardExpired, name: 'card_expired', responseCode: '54' },
  { number: Reason.accountInactive, name: 'account_inactive', responseCode: '62' },
  { number: Reason.userInactive, name: 'user_inactive', responseCode: '62' },
  { number: Reason.mccBlocked, name: 'mcc_blocked', responseCode: '57' },
  {
    number: Reason.merchantBlocked,
    name: 'merchant_blocked',
    responseCode: '57',
  },
  { number: Reason.countryBlocked, name: 'country_blocked', responseCode: '57' },
  { number: Reason.channelBlocked, name: 'channel_blocked', responseCode: '57' },
  {
    number: Reason.currencyMismatch,
    name: 'currency_mismatch',
    responseCode: '12',
  },
  {
    number: Reason.originalNotFound,
    name: 'original_not_found',
    responseCode: '25',
  },
  { number: Reason.originalClosed, name: 'original_closed', responseCode: '84' },
  { number: Reason.amountInvalid, name: 'amount_invalid', responseCode: '13' },
  {
    number: Reason.duplicateConflict,
    name: 'duplicate_conflict',
    responseCode: '94',
  },
  { number: Reason.overloaded, name: 'overloaded', responseCode: '91' },
  { number: Reason.verificationFailed, name: 'verification_failed', responseCode: '63' },
  { number: Reason.walletBlocked, name: 'wallet_blocked', responseCode: '57' },
  { number: Reason.recurringBlocked, name: 'recurring_blocked', responseCode: '57' },
];

// The table is indexed by number: a gap or a swapped row would answer with the wrong reason.
for (const [index, entry] of reasonTable.entries()) {
  if (entry.number !== index) throw new InvariantError(`reason ${entry.name} stands at ${index}, not ${entry.number}`);
}

/** The row of `reason`. Throws InvariantError for a number that is not in the table (a corrupt journal). */
export function reasonEntry(reason: number): ReasonEntry {
  const entry = reasonTable[reason];
  if (entry === undefined) throw new InvariantError(`unknown reason number ${reason}`);
  return entry;
}
