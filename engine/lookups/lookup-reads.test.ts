/**
 * What is read for a partition is as new as its memory: a worker that was replaced meanwhile is never brought older
 * books.
 */
import t from 'tap';
import type { PartitionRows } from '../core/partition-rows.js';
import type { Limits } from '../core/rules.js';
import { EntryStatus, keySeparator } from '../exchange/slab.js';
import { LookupGuard } from '../feed/lookup-guard.js';
import { longestLimits } from '../testing/longest-limits.js';
import type { CardsRead } from './database-cards.js';
import type { KeysRead } from './database-transactions.js';
import { type LookupDatabase, LookupReads } from './lookup-reads.js';

function cards(funds: number): CardsRead {
  const common = { number: 1, version: 1, status: 0, limits: null } as const;
  const message: PartitionRows = {
    accounts: [{ ...common, currency: 'USD', timeZone: 'UTC', partialApproval: false, funds, held: 0, posted: 0 }],
    users: [common],
    cards: [{ ...common, token: 'card', expiresDay: 1, accountNumber: 1, userNumber: 1 }],
  };
  return { message, owners: new Map([['card', 2]]), profiles: [], asOf: 0 };
}

const unused = () => Promise.reject(new Error('not expected here'));
const noReads: LookupDatabase = {
  readAccounts: unused,
  readBooks: unused,
  readCards: unused,
  readRecords: unused,
  readTransactions: unused,
};

function readsOf(reads: Partial<LookupDatabase>): LookupReads {
  return new LookupReads(
    { ...noReads, ...reads },
    null,
    () => 0,
    () => 0,
    new LookupGuard(),
    { soundRows: (message) => message },
  );
}

t.test('books that were read before their partition opened again are read again', async (t) => {
  const answers: ((read: CardsRead) => void)[] = [];
  const delivered: PartitionRows[] = [];
  const lane = {
    claim: (_kind: number, _flags: number, _atMs: number, bytes: Uint8Array) => {
      delivered.push(JSON.parse(Buffer.from(bytes).toString()) as PartitionRows);
      return true;
    },
  };
  const lookupReads = readsOf({ readCards: () => new Promise((resolve) => answers.push(resolve)) });
  const target = { lane, partition: 0 };
  lookupReads.opened(0);
  const looking = lookupReads.cards(target, ['card'], new Map());
  // Meanwhile the worker dies, what the old one had decided is settled, and its successor opens without the account.
  lookupReads.opened(0);
  answers.shift()!(cards(1000));
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(delivered.length, 0, 'the earlier read is out of date');
  answers.shift()!(cards(400));
  t.same([...(await looking).found], ['card']);
  t.same(
    delivered.map(({ accounts }) => accounts![0]!.funds),
    [400],
  );
});

t.test('fewer cards are read at a time while their limits are long', async (t) => {
  let limits: Limits | null = longestLimits();
  const reads: number[] = [];
  const lookupReads = readsOf({
    readCards: async (tokens) => {
      reads.push(tokens.length);
      const [card] = cards(1).message.cards!;
      const rows = tokens.map((token, index) => ({ ...card!, token, number: index + 1, limits }));
      const message = { ...cards(1).message, cards: rows };
      return { message, owners: new Map(tokens.map((token) => [token, 2])), profiles: [], asOf: 0 };
    },
  });
  const target = { lane: { claim: () => true }, partition: 0 };
  const tokens = Array.from({ length: 128 }, (_, index) => `card_${index}`);
  const read = async () => {
    reads.length = 0;
    const { found } = await lookupReads.cards(target, tokens, new Map());
    t.same([...found], tokens);
    return Math.max(...reads);
  };
  t.equal(await read(), 128);
  t.ok((await read()) <= 16, 'the reads are of about a megabyte');
  limits = null;
  await read();
  t.equal(await read(), 128);
});

t.test('an id that may be kept in several forms is read in all of them, and found where one of them is', async (t) => {
  const reads: (readonly string[])[] = [];
  const read = async (_partition: number, ids: readonly string[]): Promise<KeysRead> => {
    reads.push(ids);
    return { message: {}, found: new Set(['older', 'plain']) };
  };
  const lookupReads = readsOf({ readRecords: read, readTransactions: read });
  const inForms = ['newest', 'older'].join(keySeparator);
  const nowhere = ['newest-of-another', 'older-of-another'].join(keySeparator);
  const target = { lane: { claim: () => true }, partition: 0 };
  for (const status of [EntryStatus.lookupSeen, EntryStatus.lookupOriginal]) {
    const { found } = await lookupReads.others(target, status, [inForms, 'plain', nowhere]);
    t.same([...found], [inForms, 'plain']);
    t.same(reads.pop(), ['newest', 'older', 'plain', 'newest-of-another', 'older-of-another']);
  }
});
