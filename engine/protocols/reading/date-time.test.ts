import t from 'tap';
import { isCommonDateTime, isDateTime } from './date-time.js';

const common = (text: string): boolean => {
  const bytes = Uint8Array.from(Buffer.from(text));
  return isCommonDateTime(bytes, 0, bytes.length);
};

t.test('date-times of RFC 3339 are accepted', async (t) => {
  for (const text of [
    '2026-11-22T18:00:00Z',
    '2026-11-22T18:00:00.5Z',
    '2026-11-22T18:00:00.123456789+14:00',
    '2024-02-29T23:59:59-00:00',
    '0000-01-01T00:00:00Z',
    '2000-02-29T00:00:00Z',
  ]) {
    t.equal(isDateTime(text), true, text);
    t.equal(common(text), true, text);
  }
  // Rare spellings: the byte reader is not sure.
  for (const text of ['2026-11-22t18:00:00z', '1990-12-31T23:59:60Z', '1990-12-31T15:59:60-08:00']) {
    t.equal(isDateTime(text), true, text);
    t.equal(common(text), false, text);
  }
});

t.test('a fraction of a second is too short for a card number', async (t) => {
  for (const [text, isTaken] of [
    ['2026-11-22T18:00:00.411111111111Z', true],
    ['2026-11-22T18:00:00.4111111111111Z', false],
    ['2026-11-22T18:00:00.4111111111111111Z', false],
    ['2026-11-22T18:00:00.411111111111-08:00', true],
  ] as const) {
    t.equal(isDateTime(text), isTaken, text);
    t.equal(common(text), isTaken, text);
  }
});

t.test('every text that the byte reader accepts is a date-time', async (t) => {
  const start = '2024-02-29T23:59:59.25+05:30';
  let taken = 0;
  for (let at = 0; at < start.length; at++) {
    for (let code = 0x20; code < 0x7f; code++) {
      for (const text of [start, '1900-02-28T00:00:00Z'].map(
        (good) => good.slice(0, at) + String.fromCharCode(code) + good.slice(at + 1),
      )) {
        if (!common(text)) continue;
        taken++;
        if (!isDateTime(text)) t.fail(text);
      }
    }
  }
  t.ok(taken > 50);
  for (const text of ['1900-02-29T00:00:00Z', '2026-04-31T00:00:00Z', '2026-00-10T00:00:00Z', '2026-11-00T00:00:00Z']) {
    t.equal(isDateTime(text), false, text);
    t.equal(common(text), false, text);
  }
});
