/** Rows are packed by their bytes: whatever they are, each lane entry fits, and none is lost. */
import t from 'tap';
import { packLetters } from '../core/codes.js';
import type { FeedEntry } from '../core/feed.js';
import { laneEntryBytesMax, limitsBytesMax, profileBytesMax, tokenBytesMax } from '../core/limits.js';
import type { PartitionRows } from '../core/partition-rows.js';
import { userSpendNumber } from '../core/spend-key.js';
import { longestLimits } from '../testing/longest-limits.js';
import { packChanges, packRows } from './lane-rows.js';

const limits = longestLimits();

function card(sequence: number): FeedEntry {
  const payload = {
    // In JSON, six bytes each.
    token: `${sequence}`.padEnd(tokenBytesMax, '\u0001'),
    number: Number.MAX_SAFE_INTEGER,
    version: 2 ** 31 - 1,
    status: 'frozen',
    expiresDay: 999_999,
    limits,
    accountNumber: Number.MAX_SAFE_INTEGER,
    userNumber: Number.MAX_SAFE_INTEGER,
    ownerKey: Number.MAX_SAFE_INTEGER,
  };
  return { sequence, atMs: 0, topic: 'card', payload };
}

t.test('the longest sample limits come close to the allowed size', async (t) => {
  const bytes = Buffer.byteLength(JSON.stringify(limits));
  t.ok(bytes <= limitsBytesMax && bytes > limitsBytesMax - 2000, `${bytes} bytes`);
});

t.test('600 changes at every maximum fill many lane entries, each within its bound, in order', async (t) => {
  const packed = packChanges(Array.from({ length: 600 }, (_, index) => card(index)));
  for (const { bytes } of packed) t.ok(bytes.length <= laneEntryBytesMax, `${bytes.length} bytes`);
  t.ok(packed[0]!.bytes.length < profileBytesMax * 2);
  const cards = packed.flatMap(({ bytes }) => JSON.parse(bytes.toString()).changes.cards);
  t.same(
    cards.map(({ token }) => Number.parseInt(token, 10)),
    Array.from({ length: 600 }, (_, index) => index),
  );
  t.equal(
    packed.reduce((sum, { count }) => sum + count, 0),
    600,
  );
  t.same(cards[0].limits, limits);
});

t.test('small changes share a lane entry', async (t) => {
  const small = Array.from({ length: 450 }, (_, index): FeedEntry => {
    const entry = card(index) as FeedEntry & { topic: 'card' };
    return { ...entry, payload: { ...entry.payload, token: `${index}`, limits: null } };
  });
  t.same(
    packChanges(small).map(({ count }) => count),
    [200, 200, 50],
  );
});

t.test('128 cards with the longest limits at every level are split into complete lane entries', async (t) => {
  const numbers = Array.from({ length: 128 }, (_, index) => index + 1);
  const common = { version: 1, status: 0, limits } as const;
  const books = { currency: 'USD', timeZone: 'UTC', partialApproval: false, funds: 1, held: 0, posted: 0 };
  const spent = { day: 1, amounts: [1, 1, 1, 1, 1], counts: [1, 1, 1, 1, 1] };
  // Two cards each share a user, four an account; the last account has no card.
  const userOf = (number: number) => Math.ceil(number / 2);
  const accountOf = (number: number) => Math.ceil(number / 4);
  const message: PartitionRows = {
    accounts: numbers.slice(0, 33).map((number) => ({ ...common, ...books, number })),
    users: numbers.slice(0, 64).map((number) => ({ ...common, number })),
    cards: numbers.map((number) => ({
      ...common,
      number,
      token: `card_${number}`,
      expiresDay: 1,
      accountNumber: accountOf(number),
      userNumber: userOf(number),
    })),
    spend: numbers.slice(0, 64).flatMap((number) => [
      { level: 0, number, ...spent },
      { level: 1, number: userSpendNumber(number, packLetters('USD')), ...spent },
    ]),
    seenComplete: false,
    settled: 12_345,
    unspent: [{ level: 2, number: 7 }],
  };
  const packed = packRows(message);
  t.equal(
    packed.reduce((sum, { count }) => sum + count, 0),
    128,
  );
  const parts = packed.map(({ bytes }) => JSON.parse(bytes.toString()) as Required<PartitionRows>);
  t.ok(packed.every(({ bytes }) => bytes.length <= Math.max(laneEntryBytesMax, 4 * profileBytesMax)));
  t.ok(parts.length > 60);
  t.same(
    parts.flatMap(({ cards }) => cards),
    message.cards,
    'each card comes once, in order',
  );
  for (const { cards, users, accounts, spend, seenComplete, settled, unspent } of parts) {
    t.same(
      [settled, unspent],
      [message.settled, message.unspent],
      'each part carries the settled sequence and the unspent rows',
    );
    t.equal(seenComplete, false, 'each part repeats the flag of the whole');
    for (const { number, userNumber, accountNumber } of cards) {
      t.ok(users.some((user) => user.number === userNumber) && accounts.some((one) => one.number === accountNumber));
      t.equal(
        spend.some((row) => row.level === 0 && row.number === number),
        number <= 64,
      );
      const userSpend = userSpendNumber(userNumber, packLetters('USD'));
      t.ok(spend.some((row) => row.level === 1 && row.number === userSpend));
    }
  }
  for (const list of ['accounts', 'users', 'spend'] as const) {
    const sent = new Set(parts.flatMap((part): readonly unknown[] => part[list]).map((row) => JSON.stringify(row)));
    t.equal(sent.size, message[list]!.length, `no row of ${list} is lost`);
  }
});

t.test('a lookup that fits one lane entry stays whole', async (t) => {
  const message: PartitionRows = { cards: [], spend: [], seenComplete: true };
  t.same(
    packRows(message).map(({ bytes, count }) => [JSON.parse(bytes.toString()), count]),
    [[message, 0]],
  );
});
