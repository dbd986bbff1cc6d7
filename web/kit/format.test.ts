/** Amounts as their currency writes them, durations with two digits, and what a person types. */
import t from 'tap';
import { packLetters } from '../../engine/core/codes.js';
import { exponentOf } from '../../engine/core/money.js';
import { amountText, durationText, instantOfTyped, minorDigits, minorOf, shareText, typedOfInstant } from './format.js';

t.test('every currency of the engine has the digits that the engine gives it', async (t) => {
  const letters = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'];
  const codes = letters.flatMap((a) => letters.flatMap((b) => letters.map((c) => a + b + c)));
  // The code for no currency has no amounts.
  const known = codes.filter((code) => exponentOf(packLetters(code)) >= 0 && !/^X{3}$/.test(code));
  t.ok(known.length > 150);
  t.same(
    known.filter((code) => exponentOf(packLetters(code)) !== minorDigits(code)),
    [],
  );
});

t.test('amounts are written as the currency and the language write them', async (t) => {
  t.equal(amountText(1250, 'USD', 'en'), '12.50');
  t.equal(amountText(-123_456_789, 'EUR', 'de'), '-1.234.567,89');
  t.equal(amountText(1250, 'JPY', 'en'), '1,250');
  t.equal(amountText(1250, 'KWD', 'en'), '1.250');
  t.equal(amountText(Number.MAX_SAFE_INTEGER, 'USD', 'en'), '90,071,992,547,409.91');
});

t.test('a typed amount is exact or refused', async (t) => {
  t.equal(minorOf('12.5', 'USD'), 1250);
  t.equal(minorOf(' 0,07 ', 'EUR'), 7);
  t.equal(minorOf('1250', 'JPY'), 1250);
  for (const wrong of ['', '-1', '1.234', '1,000.00', '1e3', '12.', 'abc']) t.equal(minorOf(wrong, 'USD'), null, wrong);
  t.equal(minorOf('1.5', 'JPY'), null);
});

t.test('durations have two significant digits and their unit', async (t) => {
  const texts = [0, 0.312, 3.14, 42.4, 128, 940, 1234, 61_000, 150_000, 3 * 3_600_000].map((ms) =>
    durationText(ms, 'en'),
  );
  t.same(texts, ['0.0 ms', '0.31 ms', '3.1 ms', '42 ms', '130 ms', '940 ms', '1.2 s', '61 s', '2.5 min', '3.0 h']);
  t.equal(shareText(0.9731, 'de'), '97,3 %');
});

t.test('a time that is typed in the zone of the viewer is an instant, and comes back as it was typed', async (t) => {
  const instant = instantOfTyped('2026-11-29T14:32');
  t.equal(Date.parse(instant), new Date(2026, 10, 29, 14, 32).getTime());
  t.equal(typedOfInstant(instant, false), '2026-11-29T14:32');
  t.equal(instantOfTyped(''), '');
  t.equal(typedOfInstant('not a time', false), '');
  const [start, end] = [typedOfInstant('2026-11-29', false), typedOfInstant('2026-11-29', true)];
  t.equal(instantOfTyped(start), '2026-11-29T00:00:00.000Z', 'a day is the whole day in UTC');
  t.equal(instantOfTyped(end), '2026-11-30T00:00:00.000Z');
});
