/** Lithic's words for results of checks, wallets and the like: docs/protocols/vocabulary.md. */
import type { Request } from '../../core/request.js';
import {
  CheckResult,
  type Initiator,
  Initiator as Initiators,
  Pin,
  Recurring,
  riskScoreMax,
  Wallet,
} from '../../core/vocabulary.js';
import * as f from '../reading/fields.js';
import type { SignalForm } from '../reading/signals.js';

export const avs = f.looseObject({
  address_on_file_match: f.hint(
    [
      ['MATCH', CheckResult.match],
      ['NOT_PRESENT', CheckResult.notChecked],
      ['MATCH_ZIP_ONLY', CheckResult.partial],
      ['MATCH_ADDRESS_ONLY', CheckResult.partial],
      ['MISMATCH', CheckResult.mismatch],
    ],
    CheckResult.notChecked,
  ),
});

export const authentication = f.looseObject({
  authentication_result: f.hint(
    [
      ['NONE', CheckResult.notChecked],
      ['SUCCESS', CheckResult.match],
      ['ATTEMPTS', CheckResult.partial],
      ['DECLINE', CheckResult.mismatch],
    ],
    CheckResult.notChecked,
  ),
});

export const tokenInfo = f.looseObject({
  wallet_type: f.hint(
    [
      ['APPLE_PAY', Wallet.applePay],
      ['GOOGLE_PAY', Wallet.googlePay],
      ['SAMSUNG_PAY', Wallet.samsungPay],
    ],
    Wallet.other,
  ),
});

export const initiator = f.hint([
  ['CARDHOLDER', Initiators.cardholder],
  ['MERCHANT', Initiators.merchant],
]);

/** How the cardholder took part: every word but two says that the purchase does not recur. */
export const presence = f.hint(
  [
    ['UNKNOWN', Recurring.absent],
    ['REOCCURRING', Recurring.yes],
  ],
  Recurring.no,
);

export const pinEntered = f.hint([
  ['true', Pin.entered],
  ['false', Pin.notEntered],
]);

export const riskScore = f.score(riskScoreMax);

export const signals: SignalForm = {
  paths: [
    'avs.address_on_file_match',
    'cardholder_authentication.authentication_result',
    'token_info.wallet_type',
    'transaction_initiator',
    'pos.entry_mode.cardholder',
    'pos.entry_mode.pin_entered',
    'network_risk_score',
  ],
  set(request: Request, kept: readonly number[]): void {
    request.avs = kept[0] as CheckResult;
    request.threeDS = kept[1] as CheckResult;
    request.wallet = kept[2] as Wallet;
    request.initiator = kept[3] as Initiator;
    request.recurring = kept[4] as Recurring;
    request.pin = kept[5] as Pin;
    request.riskScore = kept[6]! - 1;
  },
};
