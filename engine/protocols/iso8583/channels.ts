/** How the card was read, from DE 22. */
import type { channelNames } from '../../core/codes.js';
import type { IsoMessage } from './message.js';

type Channel = Exclude<(typeof channelNames)[number], ''>;

/** 1987: the first two digits are how the card number was read. */
const byPanMode: Readonly<Record<string, Channel>> = {
  '01': 'manual',
  '02': 'magstripe',
  '05': 'chip',
  '07': 'contactless',
  '09': 'ecommerce',
  '10': 'ecommerce',
  '79': 'manual',
  '80': 'magstripe',
  '81': 'ecommerce',
  '82': 'ecommerce',
  '90': 'magstripe',
  '91': 'contactless',
  '95': 'chip',
};

/** 1993: the seventh position is how the card's data came in. Letters are common use and differ between networks. */
const byInputMode: Readonly<Record<string, Channel>> = {
  '1': 'manual',
  '2': 'magstripe',
  '5': 'chip',
  '6': 'manual',
  '7': 'contactless',
  M: 'contactless',
  S: 'ecommerce',
  T: 'ecommerce',
};
const inputModeAt = 6;

const cash = '01';
/** Of cash machines: ISO 18245. */
const atmMcc = '6011';

/** @param type the first two digits of DE 3 */
export function channelOf(message: IsoMessage, type: string, mcc: string, is1993: boolean): Channel | undefined {
  if (type === cash && mcc === atmMcc) return 'atm';
  const entry = message.text(22);
  return is1993 ? byInputMode[entry[inputModeAt] ?? ''] : byPanMode[entry.slice(0, 2)];
}
