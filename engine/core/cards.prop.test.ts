import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { runs } from '../testing/runs.js';
import type { Status } from './accounts.js';
import type { CardType } from './card-types.js';
import { Card, Cards } from './cards.js';
import { hash64, hashLow } from './hash.js';
import type { CardProfile } from './profile.js';
import { compileRules } from './rules.js';

/**
 * Few names, so that they meet again; of every kind of length: short, a UUID, the longest inline, the longest there
 * are.
 */
const token = fc
  .tuple(fc.integer({ min: 0, max: 5 }), fc.constantFrom(1, 2, 13, 35, 36, 37, 64, 128, 254, 255, 256))
  .map(([name, length]) => Buffer.alloc(length, `${name}`));
const rules = fc.constantFrom(
  null,
  compileRules({ perAuthorization: 500 }),
  compileRules({ mcc: { block: ['7995'] } }),
);
const row = fc.record({
  spendNumber: fc.constantFrom(7, 2 ** 40),
  type: fc.constantFrom<CardType>(0, 1, 2),
  number: fc.oneof(
    fc.constant(7),
    fc.integer({ min: 1, max: 2 ** 31 }),
    fc.integer({ min: 2 ** 50, max: Number.MAX_SAFE_INTEGER }),
  ),
  version: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  status: fc.constantFrom<Status>(0, 1, 2),
  expiresDay: fc.constantFrom(-1, 0, 1, 20_000, 65_534, 65_535, 65_536, 1_000_000, 2_145_000_000, -719_162),
  rules,
  account: fc.integer({ min: 0, max: 2 ** 25 }),
  user: fc.integer({ min: 0, max: 2 ** 26 }),
});
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('set' as const), token, row }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('describe' as const), token, row }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('touch' as const), token }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('spend' as const), token, slot: fc.nat(2 ** 27) }) },
);

function find(cards: Cards, token: Uint8Array, padding = 0): number {
  // As in a slab: somewhere in the middle of other bytes.
  const bytes = Buffer.concat([Buffer.alloc(padding, 'x'), token, Buffer.alloc(padding, 'y')]);
  return cards.find(bytes, padding, padding + token.length);
}

type Known = CardProfile & { readonly spendSlot: number };

/** What stands under a token, as a plain object; null when it is not in memory. */
function read(cards: Cards, token: Uint8Array, padding = 0): Known | null {
  const slot = find(cards, token, padding);
  if (slot < 0) return null;
  const card = new Card();
  cards.read(slot, card);
  const { number, spendNumber, type, version, status, expiresDay, rules, account, user, spendSlot } = card;
  return { number, spendNumber, type, version, status, expiresDay, rules, account, user, spendSlot };
}

function set(cards: Cards, token: Uint8Array, row: CardProfile): void {
  let slot = find(cards, token);
  if (slot < 0) slot = cards.open(token);
  cards.describe(slot, row.number, row.version, row.status, row.expiresDay, row.rules, row.type, row.spendNumber);
  cards.assign(slot, row.account, row.user, row.account + 1000, row.user + 1000);
}

t.test('a token finds its newest profile, or nothing once its card was evicted', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), fc.array(step, { maxLength: 120 }), (capacity, steps) => {
      const cards = new Cards(capacity);
      const model = new Map<string, { token: Uint8Array; row: Known }>();
      for (const step of steps) {
        const key = step.token.toString('latin1');
        const known = model.get(key)?.row;
        const before = model.size;
        if (step.kind === 'set') {
          set(cards, step.token, step.row);
          const spendSlot = known?.number === step.row.number ? known.spendSlot : -1;
          model.set(key, { token: step.token, row: { ...step.row, spendSlot } });
        } else if (known !== undefined) {
          const slot = find(cards, step.token);
          if (step.kind === 'describe') {
            const { version, status, expiresDay, rules, type, spendNumber } = step.row;
            cards.describe(slot, known.number, version, status, expiresDay, rules, type, spendNumber);
            model.set(key, {
              token: step.token,
              row: { ...known, version, status, expiresDay, rules, type, spendNumber },
            });
          } else if (step.kind === 'spend') {
            cards.noteSpendSlot(slot, step.slot);
            model.set(key, { token: step.token, row: { ...known, spendSlot: step.slot } });
          } else cards.touch(slot);
        }
        const gone = [...model].filter(([, { token }]) => find(cards, token) < 0);
        // A card leaves only for another one, and that one stays.
        if (gone.length > (before === capacity && model.size > before ? 1 : 0)) return false;
        if (gone.some(([its]) => its === key)) return false;
        for (const [its] of gone) model.delete(its);
        if (cards.size !== model.size) return false;
        for (const { token, row } of model.values()) if (!isDeepStrictEqual(read(cards, token, 3), row)) return false;
      }
      return true;
    }),
    runs(300),
  );
});

const row0: CardProfile = {
  number: 1,
  spendNumber: 1,
  type: 0,
  version: 1,
  status: 0,
  expiresDay: 1,
  rules: null,
  account: 0,
  user: 0,
};

t.test('a card in use stays in memory while other cards come and go', async (t) => {
  const cards = new Cards(8);
  const kept = Buffer.from('kept');
  set(cards, kept, row0);
  for (let other = 0; other < 1000; other++) {
    cards.touch(find(cards, kept));
    set(cards, Buffer.from(`other-${other}`), row0);
    if (find(cards, kept) < 0) t.fail(`the card in use was evicted for card ${other}`);
  }
  t.equal(cards.size, 8);
});

t.test('cards that were loaded and never used are evicted first', async (t) => {
  const cards = new Cards(16);
  for (let number = 0; number < 16; number++) set(cards, Buffer.from(`card-${number}`), row0);
  for (let number = 0; number < 16; number += 2) cards.touch(find(cards, Buffer.from(`card-${number}`)));
  for (let number = 0; number < 8; number++) set(cards, Buffer.from(`new-${number}`), row0);
  for (let number = 0; number < 16; number++) {
    t.equal(find(cards, Buffer.from(`card-${number}`)) >= 0, number % 2 === 0, `card-${number}`);
  }
});

t.test('a full memory evicts a card even when all cards are in use', async (t) => {
  const cards = new Cards(200);
  for (let number = 0; number < 1000; number++) {
    set(cards, Buffer.from(`card-${number}`), row0);
    for (let used = Math.max(0, number - 199); used <= number; used++) {
      const slot = find(cards, Buffer.from(`card-${used}`));
      if (slot >= 0) cards.touch(slot);
    }
  }
  t.equal(cards.size, 200);
  t.ok(find(cards, Buffer.from('card-999')) >= 0);
});

t.test('two tokens with the same hash remain two cards', async (t) => {
  // Found by trying.
  const [first, second] = [Buffer.from('card_99973'), Buffer.from('card_145905')];
  const hashes = [first, second].map((token) => {
    hash64(token, 0, token.length);
    return hashLow;
  });
  t.equal(hashes[0], hashes[1], 'equal hashes give both tokens the same bucket and tag');
  const cards = new Cards(4);
  set(cards, first, { ...row0, number: 1 });
  set(cards, second, { ...row0, number: 2 });
  t.equal(read(cards, first)?.number, 1);
  t.equal(read(cards, second)?.number, 2);
  for (const name of ['a', 'b', 'c']) set(cards, Buffer.from(name), row0);
  t.equal(find(cards, first), -1, 'the older card was evicted');
  t.equal(read(cards, second)?.number, 2, 'evicting one card leaves the other in place');
});
