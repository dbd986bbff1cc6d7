/** `GET /api/live` of a real API and engine: what is decided is seen, once, by operators alone. */
import t, { type Test } from 'tap';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { TestNginx } from '../../deploy/testing/test-nginx.js';
import { answerOf, Client } from '../../engine/testing/client.js';
import { until } from '../../engine/testing/engine-process.js';
import { card, severalEngines } from '../../engine/testing/several-engines.js';
import { startTestApi, type TestApi } from '../testing/api-inside.js';
import { LiveClient, operatorSession } from '../testing/live-client.js';
import { createPerson } from '../testing/tenants.js';

const isEngineUp = ({ engines }: { readonly engines: readonly { readonly isUp: boolean }[] }) =>
  engines.length > 0 && engines.every(({ isUp }) => isUp);

/** An operator who looks at a stack with an engine. */
async function look(t: Test, api: TestApi) {
  const { token, headers } = await operatorSession(api.sql, api.api.services.operators);
  const live = await LiveClient.open(t, api.url, headers);
  return { token, headers, live };
}

const numberOf = (id: string) => Number(id.split('-')[1]);

t.test('what an engine decides is counted in the ticks, and shown', async (t) => {
  const api = await startTestApi(t, { engine: true });
  await seedAccounts(api.sql, { accounts: 2, cardsPerAccount: 1, balanceMinor: 100_000 });
  const { live } = await look(t, api);
  t.match(live.headers, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
    'ratelimit-limit': /\d+/,
    'request-id': /req_/,
  });
  t.equal(live.headers['content-encoding'], undefined, 'although the client takes gzip');
  t.match(await live.next(), { event: 'history', id: '', data: { everyMs: 5000 } });
  let { id } = await live.until(isEngineUp);

  const client = new Client(api.engine!.authPort);
  t.teardown(() => client.close());
  const ids = Array.from({ length: 30 }, (_, index) => `q-${index}`);
  for (const id of ids) t.equal((await client.authorize(id, card(1), id === 'q-7' ? 999_999 : 10)).status, 200);
  const sum = { decided: 0, approved: 0, refused: 0 };
  const shown: string[] = [];
  while (sum.decided < ids.length) {
    const tick = await live.until();
    t.equal(numberOf(tick.id), numberOf(id) + 1, 'no tick is left out');
    id = tick.id;
    for (const name of ['decided', 'approved', 'refused'] as const) sum[name] += tick.data[name];
    shown.push(...tick.data.last.map((decision) => decision.id));
    if (tick.data.last.some((decision) => decision.id === 'q-7'))
      t.match(tick.data.byReason, { insufficient_funds: 1 });
  }
  t.same(sum, { decided: 30, approved: 29, refused: 0 });
  t.ok(shown.every((decision) => ids.includes(decision)) && new Set(shown).size === shown.length);
  t.ok(shown.length >= 20);
  const { data } = await live.until();
  t.match(data.latencyMs, { p50: Number, p99: Number, p999: Number });
  t.match(data.hopsMs, { wait: Number, decide: Number, journal: Number, send: Number });
  t.ok(data.slowest.length > 0 && data.slowest.every(({ p99Ms }) => p99Ms > 0));
  t.match(data.engines, [{ isUp: true, epoch: Number, partitions: [0], journalUsedShare: Number }]);
});

t.test('a client that comes back within a minute gets what it has missed, and nothing twice', async (t) => {
  const api = await startTestApi(t);
  const { live, headers } = await look(t, api);
  const seen = await live.until();
  live.close();
  const other = await LiveClient.open(t, api.url, headers);
  await other.until((tick) => tick.atMs > seen.data.atMs + 1000);
  const again = await LiveClient.open(t, api.url, { ...headers, 'last-event-id': seen.id });
  let { id } = seen;
  for (let count = 0; count < 8; count++) {
    const event = (await again.next())!;
    t.equal(event.event, 'tick', 'no history');
    t.equal(numberOf(event.id), numberOf(id) + 1);
    id = event.id;
  }
  const unknown = await LiveClient.open(t, api.url, { ...headers, 'last-event-id': '17-4' });
  t.equal((await unknown.next())!.event, 'history', 'of another process');
});

t.test('only operators read the stream, until their session ends, and each connection is recorded once', async (t) => {
  const api = await startTestApi(t);
  t.equal((await api.request('GET', '/api/live')).status, 401);
  const { users } = await createPerson(api.sql, 'ada', 0);
  t.equal((await api.request('GET', '/api/live', { token: await api.tokenOf(users[0]!.id) })).status, 403);
  const { live, token, headers } = await look(t, api);
  const head = await api.request('HEAD', '/api/live', { token });
  t.match(head, { status: 200, text: '' });
  await live.until();
  await live.until();
  const looks = await api.api.services.trail.list({ action: 'operator.looked' }, Number.MAX_SAFE_INTEGER, 10);
  t.same(
    looks.map(({ after }) => after),
    [{ route: '/api/live' }, { route: '/api/live' }],
    'one for each request',
  );
  t.equal((await api.request('POST', '/api/operators/logout', { headers })).status, 204);
  const endedMs = Date.now();
  while ((await live.next()) !== null);
  t.ok(Date.now() - endedMs < 5000, `the stream ended ${Date.now() - endedMs} ms after its session`);
  t.equal((await api.request('GET', '/api/live', { token })).status, 401);
});

t.test('each tick comes through nginx at once, and is not compressed', async (t) => {
  const api = await startTestApi(t);
  const at = new URL(api.url).host;
  const nginx = await TestNginx.start({
    engines: [{ auth: at, ops: at, weight: 1 }],
    apis: [{ api: at, weight: 1 }],
  });
  t.teardown(() => nginx.stop());
  const { headers } = await operatorSession(api.sql, api.api.services.operators);
  const live = await LiveClient.open(t, nginx.apiUrl, headers);
  t.match(live.headers, { server: 'nginx', 'content-type': 'text/event-stream' });
  t.equal(live.headers['content-encoding'], undefined);
  t.equal((await live.next())!.event, 'history');
  // A proxy that buffers 4 KiB or 8 KiB would send several of these small ticks together.
  const ticks = [await live.until(), await live.until(), await live.until(), await live.until()];
  for (const [index, { cameMs }] of ticks.entries()) {
    const next = ticks[index + 1];
    if (next !== undefined) t.ok(cameMs < next.data.atMs, 'a tick is here before the next one is made');
  }
});

t.test('streams have a bound, and a stop waits for none of them', async (t) => {
  const api = await startTestApi(t);
  const { headers, live } = await look(t, api);
  const more = await Promise.all(Array.from({ length: 249 }, () => LiveClient.open(t, api.url, headers)));
  t.match(await api.request('GET', '/api/live', { headers }), { status: 503, json: { title: 'overloaded' } });
  more.pop()!.close();
  await until('one is free', async () => (await api.request('GET', '/api/live', { headers })).status === 200);
  const metrics = await api.ops('/metrics');
  t.match(metrics.text, /api_requests_total\{route="GET \/api\/live",class="5xx"\} \d/);
  t.notMatch(metrics.text, /api_slow_responses_total [1-9]/);
  t.match(metrics.text, 'live_streams_refused_total 1');
  // One reads nothing: what it does not take is not kept for it.
  const startedMs = performance.now();
  await api.api.stop();
  t.ok(performance.now() - startedMs < 5000, `stopped after ${performance.now() - startedMs} ms`);
  while ((await live.next()) !== null);
});

t.test('three engines are merged, and one that was killed is shown as not up', async (t) => {
  const { start, url, sql } = await severalEngines(t);
  const engines = [await start(), await start(), await start()];
  const [first, second, third] = engines;
  const env = { DATABASE_URL: url, ENGINE_URL: `http://127.0.0.1:${first!.place.opsPort}` };
  const api = await startTestApi(t, { env });
  const { headers } = await operatorSession(sql, api.api.services.operators);
  const live = await LiveClient.open(t, api.url, headers);
  await live.until((tick) => tick.engines.length === 3 && isEngineUp(tick));
  const asked = Array.from({ length: 48 }, (_, index) =>
    engines[index % 3]!.client.authorize(`q-${index}`, card(1 + (index % 24))),
  );
  const approved = (await Promise.all(asked)).filter((reply) => answerOf(reply).approved).length;
  let decided = 0;
  const tick = await live.until((next) => {
    decided += next.approved;
    return decided >= approved;
  });
  t.equal(decided, approved, 'also of those that another engine than the asked one decided');
  const owned = tick.data.engines.flatMap(({ partitions }) => partitions).sort();
  t.same(owned, [0, 1, 2, 3, 4, 5], 'each partition is shown at one engine');

  const listed = await api.request('GET', '/api/engines', { headers });
  t.match(listed, { status: 200, json: { data: [{ epoch: Number }, {}, {}], next: null } });
  t.same(listed.json.data.flatMap((engine: { partitions: number[] }) => engine.partitions).sort(), owned);
  t.match(tick.data.alerts, [], 'nothing is wrong');

  await third!.kill('SIGKILL');
  const down = await live.until((next) => next.engines.some(({ isUp }) => !isUp));
  t.equal(down.data.engines.filter(({ isUp }) => isUp).length, 2);
  t.ok(down.data.engines.find(({ isUp }) => !isUp)!.ageMs >= 2000);
  // Also when the engine that listed the others is gone.
  await first!.kill('SIGKILL');
  await live.until((next) => next.engines.filter(({ isUp }) => isUp).length === 1);
  await until('the last one decides', async () => answerOf(await second!.client.authorize('last', card(1))).approved);
  await live.until(({ last }) => last.some(({ id }) => id === 'last'));
});
