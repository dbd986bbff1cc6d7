/**
 * Connections and file descriptors. Idle connections beyond the bounds are refused, whatever their number. A process
 * that has no file descriptor all the same continues once it has one again.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type postgres from 'postgres';
import t, { type Test } from 'tap';
import { ApiProcess } from '../../../api/testing/api-process.js';
import { findFreePort } from '../../../deploy/free-port.js';
import { seedAccounts } from '../../../deploy/seed-accounts.js';
import { databaseFor, folderFor } from '../../../deploy/testing/for-test.js';
import { descriptorLimit } from '../../../platform/process/descriptors.js';
import { answerOf, basic, Client } from '../../testing/client.js';
import { killThread } from '../../testing/dying-storage.js';
import { startTestEngine } from '../../testing/engine-inside.js';
import {
  type EngineProcess,
  enginePlace,
  metric,
  opsGet,
  startEngineProcess,
  until,
} from '../../testing/engine-process.js';
import { IdleConnections } from '../../testing/idle-connections.js';

// The runner has a limit of its own.
t.setTimeout(0);

const card = 'card_000001_1';
let asked = 0;

function authorization(): object {
  return { id: `connections-${++asked}`, type: 'authorization', card, amount: 1, currency: 'USD' };
}

interface Place {
  readonly engine: EngineProcess;
  readonly client: Client;
  readonly sql: postgres.Sql;
  readonly databaseUrl: string;
}

async function startEngine(t: Test, changes: Readonly<Record<string, string>>, openFilesMax: number): Promise<Place> {
  const database = await databaseFor(t, { connections: 2 });
  const { sql } = database;
  await seedAccounts(sql, { accounts: 1, cardsPerAccount: 2, balanceMinor: 1_000_000 });
  const dataDir = folderFor(t);
  const environment = { DEADLINE_MS: '2000', ...changes };
  const engine = await startEngineProcess(await enginePlace(database.url, dataDir), environment, openFilesMax);
  const client = new Client(engine.place.authPort);
  t.teardown(async () => {
    client.close();
    await engine.kill('SIGTERM');
  });
  return { engine, client, sql, databaseUrl: database.url };
}

/** Takes this process' own file descriptors, and gives them back: it could not start a program for that itself. */
class OwnDescriptors {
  readonly #helper = spawn('sh', ['-c', `while read max; do prlimit --pid ${process.pid} --nofile=$max:; echo; done`]);

  async limit(max: number): Promise<void> {
    const done = once(this.#helper.stdout, 'data');
    this.#helper.stdin.write(`${max}\n`);
    await done;
  }

  end(): void {
    this.#helper.stdin.end();
  }
}

const openFiles = (pid: number, max: number, hard: number) =>
  spawnSync('prlimit', ['--pid', String(pid), `--nofile=${max}:${hard}`]);

t.test('the engine keeps working with twice as many idle connections as descriptors', async (t) => {
  const openFilesMax = 700;
  const { engine, client, sql, databaseUrl } = await startEngine(t, { OPS_CONNECTIONS_MAX: '32' }, openFilesMax);
  const { authPort, opsPort } = engine.place;
  const apiPort = await findFreePort();
  const environment = { DATABASE_URL: databaseUrl, ENGINE_URL: `http://127.0.0.1:${opsPort}` };
  const api = new ApiProcess(apiPort, { ...environment, DEMO: 'true', SELF_FUNDING: 'true' }, openFilesMax);
  t.teardown(() => api.stop());
  await api.ready();
  const call = async (method: string, path: string, body?: object, token?: string) => {
    const headers = { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) };
    const request = { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) };
    const response = await fetch(`${api.url}${path}`, { ...request, signal: AbortSignal.timeout(10_000) });
    return (await response.json()) as Record<string, unknown>;
  };
  const person = { email: 'someone@example.com', password: 'password-of-tests', name: 'Someone', kind: 'personal' };
  const { token } = (await call('POST', '/api/auth/register', person)) as { token: string };
  const { data } = (await call('GET', '/api/accounts', undefined, token)) as { data: { id: string }[] };
  const made = (await call('POST', '/api/cards', { accountId: data[0]!.id, name: 'A card' }, token)) as {
    id: string;
    token: string;
  };

  const idle: IdleConnections[] = [];
  t.teardown(() => {
    for (const one of idle) one.close();
  });
  for (const port of [authPort, opsPort, apiPort]) {
    idle.push(await IdleConnections.open({ port, count: openFilesMax * 2, from: '127.0.0.2' }));
  }
  const settledBefore = await metric(engine.place, 'shipper_sequence{partition="0"}');
  for (let index = 0; index < 200; index++) t.ok(answerOf(await client.native(authorization())).approved);
  const newcomer = new Client(authPort);
  t.ok(answerOf(await newcomer.native(authorization())).approved, 'a new connection from another address is accepted');
  newcomer.close();
  const frozen = await call('PATCH', `/api/cards/${made.id}`, { status: 'frozen' }, token);
  t.match(frozen, { status: 'frozen', effective: true });
  const declined = await client.native({ ...authorization(), card: made.token });
  t.match(answerOf(declined), { approved: false, reason: 'card_inactive' });
  await until(
    'all of it is settled',
    async () => (await metric(engine.place, 'shipper_sequence{partition="0"}')) >= settledBefore + 200,
  );
  t.match(JSON.parse((await opsGet(engine.place, '/health')).text), { status: 'healthy' });
  t.ok((await metric(engine.place, 'connections_refused_total{port="auth",cause="address"}')) > openFilesMax);
  t.ok((await metric(engine.place, 'connections_refused_total{port="ops",cause="address"}')) > openFilesMax);
  t.match(engine.logged, /"port":"auth",.*connections are being refused/);
  t.match(api.logged, /"port":"api",.*connections are being refused/);

  // From as many addresses as connections: the port's own bound holds.
  const many = (index: number) => `127.0.${1 + Math.floor(index / 250)}.${1 + (index % 250)}`;
  for (const port of [authPort, opsPort, apiPort]) {
    idle.push(await IdleConnections.open({ port, count: openFilesMax, from: many }));
  }
  t.ok(answerOf(await client.native(authorization())).approved, 'a client with an older open connection is answered');
  for (const one of idle) one.close();
  await until('connections are taken again', async () => {
    const again = new Client(authPort);
    const reply = await again.native(authorization()).catch(() => null);
    again.close();
    return reply?.status === 200;
  });
  t.ok((await metric(engine.place, 'connections_refused_total{port="auth",cause="port"}')) > 0);
  t.equal((await call('GET', `/api/cards/${made.id}`, undefined, token))['status'], 'frozen');
  t.ok(engine.isAlive && api.isAlive);
  t.notMatch(`${engine.logged}${api.logged}`, /EMFILE/);
  t.equal((await sql`select count(*)::int as count from transactions`)[0]!['count'] > 200, true);
});

t.test('a connection without a whole request is closed after a few seconds, on every port', async (t) => {
  const { engine, databaseUrl } = await startEngine(t, {}, 1000);
  const apiPort = await findFreePort();
  const apiOpsPort = await findFreePort();
  const environment = { DATABASE_URL: databaseUrl, ENGINE_URL: 'http://127.0.0.1:1', API_OPS_PORT: String(apiOpsPort) };
  const api = new ApiProcess(apiPort, environment, 1000);
  t.teardown(() => api.stop());
  await until('the API listens', () =>
    fetch(`${api.url}/livez`).then(
      ({ status }) => status === 200,
      () => false,
    ),
  );
  const headers = `host: x\r\nauthorization: ${basic()}\r\ncontent-type: application/json\r\ncontent-length: 300\r\n`;
  const begun = (path: string) => ({
    nothing: '',
    'a header': `POST ${path} HTTP/1.1\r\n${headers}x-slow: `,
    'a body': `POST ${path} HTTP/1.1\r\n${headers}\r\n{`,
  });
  const slow: [string, IdleConnections][] = [];
  for (const [port, number, path] of [
    ['auth', engine.place.authPort, '/v1/authorizations'],
    ['ops', engine.place.opsPort, '/v1/authorizations'],
    ['api', apiPort, '/api/auth/login'],
    ['api ops', apiOpsPort, '/health'],
  ] as const) {
    for (const [name, sends] of Object.entries(begun(path))) {
      // The API's ops port reads no body: it answers at once.
      if (port === 'api ops' && name === 'a body') continue;
      slow.push([`${port}: ${name}`, await IdleConnections.open({ port: number, count: 1, sends })]);
    }
  }
  const dribble = setInterval(() => {
    for (const [name, idle] of slow) if (!name.endsWith('nothing')) idle.send(' ');
  }, 500);
  t.teardown(() => clearInterval(dribble));
  await until('all are closed', () => slow.every(([, idle]) => idle.open === 0), 30_000, 100).catch(() => undefined);
  for (const [name, { endedAfterMs }] of slow)
    t.ok(endedAfterMs[0]! > 3000 && endedAfterMs[0]! < 15_000, `${name}: ${endedAfterMs[0]} ms`);
});

t.test('engine and API survive without a free file descriptor and recover once some are free', async (t) => {
  const openFilesMax = 1000;
  const { engine, client, sql, databaseUrl } = await startEngine(t, { FEED_STALE_MS_MAX: '60000' }, openFilesMax);
  const environment = { DATABASE_URL: databaseUrl, ENGINE_URL: `http://127.0.0.1:${engine.place.opsPort}` };
  const api = new ApiProcess(await findFreePort(), environment, openFilesMax);
  t.teardown(() => api.stop());
  await api.ready();
  const pids = [engine.child.pid!, api.pid];
  t.ok(answerOf(await client.native(authorization())).approved);
  // Open before, so that it can be asked when no other can be opened.
  const look = connect(engine.place.opsPort, '127.0.0.1');
  let seen = '';
  look.setEncoding('utf8').on('data', (text: string) => {
    seen += text;
  });
  t.teardown(() => look.destroy());
  const answers = () => seen.match(/HTTP\/1\.1 \d+/g)?.length ?? 0;
  look.write('GET /livez HTTP/1.1\r\nhost: x\r\n\r\n');
  await until('the connection is there', () => answers() > 0);

  for (const pid of pids) openFiles(pid, 25, openFilesMax);
  await sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()
    and pid <> pg_backend_pid()`;
  const idle = [
    await IdleConnections.open({ port: engine.place.authPort, count: 20 }),
    await IdleConnections.open({ port: engine.place.opsPort, count: 20 }),
    await IdleConnections.open({ port: Number(new URL(api.url).port), count: 20 }),
  ];
  for (let round = 1; round <= 6; round++) {
    for (const path of ['/health', '/metrics']) {
      const before = answers();
      look.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
      await until(`${path} is answered`, () => answers() > before);
    }
    t.ok(answerOf(await client.native(authorization())).approved, 'a known card is decided');
    await delay(300);
  }
  for (const one of idle) one.close();
  t.ok(engine.isAlive && api.isAlive, `engine and API stay up: ${engine.logged} ${api.logged}`);

  for (const pid of pids) openFiles(pid, openFilesMax, openFilesMax);
  const settled = () => metric(engine.place, 'shipper_lag_records{partition="0"}');
  await until('what waited is settled', async () => (await settled()) === 0, 30_000);
  t.ok(answerOf(await client.native(authorization())).approved);
  await until('the engine is healthy', async () => (await opsGet(engine.place, '/health')).status === 200, 30_000);
  await until('the API is ready', async () => (await fetch(`${api.url}/readyz`)).status === 200, 30_000);
  t.equal(await metric(engine.place, 'worker_restarts'), 0);
});

t.test('threads that die without a free file descriptor are replaced once some are free', async (t) => {
  const engine = await startTestEngine(t, { accounts: 1, changes: { DEADLINE_MS: '2000' } });
  const own = new OwnDescriptors();
  t.teardown(() => own.end());
  const before = descriptorLimit();
  t.ok(answerOf(await engine.client.native(authorization())).approved);
  // The storage says it first, so that the thread's replacement is still to be made when the process has none either.
  engine.disk.outOfDescriptors(true);
  killThread(engine.disk, 0, 'beforeWrite');
  t.equal((await engine.client.native(authorization())).status, 503);
  await until('it is being replaced', async () => (await metric(engine.place, 'worker_restarts')) > 0);
  await own.limit(25);
  engine.disk.outOfDescriptors(false);
  try {
    // Longer than several tries to replace the threads take.
    await delay(3000);
    t.equal((await engine.client.native(authorization())).status, 503, 'messages are declined meanwhile');
  } finally {
    await own.limit(before);
  }
  await until('it approves', async () => answerOf(await engine.client.native(authorization())).approved, 90_000, 50);
});
