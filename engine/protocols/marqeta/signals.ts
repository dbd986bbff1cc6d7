/**
 * Marqeta's words for results of checks, wallets and the like: docs/protocols/vocabulary.md. Not every list of words is
 * public. A word that is not here counts as a check that was not made. For the security code only the code of a match
 * is public, so any other one counts as a mismatch.
 */
import type { Request } from '../../core/request.js';
import {
  CheckResult,
  Device,
  type Initiator,
  Initiator as Initiators,
  Pin,
  Recurring,
  riskScoreMax,
  Wallet,
} from '../../core/vocabulary.js';
import * as f from '../reading/fields.js';
import type { SignalForm } from '../reading/signals.js';

/** Marqeta's own check of the address; the one of the gateway is ours to fill in. */
export const addressVerification = f.looseObject({
  issuer: f.looseObject({
    response: f.looseObject({
      code: f.hint(
        [
          ['0000', CheckResult.match],
          ['0101', CheckResult.mismatch],
          ['0201', CheckResult.mismatch],
        ],
        CheckResult.notChecked,
      ),
    }),
  }),
});

export const securityCode = f.looseObject({
  response: f.looseObject({ code: f.hint([['0000', CheckResult.match]], CheckResult.mismatch) }),
});

export const authentication = f.looseObject({
  verification_result: f.hint(
    [
      ['verified', CheckResult.match],
      ['verified_amount_checked', CheckResult.match],
      ['verified_amount_less_than_20_percent', CheckResult.partial],
      ['verified_amount_greater_than_20_percent', CheckResult.partial],
      ['failed', CheckResult.mismatch],
      ['not_verified_mac_key_validation_failed', CheckResult.mismatch],
    ],
    CheckResult.notChecked,
  ),
});

export const digitalWallet = f.looseObject({
  token_service_provider: f.looseObject({
    token_requestor_name: f.hint(
      [
        ['APPLE_PAY', Wallet.applePay],
        ['ANDROID_PAY', Wallet.googlePay],
        ['GOOGLE_PAY', Wallet.googlePay],
        ['SAMSUNG_PAY', Wallet.samsungPay],
      ],
      Wallet.other,
    ),
  }),
  device: f.looseObject({
    type: f.hint(
      [
        ['MOBILE_PHONE', Device.phone],
        ['TABLET', Device.tablet],
        ['WATCH', Device.watch],
      ],
      Device.other,
    ),
  }),
});

export const fraud = f.looseObject({
  network: f.looseObject({ transaction_risk_score: f.score(riskScoreMax) }),
});

export const isRecurring = f.hint([
  ['false', Recurring.no],
  ['true', Recurring.yes],
]);

export const pinPresent = f.hint([
  ['true', Pin.entered],
  ['false', Pin.notEntered],
  ['TRUE', Pin.entered],
  ['FALSE', Pin.notEntered],
]);

export const initiatedBy = f.hint([
  ['CIT', Initiators.cardholder],
  ['MIT', Initiators.merchant],
  ['CARDHOLDER', Initiators.cardholder],
  ['MERCHANT', Initiators.merchant],
]);

export const signals: SignalForm = {
  paths: [
    'gpa_order.jit_funding.address_verification.issuer.response.code',
    'card_security_code_verification.response.code',
    'cardholder_authentication_data.verification_result',
    'digital_wallet_token.token_service_provider.token_requestor_name',
    'digital_wallet_token.device.type',
    'pos.is_recurring',
    'pos.pin_present',
    'pos.transaction_initiated_by',
    'fraud.network.transaction_risk_score',
  ],
  set(request: Request, kept: readonly number[]): void {
    request.avs = kept[0] as CheckResult;
    request.cvv = kept[1] as CheckResult;
    request.threeDS = kept[2] as CheckResult;
    request.wallet = kept[3] as Wallet;
    request.device = kept[4] as Device;
    request.recurring = kept[5] as Recurring;
    request.pin = kept[6] as Pin;
    request.initiator = kept[7] as Initiator;
    request.riskScore = kept[8]! - 1;
  },
};
