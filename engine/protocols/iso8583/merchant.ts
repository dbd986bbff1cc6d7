/** The merchant as far as it can be read: nothing about it may keep a purchase from being decided. */
import { unpackLetters } from '../../core/codes.js';
import { idLengthMax } from '../../core/request.js';
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
  // Masked before it is cut: half of a card number would not be recognized.
  const place = maskOwn(message.text(43), pan);
  const name = is1993 ? place.split('\\', 1)[0]! : place.slice(0, nameLength1987);
  // 1993 ends with three letters or digits; DE 19 is the country of the acquirer, which is nearly always the same.
  const country = countryIn([is1993 ? place.slice(-3) : '', place.slice(-2), message.text(19)]);
  return {
    // A link may have a longer field than an id is.
    id: clean(maskOwn(message.text(42), pan).slice(0, idLengthMax)),
    name: clean(name),
    mcc: mcc === '' ? undefined : mcc,
    country: country === 0 ? undefined : unpackLetters(country),
  };
}

function clean(text: string): string | undefined {
  const trimmed = text.replace(controls, ' ').trim();
  return trimmed === '' ? undefined : trimmed;
}

/** So much of a card number at the end of a field that is too short for it is masked too. */
const panDigitsMin = 13;
/** What parts the digits of a card number; everything else may stand between them, as in redact.ts. */
const parts = /[0-9A-Za-z*]/;

/**
 * Masks the card number of the message itself. The journal masks what looks like a card number, but a number of a
 * network of its own need not look like one.
 */
function maskOwn(text: string, pan: string): string {
  const least = Math.min(pan.length, panDigitsMin);
  if (text.length < least) return text;
  let masked = text;
  for (let start = text.indexOf(pan[0]!); start >= 0; start = text.indexOf(pan[0]!, start + 1)) {
    let digits = 0;
    let end = start;
    for (; end < text.length && digits < pan.length; end++) {
      if (text[end] === pan[digits]) digits++;
      else if (parts.test(text[end]!)) break;
    }
    if (digits < least) continue;
    let hidden = digits === pan.length ? digits - panDigitsShown : digits;
    const stars = text.slice(start, end).replace(/[0-9]/g, (digit) => (hidden-- > 0 ? '*' : digit));
    masked = masked.slice(0, start) + stars + masked.slice(end);
    start = end - 1;
  }
  return masked;
}

/** DE 18 of 1987, DE 26 of 1993; '' where there is none. */
export function mccOf(message: IsoMessage, is1993: boolean): string {
  const mcc = message.text(is1993 ? 26 : 18);
  return /^[0-9]{4}$/.test(mcc) ? mcc : '';
}
