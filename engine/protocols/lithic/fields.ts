/**
 * A request of Lithic's Auth Stream Access: of its two to four kilobytes the fields that a decision needs. Everything
 * else is skipped unparsed.
 */
import { Channel } from '../../core/codes.js';
import { idLengthMax, merchantNameLengthMax, Text } from '../../core/request.js';
import * as f from '../reading/fields.js';
import { authentication, avs, initiator, pinEntered, presence, riskScore, tokenInfo } from './signals.js';
import { statuses } from './statuses.js';

/** Where Request.echoes has what only Lithic's form knows. */
export const Echo = { eventToken: 0 } as const;

/** How the card's number was read. */
export const panModes: f.Words = [
  ['CONTACTLESS', Channel.contactless],
  ['ICC', Channel.chip],
  ['ECOMMERCE', Channel.ecommerce],
  ['CREDENTIAL_ON_FILE', Channel.ecommerce],
  ['SECURE_CARDLESS', Channel.ecommerce],
  ['MAGNETIC_STRIPE', Channel.magstripe],
  ['ERROR_MAGNETIC_STRIPE', Channel.magstripe],
  ['KEY_ENTERED', Channel.manual],
  ['ERROR_KEYED', Channel.manual],
  ['MANUAL', Channel.manual],
  ['OCR', Channel.manual],
];
export const terminalTypes: f.Words = [['ATM', Channel.atm]];
/** 0 says that the status is none of these. */
export const statusWords: f.Words = statuses.map(({ name }, index) => [name, index + 1]);

const currency = f.letters(3, f.Target.kept, 'an ISO 4217 code of three upper-case letters');
const merchantIdMust = `a string of at most ${idLengthMax} characters without control characters`;

export const lithicFields = {
  token: f.required(f.text(idLengthMax, Text.id)),
  event_token: f.optionalText(idLengthMax, Text.echoes + Echo.eventToken),
  status: f.required(f.looseWord(statusWords)),
  amounts: f.required(
    f.object({
      cardholder: f.required(f.object({ amount: f.required(f.keptMinorUnits()), currency: f.required(currency) })),
      // What it needs is asked of it only where it stands.
      hold: f.nullable(f.object({ amount: f.keptMinorUnits(), currency })),
    }),
  ),
  card: f.required(f.object({ token: f.required(f.text(idLengthMax, Text.card)) })),
  merchant: f.nullable(
    f.object({
      acceptor_id: f.optionalText(idLengthMax, Text.merchantId, merchantIdMust),
      descriptor: f.shownText(merchantNameLengthMax, Text.merchantName),
      mcc: f.nullable(f.mcc('^([0-9]{4})?$')),
      country: f.looseCountry(),
    }),
  ),
  pos: f.nullable(
    f.object({
      entry_mode: f.nullable(f.object({ pan: f.looseWord(panModes), cardholder: presence, pin_entered: pinEntered })),
      terminal: f.nullable(f.object({ partial_approval_capable: f.capability([]), type: f.looseWord(terminalTypes) })),
    }),
  ),
  avs,
  cardholder_authentication: authentication,
  token_info: tokenInfo,
  transaction_initiator: initiator,
  network_risk_score: riskScore,
};

export type LithicBody = f.BodyOf<typeof lithicFields>;
