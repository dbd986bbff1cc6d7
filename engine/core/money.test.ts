import t from 'tap';
import { packLetters } from './codes.js';
import { DecimalError, decimalToMinor, exponentOf, writeDecimal, writeInteger } from './money.js';

function toMinor(text: string, exponent: number): number {
  const bytes = Uint8Array.from(Buffer.from(`9${text}9`));
  return decimalToMinor(bytes, 1, bytes.length - 1, exponent);
}

t.test('the exponent of a currency comes from ISO 4217', async (t) => {
  const table = { USD: 2, EUR: 2, JPY: 0, KWD: 3, CLF: 4, UYW: 4, BHD: 3, ISK: 0, QQQ: -1, US: -1 };
  for (const [code, exponent] of Object.entries(table)) t.equal(exponentOf(packLetters(code)), exponent, code);
  t.equal(exponentOf(0), -1);
  t.equal(exponentOf(65_535), -1);
});

t.test('a decimal text becomes minor units exactly or is rejected', async (t) => {
  const E = DecimalError;
  const table: ReadonlyArray<readonly [string, number, number]> = [
    ['0', 2, 0],
    ['0.00', 2, 0],
    ['84.2', 2, 8420],
    ['84.20', 2, 8420],
    ['84.200000000000000000000', 2, 8420],
    ['0.07', 2, 7],
    ['1.15', 2, 115],
    ['1', 0, 1],
    ['1.0', 0, 1],
    ['1e3', 2, 100_000],
    ['1E+3', 0, 1000],
    ['12.5e1', 0, 125],
    ['1250e-2', 2, 1250],
    ['0e999999999999', 2, 0],
    ['0.0000e-5', 2, 0],
    [`1${'0'.repeat(30)}e-30`, 2, 100],
    [`0.${'0'.repeat(30)}1e31`, 0, 1],
    ['90071992547409.91', 2, Number.MAX_SAFE_INTEGER],
    ['9007199254740991', 0, Number.MAX_SAFE_INTEGER],
    ['9007199254740992', 0, E.tooLarge],
    ['90071992547409.92', 2, E.tooLarge],
    ['1e17', 2, E.tooLarge],
    ['1e999999999999', 2, E.tooLarge],
    ['9'.repeat(400), 2, E.tooLarge],
    ['1.005', 2, E.fractionTooLong],
    ['1.5', 0, E.fractionTooLong],
    ['1e-3', 2, E.fractionTooLong],
    ['1e-999999999999', 2, E.fractionTooLong],
    ['0.001', 2, E.fractionTooLong],
    ['-1', 2, E.negative],
    ['-0', 2, E.negative],
    ['', 2, E.malformed],
    ['01', 2, E.malformed],
    ['+1', 2, E.malformed],
    ['1.', 2, E.malformed],
    ['.5', 2, E.malformed],
    ['1.2.3', 2, E.malformed],
    ['1e', 2, E.malformed],
    ['1e+', 2, E.malformed],
    ['1 ', 2, E.malformed],
    ['1,5', 2, E.malformed],
    ['0x10', 2, E.malformed],
    ['NaN', 2, E.malformed],
    ['--1', 2, E.malformed],
  ];
  for (const [text, exponent, minor] of table) t.equal(toMinor(text, exponent), minor, `${text} at ${exponent}`);
});

t.test('an amount is written digit by digit', async (t) => {
  const target = new Uint8Array(32);
  const integers = [0, 9, 10, 99, 999_999_999, 1_000_000_000, 1_000_000_001, 2 ** 31, 8_999_999_999_999_999];
  for (const value of [...integers, Number.MAX_SAFE_INTEGER]) {
    for (const signed of [value, -value]) {
      const length = writeInteger(target, 3, signed);
      t.equal(Buffer.from(target.subarray(3, 3 + length)).toString(), String(signed === 0 ? 0 : signed));
    }
  }
  const decimals: ReadonlyArray<readonly [number, number, string]> = [
    [8420, 2, '84.20'],
    [5, 2, '0.05'],
    [0, 2, '0.00'],
    [-5, 2, '-0.05'],
    [84, 0, '84'],
    [1005, 3, '1.005'],
    [12, -1, '12'],
    [Number.MAX_SAFE_INTEGER, 4, '900719925474.0991'],
  ];
  for (const [minor, exponent, text] of decimals) {
    const length = writeDecimal(target, 0, minor, exponent);
    t.equal(Buffer.from(target.subarray(0, length)).toString(), text);
  }
  t.throws(() => writeInteger(target, 0, 2 ** 53), { name: 'InvariantError' });
  t.throws(() => writeInteger(target, 0, 1.5), { name: 'InvariantError' });
  t.throws(() => writeDecimal(target, 0, 1.5, 2), { name: 'InvariantError' });
});
