/**
 * The only importer of i18n-iso-countries: every spelling of an ISO 3166 country that processors use, as one table
 * lookup each. Merchants' countries come as alpha-2, alpha-3 or numeric; rules are kept in alpha-2.
 */
// Not the package's main file, which reads the countries' names in 80 languages.
import countries from 'i18n-iso-countries/index.js';
import { packLetters } from '../../core/codes.js';

/** packLetters() of alpha-2 by packLetters() of alpha-2 or alpha-3, which never collide; 0 for what is no country. */
const byLetters = new Uint16Array(27 ** 3);
/** The same by numeric code. */
const byNumber = new Uint16Array(1000);

for (const [alpha2, alpha3] of Object.entries(countries.getAlpha2Codes())) {
  byLetters[packLetters(alpha2)] = packLetters(alpha2);
  byLetters[packLetters(alpha3)] = packLetters(alpha2);
}
for (const [numeric, alpha2] of Object.entries(countries.getNumericCodes())) {
  byNumber[Number(numeric)] = packLetters(alpha2);
}

/**
 * Packed alpha-2 of a country given as two or three letters or as up to three digits; 0 when there is no such country.
 */
export function countryOf(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length < 1 || length > 3) return 0;
  let packed = 0;
  let number = 0;
  let letters = 0;
  for (let index = start; index < end; index++) {
    const byte = bytes[index]!;
    const upper = byte & ~0x20;
    if (upper >= 0x41 && upper <= 0x5a) {
      packed = packed * 27 + (upper - 0x40);
      letters++;
    } else if (byte >= 0x30 && byte <= 0x39) number = number * 10 + (byte - 0x30);
    else return 0;
  }
  if (letters === length) return byLetters[packed]!;
  return letters === 0 ? byNumber[number]! : 0;
}
