/** Several engines on one database (JOURNAL=postgres): any of them takes any message, and all answer alike. */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { databaseFor, folderFor } from '../../deploy/testing/for-test.js';
import { answerOf, Client } from '../testing/client.js';
import {
  EngineProcess,
  engineBooks,
  enginePlace,
  metric,
  opsCommand,
  opsGet,
  until,
} from '../testing/engine-process.js';

const accounts = 24;
const settings = { JOURNAL: 'postgres', PARTITIONS: '6', LEASE_MS: '1000' };

interface Engine extends EngineProcess {
  readonly client: Client;
}

/** @returns what starts an engine more on a database of its own */
async function stage(t: Test) {
  const { url, sql } = await databaseFor(t);
  await seedAccounts(sql, { accounts, cardsPerAccount: 1, balanceMinor: 100_000 });
  const folder = folderFor(t);
  const started: EngineProcess[] = [];
  t.teardown(async () => {
    await Promise.all(started.map((engine) => engine.kill('SIGKILL')));
  });
  const start = async (changes: Readonly<Record<string, string>> = {}): Promise<Engine> => {
    const place = await enginePlace(url, join(folder, 'unused'));
    const engine = new EngineProcess(place, { ...settings, ...changes });
    started.push(engine);
    if (!(await engine.ready())) throw new Error(`an engine ended while starting:\n${engine.logged}`);
    const client = new Client(place.authPort);
    t.teardown(() => client.close());
    return Object.assign(engine, { client });
  };
  return { start, sql };
}

const card = (account: number) => `card_${String(account).padStart(6, '0')}_1`;
const owned = (engine: Engine) => metric(engine.place, 'partitions_owned');

async function untilSpread(engines: readonly Engine[]): Promise<void> {
  const share = 6 / engines.length;
  await until('the partitions are spread evenly', async () => {
    const counts = await Promise.all(engines.map(owned));
    return counts.every((count) => count === share);
  });
}

t.test('three engines share the partitions, and each answers for all accounts', async (t) => {
  const { start } = await stage(t);
  const engines = await Promise.all([start(), start(), start()]);
  await untilSpread(engines);
  const answers: string[] = [];
  for (let account = 1; account <= accounts; account++) {
    const engine = engines[account % 3]!;
    const reply = await engine.client.authorize(`first-${account}`, card(account), 100);
    t.ok(answerOf(reply).approved, `account ${account}: ${reply.status} ${reply.body}`);
    answers.push(answerOf(reply).authorizationId as string);
  }
  for (let account = 1; account <= accounts; account++) {
    const other = engines[(account + 1) % 3]!;
    const repeated = answerOf(await other.client.authorize(`first-${account}`, card(account), 100));
    t.equal(repeated.authorizationId, answers[account - 1], 'a repeat has its first answer from another engine');
    const next = 1 + (account % accounts);
    const conflict = await engines[(account + 2) % 3]!.client.authorize(`first-${account}`, card(next), 100);
    t.equal(conflict.status, 409, `the id of account ${account} with the card of account ${next} is a conflict`);
  }
  for (const engine of engines) {
    const id = 'acct_000001';
    t.match(await engineBooks(engine.place, id), { id, funds: 100_000, held: 100 });
  }
  for (const [index, { place }] of engines.entries()) {
    const reply = await opsCommand(place, 'deposits', 'acct_000002', { id: `deposit-${index}`, amount: 5 });
    t.match(JSON.parse(reply.text), { approved: true, account: { funds: 100_005 + 5 * index } });
  }
  const { data } = JSON.parse((await opsGet(engines[0]!.place, '/admin/engines')).text);
  t.equal(data.length, 3);
  t.same(data.flatMap(({ partitions }: { partitions: number[] }) => partitions).sort(), [0, 1, 2, 3, 4, 5]);
});

t.test('an engine that dies is replaced, and what it approved is known to the others', async (t) => {
  const { start } = await stage(t);
  const [first, second] = (await Promise.all([start(), start()])) as [Engine, Engine];
  await untilSpread([first, second]);
  for (let account = 1; account <= accounts; account++) {
    t.ok(answerOf(await first.client.authorize(`before-${account}`, card(account), 60_000)).approved);
  }
  await first.kill('SIGKILL');
  await until('the other engine has all partitions', async () => (await owned(second)) === 6);
  for (let account = 1; account <= accounts; account++) {
    t.equal(answerOf(await second.client.authorize(`before-${account}`, card(account), 60_000)).approved, true);
    const more = answerOf(await second.client.authorize(`after-${account}`, card(account), 60_000));
    t.match(more, { approved: false, reason: 'insufficient_funds' });
  }
});

t.test('an engine that stops hands its partitions over, and no message is refused meanwhile', async (t) => {
  const { start } = await stage(t);
  const [first, second] = (await Promise.all([start(), start()])) as [Engine, Engine];
  await untilSpread([first, second]);
  let count = 0;
  let isStopping = true;
  const traffic = async () => {
    while (isStopping) {
      const number = ++count;
      const reply = await second.client.authorize(`load-${number}`, card(1 + (number % accounts)), 1);
      if (reply.status !== 200) t.fail(`${reply.status} ${reply.body}`);
    }
  };
  const loops = Array.from({ length: 4 }, traffic);
  t.equal(await first.kill('SIGTERM'), 0);
  isStopping = false;
  await Promise.all(loops);
  await until('the other engine has all partitions', async () => (await owned(second)) === 6);
  t.ok(count > 10, `${count} messages`);
});
