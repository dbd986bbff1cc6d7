/** A database restored from an older copy, or another one altogether, beside the journal that is there. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type postgres from 'postgres';
import t from 'tap';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { databaseFor, folderFor } from '../../deploy/testing/for-test.js';
import { backUp } from '../../deploy/testing/older-copy.js';
import { answerOf } from '../testing/client.js';
import { startTestEngine, type TestEngine } from '../testing/engine-inside.js';
import { engineBooks, enginePlace, shortLease, startEngineProcess, until } from '../testing/engine-process.js';

t.setTimeout(120_000);

/** What settling writes, and the lease as it was. */
const tables = [
  'transactions',
  'transaction_events',
  'journal_positions',
  'spend_windows',
  'writer_leases',
  'writer_epochs',
  'accounts',
];

async function purchases(engine: TestEngine, prefix: string, count: number): Promise<void> {
  for (let number = 0; number < count; number++) {
    const { approved } = answerOf(await engine.client.authorize(`${prefix}-${number}`, 'card_000001_1', 10));
    if (!approved) throw new Error(`${prefix}-${number} was declined`);
  }
}

async function settled(sql: postgres.Sql, sequence: number): Promise<void> {
  await until(`record ${sequence} is settled`, async () => {
    const [row] = await sql<{ last: number }[]>`
      select coalesce(max(sequence), 0)::float8 as last from journal_positions`;
    return row!.last >= sequence;
  });
}

t.test('a database restored from an older copy regains what the journal still has', async (t) => {
  const engine = await startTestEngine(t, { accounts: 1 });
  const { sql } = engine;
  await purchases(engine, 'before', 5);
  await settled(sql, 5);
  const restore = await backUp(sql, tables);
  await purchases(engine, 'after', 7);
  await settled(sql, 12);
  const books = await engineBooks(engine.place, 'acct_000001');
  await engine.stop();
  await restore();
  await engine.restart();
  t.same(await engineBooks(engine.place, 'acct_000001'), books);
  await settled(sql, 12);
  const [row] = await sql`select count(*)::integer as count, sum(held_amount)::integer as held from transactions`;
  t.same(row, { count: 12, held: 120 });
});

t.test('a journal is refused by a database that has since settled another journal', async (t) => {
  const dataDir = folderFor(t);
  const engine = await startTestEngine(t, { accounts: 1, dataDir, changes: shortLease });
  const { sql } = engine;
  await purchases(engine, 'before', 5);
  await settled(sql, 5);
  const restore = await backUp(sql, tables);
  await purchases(engine, 'lost', 7);
  await settled(sql, 12);
  await engine.stop();
  await restore();
  // As the runbook has it for a journal that cannot be brought back.
  const journal = join(dataDir, 'journal');
  renameSync(journal, join(dataDir, 'journal.lost'));
  mkdirSync(join(journal, 'p0'), { recursive: true });
  writeFileSync(join(journal, 'p0', 'begin-anew'), '');
  await engine.restart();
  await purchases(engine, 'other', 3);
  await settled(sql, 8);
  await engine.stop();
  // The journal that was lost is found, and put back.
  renameSync(journal, join(dataDir, 'journal.newer'));
  renameSync(join(dataDir, 'journal.lost'), journal);
  await t.rejects(engine.restart(), {
    message: /record 8 of the journal is not the record 8 that Postgres settled.*runbook\.md#foreign-journal/,
  });
  const [row] = await sql`select max(sequence)::integer as last from transaction_events`;
  t.same(row, { last: 8 }, 'no record of the refused journal was settled');
  rmSync(journal, { recursive: true });
  renameSync(join(dataDir, 'journal.newer'), journal);
  await engine.restart();
  await purchases(engine, 'on', 1);
});

t.test('a journal is refused by a database of another ledger', async (t) => {
  const dataDir = folderFor(t);
  const first = await startTestEngine(t, { accounts: 1, dataDir });
  const [ledger] = await first.sql`select id::text as id from ledger_identity`;
  await first.stop();
  const file = join(dataDir, 'journal', 'ledger');
  t.equal(readFileSync(file, 'utf8').trim(), ledger!['id']);
  t.notOk(existsSync(`${file}.new`));
  // Test databases are copies of one.
  await first.sql`update ledger_identity set id = gen_random_uuid()`;
  await t.rejects(first.restart(), { message: /belongs to ledger .*, and this database is ledger .*foreign-journal/ });
  await first.sql`update ledger_identity set id = ${ledger!['id']}`;
  await first.restart();
});

t.test(
  'an engine ends when its database is replaced by an older copy, where a freeze would not be in force',
  async (t) => {
    const { sql, url } = await databaseFor(t);
    await seedAccounts(sql, { accounts: 1, cardsPerAccount: 1, balanceMinor: 1000 });
    const place = await enginePlace(url, folderFor(t));
    const engine = await startEngineProcess(place);
    t.teardown(() => engine.kill('SIGKILL'));
    await sql`update cards set status = 'frozen', version = version + 1`;
    await sql`select feed_number()`;
    await until('the engine has the change', async () => {
      const [row] = await sql<{ applied: number }[]>`select max(applied)::float8 as applied from feed_engines`;
      return row!.applied >= 1;
    });
    // As a copy has it that was made before.
    await sql`update feed_position set newest = newest - 1`;
    t.equal(await engine.ended, 1);
    t.match(engine.logged, /restored from an older copy.*start it again.*backup-and-restore/);
  },
);
