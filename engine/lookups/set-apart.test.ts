/** A profile that cannot be applied is declined, named once and counted; everything else goes on. */
import fc from 'fast-check';
import t from 'tap';
import { applyChanges } from '../../workers/partition/rows.js';
import { Accounts, Status } from '../core/accounts.js';
import { Cards } from '../core/cards.js';
import type { RawEntry } from '../core/feed.js';
import { laneEntryBytesMax, limitsBytesMax } from '../core/limits.js';
import type { AccountRow, CardRow, PartitionRows, UserRow } from '../core/partition-rows.js';
import { Spend } from '../core/spend.js';
import { Transactions } from '../core/transactions.js';
import { Users } from '../core/users.js';
import { packChanges } from '../exchange/lane-rows.js';
import { runs } from '../testing/runs.js';
import { SetApart } from './set-apart.js';

const card = {
  token: 'card_1',
  number: 1,
  version: 2,
  status: 'active',
  expiresDay: 30_000,
  limits: null,
  accountNumber: 1,
  userNumber: 1,
  ownerKey: 2,
};
const entry = (payload: unknown, sequence = 1): RawEntry => {
  return { sequence, atMs: 0, topic: 'card', payload, key: '1', version: 2 };
};

function setApart() {
  const lines: object[] = [];
  const log = (line: object) => lines.push(line);
  return { apart: new SetApart({ error: log as never, warn: log as never }), lines };
}

t.test('a card with unreadable limits is closed until a version with readable ones arrives', async (t) => {
  const { apart, lines } = setApart();
  const bad = { ...card, version: 3, limits: { mcc: { block: 5 } } };
  const [taken] = apart.entries([entry(bad)]);
  t.match(taken!.payload, { token: 'card_1', version: 3, status: 'closed', limits: null });
  apart.entries([entry(bad)]);
  t.equal(apart.count, 1);
  t.equal(lines.length, 1, 'the fault is logged once');
  t.match(apart.detail, /card 1 version 3: its limits have not the shape/);
  t.match(apart.takeUnreported(), [{ topic: 'card', key: '1', version: 3 }]);
  apart.entries([entry({ ...card, version: 2 })]);
  t.equal(apart.count, 1, 'an older version does not end it');
  t.same(apart.entries([entry({ ...card, version: 4 })])[0]!.payload, { ...card, version: 4 });
  t.equal(apart.detail, '');
  t.match(apart.takeUnreported(), [{ topic: 'card', key: '1', version: 4, reason: '' }]);
});

t.test('limits that are too long, an unknown time zone and an invalid expiry are each named', async (t) => {
  const { apart } = setApart();
  const long = { merchants: { block: ['x'.repeat(limitsBytesMax)] } };
  apart.entries([entry({ ...card, limits: long })]);
  t.match(apart.detail, /limits have 65\d{3} bytes, at most 65536/);
  const account = { number: 5, version: 2, status: 'active', partialApproval: true, limits: null, ownerKey: 2 };
  apart.entries([{ sequence: 2, atMs: 0, topic: 'account', payload: { ...account, timeZone: 'Mars/Olympus' } }]);
  apart.entries([entry({ ...card, number: 2, expiresDay: null })]);
  t.match(apart.detail, /account 5 .*time zone is unknown.*card 2 .*expiry is no date/);
  t.equal(apart.count, 3);
});

t.test('an entry without an owner is not delivered, and is reported by its key', async (t) => {
  const { apart } = setApart();
  t.same(apart.entries([entry({}), entry(null), entry('text'), entry({ ...card, token: 'x'.repeat(257) })]), []);
  t.match(apart.detail, /card 1 version 2: neither the change nor its row can be read/);
});

t.test('rows of lookups are checked as changes are, and an account with impossible books is left out', async (t) => {
  const { apart } = setApart();
  const common = { version: 1, status: Status.active, limits: null } as const;
  const books = { currency: 'USD', timeZone: 'UTC', partialApproval: false, funds: 1, held: 0, posted: 0 };
  const accounts: AccountRow[] = [
    { ...common, ...books, number: 1 },
    { ...common, ...books, number: 2, funds: 2 ** 60 },
    { ...common, ...books, number: 3, limits: { daily: 5 } as never },
  ];
  const users: UserRow[] = [{ ...common, number: 1, limits: [] as never }];
  const row = { ...common, token: 'card_1', number: 1, expiresDay: 1, accountNumber: 1, userNumber: 1 };
  const cards: CardRow[] = [row, { ...row, token: 'card_2', number: 2, expiresDay: null as never }];
  const message: PartitionRows = { accounts, users, cards, spend: [] };
  const taken = apart.soundRows(message);
  t.same(taken.accounts?.[0], accounts[0]);
  t.match(taken.accounts?.slice(1), [{ number: 3, status: Status.closed, limits: null, funds: 1 }]);
  t.match(taken.users, [{ number: 1, status: Status.closed }]);
  t.same(taken.cards?.[0], row);
  t.match(taken.cards?.[1], { number: 2, status: Status.closed });
  t.equal(apart.count, 4);
  t.same(apart.soundRows({ transactions: [] }), { transactions: [] });
});

t.test('partitions can take every entry that passes, whatever the outbox contains', async (t) => {
  const { apart } = setApart();
  const books = {
    accounts: new Accounts(4),
    users: new Users(4),
    spend: new Spend(4),
    transactions: new Transactions(4),
  };
  const cards = new Cards(4);
  books.accounts.open(1, 0, 1, 0, 0);
  books.users.open(1);
  cards.open(Buffer.from('card_1'));
  const anything = fc.anything({ withNullPrototype: false });
  const mostly = (arbitrary: fc.Arbitrary<unknown>) => fc.oneof({ weight: 9, arbitrary }, anything);
  const limits = fc.record(
    { perAuthorization: anything, daily: anything, mcc: fc.record({ block: anything }), merchants: anything },
    { requiredKeys: [] },
  );
  const payload = fc.record(
    {
      token: mostly(fc.constant('card_1')),
      number: mostly(fc.constant(1)),
      version: mostly(fc.nat()),
      status: fc.oneof(fc.constant('active'), anything),
      expiresDay: fc.oneof(fc.nat(99_999), anything),
      limits: fc.oneof(limits, anything),
      timeZone: fc.oneof(fc.constant('UTC'), anything),
      partialApproval: anything,
      ownerKey: mostly(fc.constant(2)),
    },
    { requiredKeys: ['token', 'number', 'version', 'ownerKey'] },
  );
  let applied = 0;
  fc.assert(
    fc.property(fc.oneof(payload, anything), fc.constantFrom('card', 'user', 'account'), (value, topic) => {
      // As it comes from Postgres.
      const text = JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? Number(inner) : inner)) ?? 'null';
      const raw: RawEntry = { sequence: 1, atMs: 0, topic: topic as 'card', payload: JSON.parse(text), key: '1' };
      for (const { bytes } of packChanges(apart.entries([raw]))) {
        if (bytes.length > laneEntryBytesMax) throw new Error(`${bytes.length} bytes`);
        applyChanges(JSON.parse(bytes.toString()).changes, books, cards);
        applied++;
      }
    }),
    runs(3000),
  );
  t.ok(applied > 100, `${applied} entries were taken`);
});
