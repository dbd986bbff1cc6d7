/**
 * Rows as CSV (RFC 4180): CRLF, quotes where a field needs them. Spreadsheets take a text that begins with one of = + -
 * @ for a formula, and merchants choose their own names: such a text gets an apostrophe in front (OWASP, CSV
 * injection).
 */
import { packLetters } from '../../engine/core/codes.js';
import { exponentOf, writeDecimal } from '../../engine/core/money.js';

/** A text, money in minor units of a currency, or nothing. */
export type CsvValue = string | { readonly amount: number; readonly currency: string } | null;

const formula = /^[=+\-@\t\r\n]/;
const needsQuotes = /[",\r\n]/;
/** Also after leading spaces, which some spreadsheets drop. */
const leadingSpace = /^\s+(?=[=+\-@])/;

export function csvRow(values: readonly CsvValue[]): string {
  return `${values.map(csvField).join(',')}\r\n`;
}

function csvField(value: CsvValue): string {
  if (value === null) return '';
  // A minus in front of a number is no formula.
  if (typeof value === 'object') return decimalOf(value.amount, value.currency);
  // Full-width signs are taken for the plain ones.
  const plain = value.normalize('NFKC');
  const safe = formula.test(plain) || leadingSpace.test(plain) ? `'${value}` : value;
  return needsQuotes.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

const decimal = new Uint8Array(32);

/** Minor units with exactly the fraction digits of the currency: 1250 of USD is `12.50`, of JPY `1250`. */
export function decimalOf(amountMinor: number, currency: string): string {
  const length = writeDecimal(decimal, 0, amountMinor, exponentOf(packLetters(currency)));
  return Buffer.from(decimal.subarray(0, length)).toString('latin1');
}
