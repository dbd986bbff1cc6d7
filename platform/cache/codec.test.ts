/** Cached cards: what is written is read, and nothing else is. */
import fc from 'fast-check';
import t from 'tap';
import { runs } from '../../engine/testing/runs.js';
import { type CachedCard, pack, packCard, readCard, unpack, valueBytesMax } from './codec.js';

const cached: CachedCard = {
  asOf: 5_000_000_000,
  card: {
    token: 'card_1',
    number: 7,
    version: 2,
    status: 'frozen',
    expiresDay: 20_000,
    limits: { perAuthorization: 5_000_000_000, daily: { amount: 1, count: 2 }, mcc: { block: ['7995'] } },
    accountNumber: 1,
    userNumber: 1,
    ownerKey: 2,
    type: 'merchant_locked',
    spendNumber: 5,
  },
};

t.test('a card is read as it was written', async (t) => {
  t.same(readCard(packCard(cached)!, 'card_1'), cached);
  const without = { ...cached, card: { ...cached.card, limits: null } };
  t.same(readCard(packCard(without)!, 'card_1'), without);
});

t.test('an entry of another card or another shape is ignored', async (t) => {
  t.equal(readCard(packCard(cached)!, 'card_2'), null);
  const wrong: [keyof CachedCard['card'], unknown][] = [
    ['number', 1.5],
    ['number', '7'],
    ['version', -1],
    ['status', 'unknown'],
    ['expiresDay', null],
    ['limits', 'none'],
    ['limits', []],
    ['limits', { daily: 5 }],
    ['limits', { daily: { amount: -1 } }],
    ['limits', { lifetime: { count: 1.5 } }],
    ['limits', { merchants: { allow: 'm-1' } }],
    ['limits', { merchants: { allow: [1] } }],
    ['accountNumber', undefined],
    ['ownerKey', Number.NaN],
    ['type', 'gift'],
    ['type', null],
    ['spendNumber', -1],
  ];
  for (const [field, value] of wrong) {
    const bytes = packCard({ ...cached, card: { ...cached.card, [field]: value } as never })!;
    t.equal(readCard(bytes, 'card_1'), null, `${field} ${JSON.stringify(value)}`);
  }
  for (const value of [null, 1, 'text', {}, [], [1, 'card_1']]) t.equal(readCard(pack(value)!, 'card_1'), null);
});

t.test('a value that is too long is neither written nor read', async (t) => {
  t.equal(pack('x'.repeat(valueBytesMax)), null);
  t.equal(unpack(Buffer.alloc(valueBytesMax + 1)), undefined);
});

t.test('reading any bytes never throws', async (t) => {
  const bytes = packCard(cached)!;
  for (let end = 0; end < bytes.length; end++) t.equal(readCard(bytes.subarray(0, end), 'card_1'), null);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(bytes.length - 1), (noise, at) => {
      readCard(noise, 'card_1');
      const torn = Buffer.concat([bytes.subarray(0, at), noise]);
      readCard(torn, 'card_1');
    }),
    runs(2000),
  );
});
