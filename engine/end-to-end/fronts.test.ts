/** An engine with FRONTS=2 from outside: two threads take messages in, over one ledger and one set of bounds. */
import t, { type Test } from 'tap';
import { lithicAmounts, lithicSample, lithicTransaction } from '../protocols/testing/lithic-sample.js';
import { answerOf, Connection, type Reply, stableBody } from '../testing/client.js';
import { startTestEngine, type TestEngine } from '../testing/engine-inside.js';
import { engineBooks, metric, opsGet, startEngineProcess, until } from '../testing/engine-process.js';
import { lithicHeaders, lithicSecret } from '../testing/signing.js';

const changes = { FRONTS: '2', LITHIC_SECRET: lithicSecret };
const main = await startTestEngine(t, { accounts: 20, changes });

let accountsUsed = 0;
function freshAccount(): { account: string; card: string; otherCard: string } {
  const number = String(++accountsUsed).padStart(6, '0');
  return { account: `acct_${number}`, card: `card_${number}_1`, otherCard: `card_${number}_2` };
}

const authorization = (id: string, card: string, amount = 1) => ({
  body: JSON.stringify({ id, type: 'authorization', card, amount, currency: 'USD' }),
});

/** As many as the kernel spreads over both threads: that all are with one has a chance of one in 2 ** 31. */
function openConnections(t: Test, at: TestEngine, count = 32): Connection[] {
  const connections = Array.from({ length: count }, () => new Connection(at.place.authPort));
  t.teardown(() => {
    for (const connection of connections) connection.close();
  });
  return connections;
}

const statuses = (replies: readonly Reply[]) => replies.map(({ status }) => status).sort();

t.test('copies of one message on connections of both threads make one hold and receive one answer', async (t) => {
  const { account, card } = freshAccount();
  const connections = openConnections(t, main);
  const replies = await Promise.all(connections.map((connection) => connection.ask(authorization('same', card, 1250))));
  t.same(new Set(statuses(replies)), new Set([200]));
  t.equal(new Set(replies.map(({ body }) => stableBody(body))).size, 1, 'the answers are equal byte for byte');
  t.equal((await engineBooks(main.place, account)).held, 1250);
  t.equal(await metric(main.place, 'authorization_repeated_total'), connections.length - 1);
  const { text } = await opsGet(main.place, '/metrics');
  for (const thread of ['front-1', 'front-2']) t.ok(text.includes(`thread_cpu_seconds_total{thread="${thread}"}`));
});

t.test('the same id with other content is a conflict on every connection', async (t) => {
  const { account, card, otherCard } = freshAccount();
  t.ok(answerOf(await main.client.ask(authorization('conflict', card, 500))).approved);
  const connections = openConnections(t, main);
  const replies = await Promise.all(
    connections.map((connection) => connection.ask(authorization('conflict', otherCard))),
  );
  t.same(new Set(statuses(replies)), new Set([409]));
  t.equal((await engineBooks(main.place, account)).held, 500);
});

t.test('what a front thread answers alone is counted by the engine', async (t) => {
  const connections = openConnections(t, main);
  const body = authorization('alone', freshAccount().card).body;
  const ask = (options: Parameters<Connection['ask']>[0]) => connections.pop()!.ask(options);
  const before = await metric(main.place, 'authorization_unauthorized_total');
  const wrong = { authorization: 'Basic d3Jvbmc6d3Jvbmc=' };
  for (let index = 0; index < 8; index++) t.equal((await ask({ body, headers: wrong })).status, 401);
  t.equal((await metric(main.place, 'authorization_unauthorized_total')) - before, 8);
  t.equal((await ask({ body: Buffer.alloc(65_537, 32) })).status, 413);
  t.equal((await ask({ body, headers: { 'content-type': 'text/plain' } })).status, 415);
  t.equal((await ask({ body, method: 'GET' })).status, 405);
  t.equal((await ask({ body, path: '/nowhere' })).status, 404);
  const badRequests = await metric(main.place, 'authorization_bad_requests_total');
  t.equal((await ask({ body: '{"id":' })).status, 400);
  t.equal((await metric(main.place, 'authorization_bad_requests_total')) - badRequests, 1);
});

t.test('MAX_IN_FLIGHT bounds the messages of both threads together, and each refusal is counted', async (t) => {
  const small = await startTestEngine(t, { accounts: 1, changes: { ...changes, MAX_IN_FLIGHT: '8' } });
  const connections = openConnections(t, small);
  t.ok(answerOf(await small.client.ask(authorization('first', 'card_000001_1'))).approved);
  small.disk.holdSyncs();
  const asked = connections.map((connection, index) => connection.ask(authorization(`full-${index}`, 'card_000001_1')));
  const refusals = connections.length - 8;
  await until(
    'the others are refused',
    async () => (await metric(small.place, 'authorization_refusals_total{reason="overloaded"}')) === refusals,
  );
  t.equal(await metric(small.place, 'authorization_in_flight'), 8);
  small.disk.releaseSyncs();
  const replies = await Promise.all(asked);
  t.same(statuses(replies), [...new Array(8).fill(200), ...new Array(refusals).fill(503)]);
  t.equal((await engineBooks(small.place, 'acct_000001')).held, 9);
  t.equal(await metric(small.place, 'authorization_in_flight'), 0);
});

t.test('a signed notification is booked, and one with a wrong signature is not read', async (t) => {
  const { account, card } = freshAccount();
  const question = JSON.stringify(lithicSample({ token: 'l-1', card: { token: card }, amounts: lithicAmounts(700) }));
  const ask = (path: string, body: string, headers = lithicHeaders(body)) =>
    main.client.ask({ path, body, headers: { authorization: undefined, ...headers } });
  t.match(JSON.parse((await ask('/lithic/asa', question)).body), { result: 'APPROVED' });
  const cleared = [{ token: 'e-1', type: 'CLEARING', amount: 700 }];
  const event = JSON.stringify(lithicTransaction({ token: 'l-1', card, status: 'SETTLED' }, cleared));
  t.equal((await ask('/lithic/events', event, lithicHeaders(`${event} `))).status, 401);
  t.equal((await engineBooks(main.place, account)).posted, 0);
  const first = await ask('/lithic/events', event);
  t.match([first.status, first.body], [200, '{"received":true}']);
  t.match((await engineBooks(main.place, account)).posted, 700);
  t.equal((await ask('/lithic/events', event)).status, 200, 'the same event again');
  t.equal((await engineBooks(main.place, account)).posted, 700);
  let text = '';
  await until('front threads have reported what they were notified of', async () => {
    ({ text } = await opsGet(main.place, '/metrics'));
    return /^notifications_total\{protocol="lithic[^"]*",kind="[^"]+"\} 2$/m.test(text);
  });
  t.match(text, /^notification_facts_total\{reason="approved"\} 1$/m);
});

t.test('an approval behind a 503 at the deadline is revoked', async (t) => {
  const hasty = await startTestEngine(t, { accounts: 1, changes: { ...changes, DEADLINE_MS: '150' } });
  t.ok(answerOf(await hasty.client.ask(authorization('warm', 'card_000001_1'))).approved);
  hasty.disk.holdSyncs();
  const connections = openConnections(t, hasty, 8);
  const asked = connections.map((connection, index) => connection.ask(authorization(`late-${index}`, 'card_000001_1')));
  t.same(new Set(statuses(await Promise.all(asked))), new Set([503]));
  hasty.disk.releaseSyncs();
  await until('what was refused holds nothing', async () => (await engineBooks(hasty.place, 'acct_000001')).held === 1);
  t.equal(await metric(hasty.place, 'authorization_approved_late_total'), 0);
});

t.test('a stop answers what both threads have in flight, and refuses what comes later', async (t) => {
  const stopping = await startTestEngine(t, { accounts: 1, changes });
  const connections = openConnections(t, stopping);
  const [late, ...early] = connections as [Connection, ...Connection[]];
  // Each has a connection that the engine has taken, so that the stop does not leave it in the queue of the system.
  for (const connection of connections) await connection.ask({ body: '', headers: { 'content-type': 'text/plain' } });
  stopping.disk.holdSyncs();
  const asked = early.map((connection, index) => connection.ask(authorization(`stop-${index}`, 'card_000001_1')));
  await until(
    'all are taken in',
    async () => (await metric(stopping.place, 'authorization_in_flight')) === early.length,
  );
  const stopped = stopping.stop();
  t.equal((await opsGet(stopping.place, '/readyz')).status, 503);
  const after = await late.ask(authorization('after', 'card_000001_1'));
  t.match([after.status, JSON.parse(after.body)], [503, { title: 'shutting_down', approved: false }]);
  stopping.disk.releaseSyncs();
  const replies = await Promise.all(asked);
  t.ok(
    replies.every((reply) => answerOf(reply).approved),
    'every message in flight has its answer',
  );
  t.same(new Set(replies.map(({ headers }) => headers.get('connection'))), new Set(['close']));
  await stopped;
  const [row] = await stopping.sql`select held::integer as held from accounts where public_id = 'acct_000001'`;
  t.equal(row?.['held'], early.length, 'every record is settled');
});

t.test('a stop in the middle of a load loses no answer that was approved', async (t) => {
  const loaded = await startTestEngine(t, { accounts: 1, changes });
  let approved = 0;
  let asked = 0;
  let lost = 0;
  const loop = async (connection: Connection): Promise<void> => {
    for (;;) {
      const reply = await connection.ask(authorization(`load-${++asked}`, 'card_000001_1')).catch(() => null);
      if (reply === null) lost++;
      else if (answerOf(reply).approved) approved++;
      if (reply === null || reply.headers.get('connection') === 'close') return;
    }
  };
  const connections = openConnections(t, loaded);
  // Taken by the engine, so that the stop does not leave one in the queue of the system.
  for (const connection of connections) await connection.ask({ body: '', headers: { 'content-type': 'text/plain' } });
  const loops = connections.map(loop);
  await until('it is under load', () => approved > 200);
  await loaded.stop();
  await Promise.all(loops);
  const [row] = await loaded.sql`select held::integer as held from accounts where public_id = 'acct_000001'`;
  t.equal(lost, 0, 'every message that was sent has its answer');
  t.equal(row?.['held'], approved, 'the books have what clients have answers for, and nothing else');
});

t.test('no second engine shares the port, with one thread or with two', async (t) => {
  const port = String(main.place.authPort);
  for (const FRONTS of ['1', '2']) {
    await t.rejects(
      startTestEngine(t, { accounts: 1, changes: { ...changes, FRONTS, AUTH_PORT: port } }),
      /AUTH_PORT is taken/,
    );
  }
});

t.test('an engine that is killed leaves nothing that keeps the next one from its port', async (t) => {
  const { place } = main;
  await main.stop();
  const first = await startEngineProcess(place, changes);
  t.equal(await first.kill('SIGKILL'), 'SIGKILL');
  const second = await startEngineProcess(place, changes);
  t.equal(await second.kill('SIGTERM'), 0);
});
