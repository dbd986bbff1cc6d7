/** Several engines on one database (JOURNAL=postgres): any of them takes any message, and all answer alike. */
import t from 'tap';
import { answerOf } from '../testing/client.js';
import { engineBooks, opsCommand, opsGet, until } from '../testing/engine-process.js';
import { accounts, card, type Engine, owned, severalEngines, untilSpread } from '../testing/several-engines.js';

t.test('three engines share the partitions, and each answers for all accounts', async (t) => {
  const { start } = await severalEngines(t);
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

t.test("each engine reports Marqeta's calls at all engines, and in /health its own", async (t) => {
  const { start } = await severalEngines(t);
  const engines = (await Promise.all([start(), start()])) as [Engine, Engine];
  await untilSpread(engines);
  const asked = async () =>
    Promise.all(engines.map(async ({ place }) => JSON.parse((await opsGet(place, '/admin/marqeta')).text)));
  for (const report of await asked()) t.match(report, { status: 'disabled', detail: /no call/ });
  const [first, second] = engines;
  for (let call = 0; call < 3; call++) await first.client.ask({ path: '/marqeta/jit', body: '{}' });
  await second.client.ask({ path: '/marqeta/jit', body: '{}' });
  // One that does not answer in time is left out of a report.
  await until('each reports the calls of both', async () =>
    (await asked()).every(({ detail }) => detail.includes('4 since the start')),
  );
  for (const report of await asked()) {
    t.match(report, {
      status: 'unhealthy',
      detail: /4 since the start, 4 in the last minute .*answered: 4 malformed$/,
    });
  }
  const { components } = JSON.parse((await opsGet(second.place, '/health')).text);
  t.match(components.marqeta.detail, /1 since the start/);
});

t.test('an engine that dies is replaced, and what it approved is known to the others', async (t) => {
  const { start, sql } = await severalEngines(t);
  const lease = { LEASE_MS: '9000' };
  const [first, second] = (await Promise.all([start(lease), start(lease)])) as [Engine, Engine];
  await untilSpread([first, second]);
  for (let account = 1; account <= accounts; account++) {
    t.ok(answerOf(await first.client.authorize(`before-${account}`, card(account), 60_000)).approved);
  }
  await first.kill('SIGKILL');
  await until('the other engine has all partitions', async () => (await owned(second)) === 6);
  const dead = await sql`select declared_dead as times from engines where renewed_at is null`;
  t.same(dead, [{ times: 1 }], 'its lease did not have to end');
  for (let account = 1; account <= accounts; account++) {
    t.equal(answerOf(await second.client.authorize(`before-${account}`, card(account), 60_000)).approved, true);
    const more = answerOf(await second.client.authorize(`after-${account}`, card(account), 60_000));
    t.match(more, { approved: false, reason: 'insufficient_funds' });
  }
});

t.test('an engine that stops hands its partitions over, and no message is refused meanwhile', async (t) => {
  const { start } = await severalEngines(t);
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
