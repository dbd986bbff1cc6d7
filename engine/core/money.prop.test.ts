import fc from 'fast-check';
import t from 'tap';
import { runs } from '../testing/runs.js';
import { DecimalError, decimalToMinor, writeDecimal } from './money.js';

const exponents = fc.integer({ min: 0, max: 4 });

/** The obvious way: all digits as one big integer, scaled by a power of ten. */
function reference(integer: string, fraction: string, power: number, exponent: number): number {
  const digits = BigInt(integer + fraction);
  const shift = power + exponent - fraction.length;
  if (shift >= 0) {
    const minor = digits * 10n ** BigInt(shift);
    return minor > BigInt(Number.MAX_SAFE_INTEGER) ? DecimalError.tooLarge : Number(minor);
  }
  const divisor = 10n ** BigInt(-shift);
  if (digits % divisor !== 0n) return DecimalError.fractionTooLong;
  const minor = digits / divisor;
  return minor > BigInt(Number.MAX_SAFE_INTEGER) ? DecimalError.tooLarge : Number(minor);
}

t.test('the reader returns for any JSON number what big integers return', async (t) => {
  const digits = fc.string({ unit: fc.constantFrom('0', '0', '1', '5', '9'), maxLength: 18 });
  const integers = digits.map((text) => text.replace(/^0+/, '') || '0');
  fc.assert(
    fc.property(
      integers,
      digits,
      fc.option(fc.integer({ min: -25, max: 25 })),
      exponents,
      (integer, fraction, power, exponent) => {
        const text = `${integer}${fraction === '' ? '' : `.${fraction}`}${power === null ? '' : `e${power}`}`;
        const bytes = Uint8Array.from(Buffer.from(text));
        return Object.is(
          decimalToMinor(bytes, 0, bytes.length, exponent),
          reference(integer, fraction, power ?? 0, exponent),
        );
      },
    ),
    runs(5000),
  );
  t.pass();
});

t.test('an amount is read as it was written', async (t) => {
  const target = new Uint8Array(32);
  fc.assert(
    fc.property(fc.maxSafeNat(), exponents, (minor, exponent) => {
      const length = writeDecimal(target, 0, minor, exponent);
      return decimalToMinor(target, 0, length, exponent) === minor;
    }),
    runs(5000),
  );
  t.pass();
});

t.test('the reader and JSON.parse agree for any bytes whether they are a number', async (t) => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'0123456789.eE+- '), maxLength: 12 }), (text) => {
      const bytes = Uint8Array.from(Buffer.from(text));
      let isNumber = true;
      try {
        JSON.parse(text);
      } catch {
        isNumber = false;
      }
      // JSON.parse also takes space around a number.
      return (
        (decimalToMinor(bytes, 0, bytes.length, 2) !== DecimalError.malformed) === (isNumber && !text.includes(' '))
      );
    }),
    runs(5000),
  );
  t.pass();
});
