import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { runs } from '../../engine/testing/runs.js';
import { KeyedHash } from './keyed-hash.js';

const textBytesMax = 40;
const latin1 = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: textBytesMax,
});

t.test(
  'a keyed hash is the HMAC of the text, under short keys and under long ones, one text after the other',
  async () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), fc.array(latin1, { maxLength: 5 }), (key, texts) => {
        const keyed = new KeyedHash(key, textBytesMax);
        for (const text of texts) {
          const expected = createHmac('sha256', key).update(text, 'latin1').digest('binary');
          if (keyed.of(text) !== expected) throw new Error(`another hash of ${JSON.stringify(text)}`);
        }
      }),
      runs(200),
    );
  },
);

t.test('a text that is too long is refused', async (t) => {
  t.throws(() => new KeyedHash('key', 4).of('12345'), RangeError);
});
