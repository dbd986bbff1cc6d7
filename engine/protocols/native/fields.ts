/** The messages of the native form. */
import { Channel, channelNames, MessageType, messageTypeNames } from '../../core/codes.js';
import { idLengthMax, merchantNameLengthMax, Text } from '../../core/request.js';
import * as f from '../reading/fields.js';

/** Names a sender may use: the internal types that follow advice are not among them. */
const types = [...messageTypeNames.entries()]
  .slice(MessageType.authorization, MessageType.advice + 1)
  .map(([type, name]) => [name, type] as const);
const channels = [...channelNames.entries()].slice(Channel.chip).map(([channel, name]) => [name, channel] as const);

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
};

/** A message of the native form. */
export const nativeSchema = f.schemaOf(nativeFields);
export const nativeDescriptions = f.descriptionsOf(nativeFields);
export type NativeBody = f.BodyOf<typeof nativeFields>;
