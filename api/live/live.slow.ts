/**
 * The live stream under load: 200 clients read while thousands of messages a second are decided. What it costs the
 * engine is compared between spells with a reader and without, by turns. Figures go to the output; only counts are
 * judged, because the machine may be busy with something else. For figures: LIVE_SECONDS=15, LIVE_ROUNDS=6,
 * LIVE_RATE=20000 and LIVE_CLIENTS=1.
 */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import type postgres from 'postgres';
import t, { type Test } from 'tap';
import { load, newIdPrefix } from '../../bench/load/load.js';
import { uniformTraffic } from '../../bench/load/uniform.js';
import { readProcessCpu } from '../../bench/process-stats.js';
import { startEmbeddedPostgres } from '../../deploy/embedded-postgres.js';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { databaseFor, folderFor } from '../../deploy/testing/for-test.js';
import { type EnginePlace, metric, testPassword, testUser } from '../../engine/testing/engine-process.js';
import { LiveLines } from '../../engine/testing/live-lines.js';
import { Passwords } from '../auth/passwords.js';
import { addOperator } from '../stores/operators.js';
import type { ApiUnderTest } from '../testing/customer.js';
import { startProcesses } from '../testing/engine-and-api.js';
import { LiveClient } from '../testing/live-client.js';
import type { LiveTick } from './live-shape.js';

t.setTimeout(0);

const { LIVE_RATE = '5000', LIVE_SECONDS = '5', LIVE_ROUNDS = '2', LIVE_CLIENTS = '200' } = process.env;
const ratePerSecond = Number(LIVE_RATE);
const durationMs = Number(LIVE_SECONDS) * 1000;
const warmUpMs = 3000;
const loadSeconds = (warmUpMs + durationMs) / 1000;
const accounts = 2000;
const clients = Number(LIVE_CLIENTS);

function decide({ authPort }: EnginePlace, ms: number) {
  return load({
    host: '127.0.0.1',
    port: authPort,
    traffic: uniformTraffic({
      path: '/v1/authorizations',
      credentials: { user: testUser, password: testPassword },
      kind: 'authorization',
      idPrefix: newIdPrefix('live'),
      cardFirst: 1,
      cardCount: accounts,
      cardsPerAccount: 1,
      cardOrder: 'random',
      amountMinorMin: 1000,
      amountMinorMax: 9999,
      answers: 'decision',
    }),
    pace: { kind: 'open', ratePerSecond, arrivals: 'poisson' },
    connectionCount: 256,
    threadCount: 1,
    warmUpMs,
    durationMs: ms,
    requestCountMax: null,
    timeoutMs: 5000,
    seed: 7,
  });
}

/** Reads without looking at what it reads. */
async function reader(t: Test, url: string, headers: Readonly<Record<string, string>>) {
  const request = get(`${url}/api/live`, { headers, agent: false });
  t.teardown(() => request.destroy());
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const read = { ticks: 0, first: 0, last: 0, bytes: 0, isOpen: true };
  let rest = '';
  response.setEncoding('utf8').on('data', (text: string) => {
    read.bytes += Buffer.byteLength(text);
    const events = (rest + text).split('\n\n');
    rest = events.pop()!;
    for (const event of events) {
      const number = Number(/^id: \d+-(\d+)/.exec(event)?.[1] ?? 0);
      if (number === 0) continue;
      read.ticks++;
      read.first ||= number;
      read.last = number;
    }
  });
  response.once('close', () => {
    read.isOpen = false;
  });
  response.on('error', () => undefined);
  return read;
}

function quantile(sorted: readonly number[], share: number): number {
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]! * 10) / 10;
}

async function operatorHeaders(sql: postgres.Sql, request: ApiUnderTest['request']) {
  const [email, password] = ['viewer@example.com', 'a-password-of-tests'];
  const passwordHash = await new Passwords().hash(password);
  await addOperator(sql, { email, name: 'Grace', role: 'viewer', passwordHash, totpSecret: null });
  const { json } = await request('POST', '/api/operators/login', { body: { email, password } });
  return { authorization: `Bearer ${json.token}` };
}

/** A server of its own, as a deployment runs it: the tests' one is not in the background, and does not sync. */
async function world(t: Test) {
  const server = await startEmbeddedPostgres({ dataDir: folderFor(t), log: () => undefined });
  t.teardown(() => server.stop());
  const { url, sql } = await databaseFor(t, { serverUrl: server.url });
  await seedAccounts(sql, { accounts, cardsPerAccount: 1, balanceMinor: 1_000_000_000 });
  return { sql, ...(await startProcesses(t, url)) };
}

t.test(`${clients} clients read every tick while ${ratePerSecond} messages a second are decided`, async (t) => {
  const { sql, place, api, engine } = await world(t);
  const headers = await operatorHeaders(sql, api.request);
  const live = await LiveClient.open(t, api.process.url, headers);
  await live.until(({ engines }) => engines.some(({ isUp }) => isUp));
  const readers = await Promise.all(Array.from({ length: clients - 1 }, () => reader(t, api.process.url, headers)));
  const before = await metric(place, 'authorization_decisions_total{reason="approved"}');
  const cpu = () => [engine.child.pid!, api.process.pid].map((pid) => readProcessCpu(pid)?.totalSeconds ?? Number.NaN);
  const cpuBefore = cpu();
  const ticks: { readonly cameMs: number; readonly tick: LiveTick }[] = [];
  let isOver = false;
  const following = (async () => {
    while (!isOver) {
      const { cameMs, data } = await live.until();
      ticks.push({ cameMs, tick: data });
    }
  })();
  const result = await decide(place, durationMs);
  const endedMs = Date.now();
  const cpuAfter = cpu();
  const after = await metric(place, 'authorization_decisions_total{reason="approved"}');
  const counted = () => ticks.reduce((sum, { tick }) => sum + tick.approved, 0);
  while (counted() < after - before) await new Promise((resolve) => setTimeout(resolve, 250));
  isOver = true;
  await following;
  t.equal(counted(), after - before, 'each decision is counted once');
  t.ok(
    readers.every(({ isOpen }) => isOpen),
    'no client was cut off',
  );
  t.ok(
    readers.every(({ ticks: count, first, last }) => count === last - first + 1 && count > 4),
    'no client lacks a tick',
  );
  // From the decision, not the answer, until the client has read its tick. Behind the end of the load the newest
  // decision of a tick is as old as the rest of the tick is long.
  const during = ticks.filter(({ cameMs }) => cameMs < endedMs);
  const delays = during.flatMap(({ cameMs, tick }) => tick.last.map(({ atMs }) => cameMs - atMs)).sort((a, b) => a - b);
  const gaps = ticks.slice(1).map(({ cameMs }, index) => cameMs - ticks[index]!.cameMs);
  t.comment(`${Math.round(result.answersPerSecond)} answers a second, answered in ${JSON.stringify(result.latency)}`);
  t.comment(`decision to client: p50 ${quantile(delays, 0.5)} ms, p99 ${quantile(delays, 0.99)} ms, ${delays.length}`);
  t.comment(`longest pause between two ticks: ${Math.max(...gaps)} ms`);
  const [engineCpu, apiCpu] = cpuAfter.map((seconds, index) => (seconds - cpuBefore[index]!) / loadSeconds);
  t.comment(`cores: engine ${engineCpu!.toFixed(2)}, API ${apiCpu!.toFixed(2)}`);
  t.comment(`bytes a client and second: ${Math.round((readers[0]?.bytes ?? Number.NaN) / loadSeconds)}`);
});

t.test('an engine with a reader decides as much as one without', async (t) => {
  const { place, engine, api } = await world(t);
  // The API reads too.
  await api.process.stop();
  const spells: { readonly isRead: boolean; readonly microseconds: number }[] = [];
  for (let round = 0; round < 2 * Number(LIVE_ROUNDS); round++) {
    const isRead = round % 4 === 1 || round % 4 === 2;
    const lines = isRead ? await LiveLines.open(t, place) : null;
    const drained = lines?.until(() => false).catch(() => undefined);
    const before = readProcessCpu(engine.child.pid!)!.totalSeconds;
    const result = await decide(place, durationMs);
    const seconds = readProcessCpu(engine.child.pid!)!.totalSeconds - before;
    lines?.close();
    await drained;
    spells.push({
      isRead,
      microseconds: (seconds * 1e6) / (result.answersPerSecond * loadSeconds),
    });
    t.equal(result.wrongCount, 0);
  }
  const mean = (isRead: boolean) => {
    const of = spells.filter((spell) => spell.isRead === isRead).map(({ microseconds }) => microseconds);
    return of.reduce((sum, one) => sum + one, 0) / of.length;
  };
  t.comment(
    spells.map(({ isRead, microseconds }) => `${isRead ? 'read' : 'alone'} ${microseconds.toFixed(1)}`).join(', '),
  );
  t.comment(`CPU of a message: ${mean(false).toFixed(2)} us alone, ${mean(true).toFixed(2)} us with a reader`);
});
