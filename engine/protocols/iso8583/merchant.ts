/** The merchant as far as it can be read: nothing about it may keep a purchase from being decided. */
import { unpackLetters } from '../../core/codes.js';
import { countryIn } from '../reading/slow-parts.js';
import type { MerchantWords } from './codec.js';
import type { IsoMessage } from './message.js';

/** DE 43 of 1987: the name, then the city, then the country. */
const nameLength1987 = 25;
/** As in every other text, see redact.ts. */
const panDigitsShown = 4;
/** Controls would make the message malformed. Line breaks and the like have no place in a name. */
const controls = /[\u0000-\u001f\u007f-\u009f]/g;

/** @param pan the card number of the message, which its texts must not bring into the books */
export function merchantOf(message: IsoMessage, mcc: string, is1993: boolean, pan: string): MerchantWords {
  const place = message.text(43);
  const name = is1993 ? place.split('\\', 1)[0]! : place.slice(0, nameLength1987);
  // 1993 ends with three letters or digits; DE 19 is the country of the acquirer, which is nearly always the same.
  const country = countryIn([is1993 ? place.slice(-3) : '', place.slice(-2), message.text(19)]);
  return {
    id: clean(message.text(42), pan),
    name: clean(name, pan),
    mcc: mcc === '' ? undefined : mcc,
    country: country === 0 ? undefined : unpackLetters(country),
  };
}

function clean(text: string, pan: string): string | undefined {
  const masked = '*'.repeat(pan.length - panDigitsShown) + pan.slice(-panDigitsShown);
  const trimmed = text.replaceAll(pan, masked).replace(controls, ' ').trim();
  return trimmed === '' ? undefined : trimmed;
}

/** DE 18 of 1987, DE 26 of 1993; '' where there is none. */
export function mccOf(message: IsoMessage, is1993: boolean): string {
  const mcc = message.text(is1993 ? 26 : 18);
  return /^[0-9]{4}$/.test(mcc) ? mcc : '';
}
