/**
 * A Gateway JIT Funding request: of its one to three kilobytes the fields that a decision needs. Everything else is
 * skipped unparsed.
 */
import { Channel } from '../../core/codes.js';
import { idLengthMax, merchantNameLengthMax, Text } from '../../core/request.js';
import * as f from '../reading/fields.js';
import {
  addressVerification,
  authentication,
  digitalWallet,
  fraud,
  initiatedBy,
  isRecurring,
  pinPresent,
  securityCode,
} from './signals.js';

/** Where Request.echoes has what only Marqeta's form knows. */
export const Echo = { method: 0, userToken: 1, actingUserToken: 2 } as const;

/** Longest method name taken; the longest known has 47 characters. */
const methodLengthMax = 64;

export const entryModes: f.Words = [
  ['CHIP', Channel.chip],
  ['CHIP_CONTACTLESS', Channel.contactless],
  ['MAG_STRIPE_CONTACTLESS', Channel.contactless],
  ['MAG_STRIPE', Channel.magstripe],
  ['CHIP_FALLBACK', Channel.magstripe],
  ['MANUAL', Channel.manual],
  ['KEY_ENTERED', Channel.manual],
  ['CARD_ON_FILE', Channel.ecommerce],
  ['CREDENTIALS_ON_FILE', Channel.ecommerce],
];
export const paymentChannels: f.Words = [
  ['ATM', Channel.atm],
  ['ECOMMERCE', Channel.ecommerce],
];
/** Beside true, what means that a terminal takes less than it asked for. */
export const yesWords: f.Words = [
  ['TRUE', 1],
  ['true', 1],
  ['1', 1],
];

const currency = f.nullable(f.letters(3, f.Target.kept, 'an ISO 4217 code of three upper-case letters'));
const midMust = `a string of at most ${idLengthMax} characters without control characters`;
const amountMust = 'a decimal number of at least 0, with no more fraction digits than its currency has';

export const marqetaFields = {
  card_token: f.required(f.text(idLengthMax, Text.card)),
  currency_code: currency,
  gpa_order: f.required(
    f.object({
      currency_code: currency,
      jit_funding: f.required(
        f.object({
          token: f.required(f.text(idLengthMax, Text.id)),
          method: f.required(f.text(methodLengthMax, Text.echoes + Echo.method)),
          user_token: f.optionalText(idLengthMax, Text.echoes + Echo.userToken),
          acting_user_token: f.optionalText(idLengthMax, Text.echoes + Echo.actingUserToken),
          original_jit_funding_token: f.optionalText(idLengthMax, Text.original),
          amount: f.required(f.decimal(amountMust)),
          address_verification: addressVerification,
        }),
      ),
    }),
  ),
  card_acceptor: f.nullable(
    f.object({
      mid: f.optionalText(idLengthMax, Text.merchantId, midMust),
      name: f.shownText(merchantNameLengthMax, Text.merchantName),
      mcc: f.nullable(f.mcc('^([0-9]{4})?$')),
      country_code: f.looseCountry(),
      country: f.looseCountry(),
      poi: f.nullable(f.object({ partial_approval_capable: f.capability(yesWords) })),
    }),
  ),
  pos: f.nullable(
    f.object({
      pan_entry_mode: f.looseWord(entryModes),
      partial_approval_capable: f.capability(yesWords),
      country_code: f.looseCountry(),
      is_recurring: isRecurring,
      pin_present: pinPresent,
      transaction_initiated_by: initiatedBy,
    }),
  ),
  transaction_metadata: f.nullable(f.object({ payment_channel: f.looseWord(paymentChannels) })),
  card_security_code_verification: securityCode,
  cardholder_authentication_data: authentication,
  digital_wallet_token: digitalWallet,
  fraud,
};

export type MarqetaBody = f.BodyOf<typeof marqetaFields>;
