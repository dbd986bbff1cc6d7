/** The `decline_reason` of a Gateway JIT Funding answer for each of our reasons. */
import { Reason, type ReasonName } from '../../core/reasons.js';

/** For whatever Marqeta has no word of its own. */
export const notPermitted = 'TRANSACTION_NOT_PERMITTED';
/** For a limit on the number of authorizations. */
export const countLimitExceeded = 'TRANSACTION_COUNT_LIMIT_EXCEEDED';

const names: Readonly<Record<Exclude<ReasonName, 'approved'>, string>> = {
  cardInactive: 'CARD_NOT_ACTIVE',
  limitExceeded: 'AMOUNT_LIMIT_EXCEEDED',
  insufficientFunds: 'INSUFFICIENT_FUNDS',
  systemError: notPermitted,
  cardNotFound: 'INVALID_CARD',
  cardExpired: 'EXPIRED_CARD',
  accountInactive: 'BLOCKED_BY_ISSUER',
  userInactive: 'CARDHOLDER_NOT_ACTIVE',
  mccBlocked: 'INVALID_MERCHANT',
  merchantBlocked: 'BLOCKED_MERCHANT_BY_CARDHOLDER',
  countryBlocked: notPermitted,
  channelBlocked: notPermitted,
  currencyMismatch: notPermitted,
  originalNotFound: notPermitted,
  originalClosed: notPermitted,
  amountInvalid: 'INVALID_AMOUNT',
  duplicateConflict: 'DUPLICATE_TRANSACTION',
  overloaded: notPermitted,
  verificationFailed: 'SUSPECTED_FRAUD',
  walletBlocked: notPermitted,
  recurringBlocked: notPermitted,
};

/** Indexed by Reason. */
export const declineReasons: readonly string[] = Object.keys(Reason).map(
  (name) => (names as Readonly<Record<string, string | undefined>>)[name] ?? notPermitted,
);
