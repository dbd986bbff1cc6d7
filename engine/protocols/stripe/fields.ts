/**
 * An `issuing_authorization.request` of Stripe: of its four to eight kilobytes the fields that a decision needs.
 * Everything else is skipped unparsed.
 */
import { Channel } from '../../core/codes.js';
import { idLengthMax, merchantNameLengthMax, Text } from '../../core/request.js';
import * as f from '../reading/fields.js';
import { riskScore, verificationData, wallet } from './signals.js';

/** Where Request.echoes has what only Stripe's form knows. */
export const Echo = { event: 0 } as const;

/** The kind of event that asks. */
export const questionType = 'issuing_authorization.request';

export const methods: f.Words = [
  ['online', Channel.ecommerce],
  ['chip', Channel.chip],
  ['contactless', Channel.contactless],
  ['swipe', Channel.magstripe],
  ['keyed_in', Channel.manual],
];
/** Automated cash disbursements (ISO 18245): Stripe has no method of its own for cash machines. */
export const atmMcc = 6011;

const currency = f.lowerLetters(3, f.Target.kept, 'an ISO 4217 code of three lower-case letters');
const merchantIdMust = `a string of at most ${idLengthMax} characters without control characters`;

export const stripeFields = {
  id: f.required(f.text(idLengthMax, Text.echoes + Echo.event)),
  type: f.required(f.word([[questionType, 1]])),
  data: f.required(
    f.object({
      object: f.required(
        f.object({
          id: f.required(f.text(idLengthMax, Text.id)),
          amount: f.required(f.keptMinorUnits()),
          authorization_method: f.looseWord(methods),
          card: f.required(f.object({ id: f.required(f.text(idLengthMax, Text.card)) })),
          merchant_data: f.nullable(
            f.object({
              network_id: f.optionalText(idLengthMax, Text.merchantId, merchantIdMust),
              name: f.shownText(merchantNameLengthMax, Text.merchantName),
              category_code: f.nullable(f.mcc('^([0-9]{4})?$')),
              country: f.looseCountry(),
            }),
          ),
          pending_request: f.required(
            f.object({
              amount: f.required(f.keptMinorUnits()),
              currency: f.required(currency),
              is_amount_controllable: f.capability([]),
              network_risk_score: riskScore,
            }),
          ),
          verification_data: verificationData,
          wallet,
        }),
      ),
    }),
  ),
};

export type StripeBody = f.BodyOf<typeof stripeFields>;
