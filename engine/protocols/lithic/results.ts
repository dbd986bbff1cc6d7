/** The `result` of an answer to Lithic for each of our reasons. */
import { Reason, type ReasonName, reasonTable } from '../../core/reasons.js';

export const approved = 'APPROVED';
/** Of a status that is not decided here. */
export const notSupported = 'STATUS_NOT_SUPPORTED';

/** Where Lithic has a word. It shows any other result as CUSTOM_ASA_RESULT. */
const names: Readonly<Partial<Record<ReasonName, string>>> = {
  approved,
  cardInactive: 'CARD_PAUSED',
  userInactive: 'CARD_PAUSED',
  accountInactive: 'CARD_PAUSED',
  limitExceeded: 'VELOCITY_EXCEEDED',
  insufficientFunds: 'INSUFFICIENT_FUNDS',
  mccBlocked: 'UNAUTHORIZED_MERCHANT',
  merchantBlocked: 'UNAUTHORIZED_MERCHANT',
  countryBlocked: 'UNAUTHORIZED_MERCHANT',
  verificationFailed: 'SUSPECTED_FRAUD',
};

/** Indexed by Reason. */
export const results: readonly string[] = Object.entries(Reason).map(
  ([name, number]) => names[name as ReasonName] ?? reasonTable[number]!.name.toUpperCase(),
);
