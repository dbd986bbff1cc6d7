/** Codes of what goes through Redis. */
import t from 'tap';
import { feedKeysOf, Seals, sealBytes } from './seal.js';

const bytes = Buffer.from('a packet');

t.test('a value that was sealed for one place opens only at that place', async (t) => {
  const seals = new Seals(['key']);
  const sealed = seals.seal('channel', bytes);
  t.same(Buffer.from(seals.open('channel', sealed)!), bytes);
  t.equal(seals.refused, 0);
  t.equal(seals.open('channel2', sealed), null);
  // The length of the place separates it from the bytes: any character may be in either.
  t.equal(seals.open('channela', Buffer.concat([sealed.subarray(0, sealBytes), bytes.subarray(1)])), null);
  t.equal(seals.refused, 2);
});

t.test('every flipped bit, every cut and an unsealed value are refused', async (t) => {
  const seals = new Seals(['key']);
  const sealed = seals.seal('place', bytes);
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const forged = Buffer.from(sealed);
    forged[bit >> 3]! ^= 1 << (bit & 7);
    t.equal(seals.open('place', forged), null);
  }
  for (let length = 0; length < sealed.length; length++) t.equal(seals.open('place', sealed.subarray(0, length)), null);
  t.equal(seals.open('place', bytes), null);
  t.equal(new Seals(['another']).open('place', sealed), null);
});

t.test('the first key seals, and older keys still open', async (t) => {
  const old = new Seals(['old']);
  const both = new Seals(['new', 'old']);
  t.ok(both.open('place', old.seal('place', bytes)));
  t.equal(old.open('place', both.seal('place', bytes)), null);
  t.ok(new Seals(['new']).open('place', both.seal('place', bytes)));
});

t.test('a flood of forged values causes one warning a minute', async (t) => {
  const warnings: unknown[] = [];
  const seals = new Seals(['key'], (fields) => warnings.push(fields));
  for (let count = 0; count < 100; count++) seals.open('place', bytes);
  t.same(warnings, [{ place: 'place', refused: 1 }]);
  t.equal(seals.refused, 100);
});

t.test('the key is FEED_KEY, or else ENGINE_TOKEN', async (t) => {
  t.same(feedKeysOf(['b', 'a'], ['token']), ['b', 'a']);
  t.same(feedKeysOf([], ['new', 'old']), ['new', 'old']);
});
