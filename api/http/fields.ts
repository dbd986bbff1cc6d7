/** Checks of fields that a schema cannot express. */
import { packLetters } from '../../engine/core/codes.js';
import { exponentOf } from '../../engine/core/money.js';
import { maskCardData, textHoldsPan } from '../../platform/masking/redact.js';
import { invalid } from './problem.js';

/** Throws 400 unless the code is in ISO 4217, with an exponent that the engine counts in. */
export function checkCurrency(field: string, code: string): string {
  if (exponentOf(packLetters(code)) < 0) throw invalid(field, 'must be a currency of ISO 4217, such as USD');
  return code;
}

/** Names are kept and shown: throws 400 when a card number may hide in one. */
export function checkName(field: string, name: string): string {
  if (maskCardData(name) !== name) throw invalid(field, 'looks like a card number or a secret: choose another');
  return name;
}

/** An e-mail address is kept and is needed as it is: throws 400 when there is a card number in it. */
export function checkEmail(field: string, email: string): string {
  if (textHoldsPan(email)) throw invalid(field, 'holds what looks like a card number: use another address');
  return email;
}

const zoneName = /^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/;

/**
 * Throws 400 unless the time zone is in the IANA database. Offsets such as +01:00 are not zones: they have no summer.
 */
export function checkTimeZone(field: string, name: string): string {
  try {
    if (zoneName.test(name)) {
      new Intl.DateTimeFormat('en', { timeZone: name });
      return name;
    }
  } catch {
    // Not a zone that this system knows.
  }
  throw invalid(field, 'must be a time zone of the IANA database, such as Europe/Berlin');
}
