/** The messages of the native form. */
import { Channel, channelNames, MessageType, messageTypeNames } from '../../core/codes.js';
import { idLengthMax, merchantNameLengthMax, Text } from '../../core/request.js';
import {
  CheckResult,
  checkResultNames,
  deviceNames,
  initiatorNames,
  pinNames,
  riskScoreMax,
  walletNames,
} from '../../core/vocabulary.js';
import * as f from '../reading/fields.js';

/** Names a sender may use: the internal types that follow advice are not among them. */
const types = [...messageTypeNames.entries()]
  .slice(MessageType.authorization, MessageType.advice + 1)
  .map(([type, name]) => [name, type] as const);
const channels = [...channelNames.entries()].slice(Channel.chip).map(([channel, name]) => [name, channel] as const);

/** The names of a vocabulary with their codes; 0 says that there is nothing to say. */
function wordsOf(names: readonly string[]): f.Words {
  return names.map((name, code) => [name, code] as const).slice(1);
}

const results = wordsOf(checkResultNames);
/** A security code is right or wrong. */
const wholeResults = results.filter(([, code]) => code !== CheckResult.partial);

export const nativeFields = {
  id: f.required(f.text(idLengthMax, Text.id)),
  type: f.required(f.word(types, f.Target.type)),
  card: f.required(f.text(idLengthMax, Text.card)),
  original: f.text(idLengthMax, Text.original),
  amount: f.minorUnits(),
  currency: f.letters(3, f.Target.currency, 'a currency of ISO 4217 in upper-case letters, such as USD'),
  merchant: f.object({
    id: f.text(idLengthMax, Text.merchantId),
    name: f.shownText(merchantNameLengthMax, Text.merchantName),
    mcc: f.mcc('^[0-9]{4}$'),
    country: f.letters(2, f.Target.country, 'an ISO 3166 code of two upper-case letters'),
  }),
  channel: f.word(channels, f.Target.channel),
  partialAllowed: f.flag(f.Target.partialAllowed),
  final: f.flag(f.Target.final),
  at: f.dateTime(Text.at),
  verification: f.object({
    avs: f.word(results, f.Target.avs),
    cvv: f.word(wholeResults, f.Target.cvv),
    threeDS: f.word(results, f.Target.threeDS),
    pin: f.word(wordsOf(pinNames), f.Target.pin),
  }),
  wallet: f.object({
    type: f.word(wordsOf(walletNames), f.Target.wallet),
    device: f.word(wordsOf(deviceNames), f.Target.device),
  }),
  recurring: f.flag(f.Target.recurring),
  initiator: f.word(wordsOf(initiatorNames), f.Target.initiator),
  riskScore: f.upTo(riskScoreMax, f.Target.riskScore),
};

/** A message of the native form. */
export const nativeSchema = f.schemaOf(nativeFields);
export const nativeDescriptions = f.descriptionsOf(nativeFields);
export type NativeBody = f.BodyOf<typeof nativeFields>;
