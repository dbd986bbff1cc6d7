/** Stripe's words for results of checks and wallets: docs/protocols/vocabulary.md. */
import type { Request } from '../../core/request.js';
import { CheckResult, riskScoreMax, Wallet } from '../../core/vocabulary.js';
import * as f from '../reading/fields.js';
import type { SignalForm } from '../reading/signals.js';

const check = f.hint(
  [
    ['match', CheckResult.match],
    ['not_provided', CheckResult.notChecked],
    ['mismatch', CheckResult.mismatch],
  ],
  CheckResult.notChecked,
);

export const verificationData = f.looseObject({
  address_line1_check: check,
  address_postal_code_check: check,
  cvc_check: check,
  three_d_secure: f.looseObject({
    result: f.hint(
      [
        ['authenticated', CheckResult.match],
        ['attempt_acknowledged', CheckResult.partial],
        ['failed', CheckResult.mismatch],
        ['required', CheckResult.notChecked],
      ],
      CheckResult.notChecked,
    ),
  }),
});

export const wallet = f.hint(
  [
    ['apple_pay', Wallet.applePay],
    ['google_pay', Wallet.googlePay],
    ['samsung_pay', Wallet.samsungPay],
  ],
  Wallet.other,
);

export const riskScore = f.score(riskScoreMax);

/** Stripe checks line and postal code apart. One match of the two is a part of the address. */
export function addressOf(line: CheckResult, postalCode: CheckResult): CheckResult {
  if (line === postalCode) return line;
  if (line === CheckResult.match || postalCode === CheckResult.match) return CheckResult.partial;
  if (line === CheckResult.mismatch || postalCode === CheckResult.mismatch) return CheckResult.mismatch;
  return CheckResult.notChecked;
}

const object = 'data.object';

export const signals: SignalForm = {
  paths: [
    `${object}.verification_data.address_line1_check`,
    `${object}.verification_data.address_postal_code_check`,
    `${object}.verification_data.cvc_check`,
    `${object}.verification_data.three_d_secure.result`,
    `${object}.wallet`,
    `${object}.pending_request.network_risk_score`,
  ],
  set(request: Request, kept: readonly number[]): void {
    request.avs = addressOf(kept[0] as CheckResult, kept[1] as CheckResult);
    request.cvv = kept[2] as CheckResult;
    request.threeDS = kept[3] as CheckResult;
    request.wallet = kept[4] as Wallet;
    request.riskScore = kept[5]! - 1;
  },
};
