import t from 'tap';
import { packLetters, unpackLetters } from '../../core/codes.js';
import { countryOf } from './countries.js';

const country = (text: string): string => {
  const bytes = Uint8Array.from(Buffer.from(text));
  return unpackLetters(countryOf(bytes, 0, bytes.length));
};

t.test('alpha-2, alpha-3 and numeric codes name the same country', async (t) => {
  const table = [
    ['US', 'USA', '840'],
    ['GB', 'GBR', '826'],
    ['DE', 'DEU', '276'],
    ['AF', 'AFG', '004'],
    ['BR', 'BRA', '076'],
  ] as const;
  for (const [alpha2, alpha3, numeric] of table) {
    t.equal(country(alpha2), alpha2);
    t.equal(country(alpha3), alpha2);
    t.equal(country(numeric), alpha2);
  }
});

t.test('small letters and numbers without leading zeros name a country too', async (t) => {
  for (const [text, alpha2] of [
    ['us', 'US'],
    ['Usa', 'US'],
    ['84', 'BZ'],
    ['4', 'AF'],
  ] as const) {
    t.equal(country(text), alpha2, text);
  }
});

t.test('a text that is no country code reads as absent', async (t) => {
  for (const text of ['', 'U', 'ZZ', 'ZZZ', 'U1', '8400', '999', '0', 'USAA', 'ÜS', '@@', '[['])
    t.equal(country(text), '', text);
  t.equal(packLetters(''), 0);
});
