/** nginx as a deployment runs it, in front of one real engine and two real APIs. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { request as requestTls } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { Deployment } from '../../api/testing/deployment.js';
import { Client, Connection, type Reply, stableBody } from '../../engine/testing/client.js';
import { metric } from '../../engine/testing/engine-process.js';
import { TcpProxy } from '../../engine/testing/tcp-proxy.js';
import { findFreePort } from '../free-port.js';
import { createTestCertificates } from '../testing/certificates.js';
import { TestNginx } from '../testing/test-nginx.js';

const local = (port: number) => `127.0.0.1:${port}`;
const isProblem = (reply: Reply, status: number) =>
  reply.status === status &&
  reply.headers.get('content-type')?.startsWith('application/problem+json') === true &&
  JSON.parse(reply.body).status === status;

async function start(t: Test, upstreams: Parameters<typeof TestNginx.start>[0]): Promise<TestNginx> {
  const nginx = await TestNginx.start(upstreams);
  t.teardown(() => nginx.stop());
  return nginx;
}

/** A server for which a handler of the test answers. */
async function upstream(t: Test, handler: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer(handler).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return local((server.address() as AddressInfo).port);
}

/** A port on which every connection is accepted and nothing is ever answered. */
async function silentPort(t: Test): Promise<number> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => undefined).resume();
    t.teardown(() => socket.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => new Promise((resolve) => server.close(resolve)));
  return (server.address() as AddressInfo).port;
}

/** A GET from an address of loopback. */
function getFrom(localAddress: string, url: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { localAddress, headers, agent: false }, (response) => resolve(response.resume()));
    sent.on('error', reject).end();
  });
}

t.test('a deployment behind nginx', async (t) => {
  const deployment = await Deployment.start(t, { PARTITIONS: '1' });
  const { engine, customer } = deployment;
  const second = await deployment.newApi({});
  t.teardown(() => (second.isAlive ? second.stop('SIGKILL') : undefined));
  // nginx takes these two for two engines.
  const ways = [await TcpProxy.start(engine.authPort), await TcpProxy.start(engine.authPort)];
  for (const way of ways) t.teardown(() => way.close());
  const stalled = await TcpProxy.start(Number(new URL(deployment.apiUrl).port));
  t.teardown(() => stalled.close());
  const apis = [local(stalled.port), local(Number(new URL(second.url).port))].map((api) => ({ api, weight: 1 }));
  const engines = ways.map(({ port }) => ({ auth: local(port), ops: local(engine.opsPort), weight: 1 }));
  const nginx = await start(t, { engines, apis });
  const { token: card } = await customer.card(await customer.accountId());
  const client = new Client(nginx.authPort);
  t.teardown(() => client.close());
  const question = (id: string, token = card) => ({
    id,
    type: 'authorization',
    card: token,
    amount: 100,
    currency: 'USD',
    merchant: { id: 'm-1', name: 'Corner Store', mcc: '5411', country: 'US' },
    channel: 'chip',
  });
  const me = () => fetch(`${nginx.apiUrl}/api/me`, { headers: { authorization: `Bearer ${customer.token}` } });

  // uWebSockets.js closes what was idle for 8 to 12 s; nginx sends nothing into a connection that is being closed.
  const idle = (async () => {
    const statuses: number[] = [];
    for (const idleMs of [0, 6_000, 9_000]) {
      await delay(idleMs);
      const ids = Array.from({ length: 8 }, (_, index) => `idle-${idleMs}-${index}`);
      const own = ids.map(() => new Connection(nginx.authPort));
      const replies = await Promise.all(
        own.map((connection, index) => connection.ask({ body: JSON.stringify(question(ids[index]!)) })),
      );
      for (const connection of own) connection.close();
      statuses.push(...replies.map(({ status }) => status));
    }
    return statuses;
  })();

  await t.test('both ports say whether nginx runs, and whether anything behind it can serve', async (t) => {
    for (const url of [nginx.authUrl, nginx.apiUrl]) {
      for (const path of ['/livez', '/readyz']) t.equal((await fetch(url + path)).status, 200, `${url}${path}`);
    }
    for (const path of ['/metrics', '/health', '/admin/engines']) {
      t.equal((await client.ask({ method: 'GET', path })).status, 404, `${path} stays inside`);
    }
  });

  await t.test('an authorization through nginx is the one that the engine answers', async (t) => {
    const direct = new Client(engine.authPort);
    t.teardown(() => direct.close());
    const through = await client.native(question('both ways'));
    const straight = await direct.native(question('both ways'));
    t.equal(through.status, 200);
    t.match(JSON.parse(through.body), { approved: true });
    t.equal(stableBody(through.body), stableBody(straight.body));
    t.equal(through.headers.get('content-type'), straight.headers.get('content-type'));
    for (const changes of [{ authorization: 'Basic wrong' }, { 'content-type': 'text/plain' }]) {
      const refused = await client.ask({ headers: changes, body: '{}' });
      t.equal(refused.body, (await direct.ask({ headers: changes, body: '{}' })).body);
    }
  });

  await t.test('requests that a client sends without waiting are answered in order', async (t) => {
    const connection = new Connection(nginx.authPort);
    t.teardown(() => connection.close());
    const replies = await Promise.all(
      ['one', 'two', 'three'].map((id) => connection.ask({ body: JSON.stringify(question(id)) })),
    );
    t.same(
      replies.map(({ body }) => JSON.parse(body).id),
      ['one', 'two', 'three'],
    );
  });

  await t.test('a body above 64 KiB is refused on both ports as we refuse', async (t) => {
    const body = 'x'.repeat(65_537);
    t.ok(isProblem(await client.ask({ body }), 413), 'authorization port');
    t.ok(isProblem(await new Client(nginx.apiPort).ask({ path: '/api/auth/login', body }), 413), 'API');
  });

  await t.test('an API that stands still is left after ten seconds, and the other one answers', async (t) => {
    stalled.stall();
    const startedAtMs = performance.now();
    const replies = await Promise.all([me(), me(), me(), me()]);
    t.same(
      replies.map(({ status }) => status),
      [200, 200, 200, 200],
    );
    const tookMs = performance.now() - startedAtMs;
    t.ok(tookMs > 9_900, `the first try was given up after ${tookMs} ms`);
    stalled.heal();
  });

  await t.test('connections that were idle for 6 and 9 seconds end in no 502', async (t) => {
    t.same(new Set(await idle), new Set([200]));
    t.notMatch(nginx.logged, /prematurely closed|reset by peer/);
  });

  await t.test('an API that trusts nginx limits the address of the client, whatever the client claims', async (t) => {
    const limited = await deployment.newApi({ TRUSTED_PROXIES: '127.0.0.1', RATE_LIMIT_ANONYMOUS_PER_MINUTE: '4' });
    t.teardown(() => limited.stop('SIGKILL'));
    const nginx = await start(t, {
      engines: [{ auth: local(1), ops: local(1), weight: 1 }],
      apis: [{ api: local(Number(new URL(limited.url).port)), weight: 1 }],
    });
    const statuses: (number | undefined)[] = [];
    // Nine requests are more than two minutes allow.
    for (let count = 0; count < 9; count++) {
      const headers = { 'x-forwarded-for': `192.0.2.${count}` };
      statuses.push((await getFrom('127.0.0.2', `${nginx.apiUrl}/api/nothing`, headers)).statusCode);
    }
    t.equal(statuses[0], 404);
    t.ok(statuses.includes(429), statuses.join(' '));
    t.equal((await getFrom('127.0.0.3', `${nginx.apiUrl}/api/nothing`)).statusCode, 404, 'another client');
  });

  await t.test('every request is answered after one API was killed', async (t) => {
    await second.stop('SIGKILL');
    const statuses: number[] = [];
    for (let count = 0; count < 20; count++) statuses.push((await me()).status);
    t.same(new Set(statuses), new Set([200]));
    t.equal((await fetch(`${nginx.apiUrl}/readyz`)).status, 200);
  });

  await t.test('a 503 of the engine is passed on once, and asked of no other engine', async (t) => {
    const database = new URL(deployment.databaseUrl);
    const slow = await TcpProxy.start(Number(database.port), database.hostname);
    t.teardown(() => slow.close());
    await deployment.startEngine({ DATABASE_URL: slow.url(deployment.databaseUrl), DEADLINE_MS: '20' });
    slow.delayMs = 200;
    const reply = await client.native(question('refused', 'a card that must be looked up'));
    t.equal(reply.status, 503);
    t.match(JSON.parse(reply.body), { approved: false, reason: 'system_error' });
    slow.delayMs = 0;
    t.equal(await metric(engine, 'authorization_refusals_total{reason="system_error"}'), 1);
  });
});

t.test('nginx serves files for a year, and compresses them and what an API left as it was', async (t) => {
  const assetsRoot = await mkdtemp(join(tmpdir(), 'assets-'));
  t.teardown(() => rm(assetsRoot, { recursive: true, force: true }));
  // Workers of nginx run as another user.
  await chmod(assetsRoot, 0o755);
  await mkdir(join(assetsRoot, 'assets'));
  const text = 'const a = 1;\n'.repeat(200);
  await writeFile(join(assetsRoot, 'assets', 'app-1a2b.js'), text);
  const seen: Record<string, string | undefined>[] = [];
  const api = await upstream(t, ({ headers, url }, response) => {
    seen.push({ url, forwarded: headers['x-forwarded-for'] as string, proto: headers['x-forwarded-proto'] as string });
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify('x'.repeat(url === '/api/short' ? 900 : 2_000)));
  });
  const nginx = await start(t, {
    engines: [{ auth: local(1), ops: local(1), weight: 1 }],
    apis: [{ api, weight: 1 }],
    assetsRoot,
  });
  const get = (path: string, headers = {}) => getFrom('127.0.0.2', nginx.apiUrl + path, headers);
  const gzip = { 'accept-encoding': 'gzip' };

  const asset = await fetch(`${nginx.apiUrl}/assets/app-1a2b.js`);
  t.equal(asset.headers.get('cache-control'), 'public, max-age=31536000, immutable');
  t.match(asset.headers.get('content-type'), 'text/javascript');
  t.equal(await asset.text(), text);
  const packed = await get('/assets/app-1a2b.js', gzip);
  t.equal(packed.headers['content-encoding'], 'gzip');
  const none = await get('/assets/none.js');
  t.equal(none.statusCode, 404);
  t.equal(none.headers['cache-control'], undefined, 'an error is not kept for a year');
  t.equal((await get('/assets/../nginx.conf')).statusCode, 200, 'is a path of the API, not of the disk');

  t.equal((await get('/api/long', gzip)).headers['content-encoding'], 'gzip');
  t.equal((await get('/api/long', { ...gzip, 'x-no-compression': '1' })).headers['content-encoding'], undefined);
  t.equal((await get('/api/short', gzip)).headers['content-encoding'], undefined, 'below 1 KiB');
  await get('/api/forged', { 'x-forwarded-for': '192.0.2.9' });
  t.match(seen.at(-1), { url: '/api/forged', forwarded: '192.0.2.9, 127.0.0.2', proto: 'http' });
});

t.test('events arrive one by one', async (t) => {
  let response: ServerResponse | null = null;
  const api = await upstream(t, (_request, answer) => {
    response = answer;
    answer.setHeader('content-type', 'text/event-stream');
    answer.write('data: first\n\n');
  });
  const nginx = await start(t, {
    engines: [{ auth: local(1), ops: local(1), weight: 1 }],
    apis: [{ api, weight: 1 }],
  });
  const stream = await fetch(`${nginx.apiUrl}/api/anything`, { headers: { accept: 'text/event-stream' } });
  const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader();
  t.equal((await reader.read()).value, 'data: first\n\n', 'before the second one is sent');
  response!.end('data: second\n\n');
  t.equal((await reader.read()).value, 'data: second\n\n');
});

t.test('without an engine that answers nginx says so in our form, in time', async (t) => {
  const away = await start(t, {
    engines: [{ auth: local(1), ops: local(1), weight: 1 }],
    apis: [{ api: local(1), weight: 1 }],
  });
  t.ok(isProblem(await new Client(away.authPort).ask({ body: '{}' }), 502), 'refused connections');
  t.equal((await fetch(`${away.authUrl}/livez`)).status, 200, 'nginx itself runs');
  t.not((await fetch(`${away.authUrl}/readyz`)).status, 200);
  t.not((await fetch(`${away.apiUrl}/readyz`)).status, 200);

  const silent = await silentPort(t);
  const still = await start(t, {
    engines: [
      { auth: local(silent), ops: local(silent), weight: 1 },
      { auth: local(silent), ops: local(silent), weight: 1 },
    ],
    apis: [{ api: local(silent), weight: 1 }],
  });
  const startedAtMs = performance.now();
  t.ok(isProblem(await new Client(still.authPort).ask({ body: '{}' }), 504), 'no answer');
  const tookMs = performance.now() - startedAtMs;
  t.ok(tookMs > 3_900 && tookMs < 8_000, `given up after ${tookMs} ms, once`);
});

t.test('a message to an engine whose process stands still goes to another one in time', async (t) => {
  const answer = "require('http').createServer((q, a) => q.resume().on('end', () => a.end('stopped')))";
  const listen = `${answer}.listen(0, '127.0.0.1', function () { console.log(this.address().port) })`;
  const stopped = spawn(process.execPath, ['-e', listen], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => stopped.kill('SIGKILL'));
  const [said] = (await once(stopped.stdout!, 'data')) as [Buffer];
  const other = await upstream(t, (request, response) => request.resume().on('end', () => response.end('other')));
  const deadlineMs = 100;
  const nginx = await start(t, {
    engines: [local(Number(said)), other].map((auth) => ({ auth, ops: other, weight: 1 })),
    apis: [{ api: other, weight: 1 }],
    deadlineMs,
  });
  const ask = async () => {
    const client = new Client(nginx.authPort);
    t.teardown(() => client.close());
    const sentAtMs = performance.now();
    const { body } = await client.ask({ body: '{}' });
    return { body, tookMs: performance.now() - sentAtMs };
  };
  const before = await Promise.all([ask(), ask(), ask(), ask()]);
  t.same(new Set(before.map(({ body }) => body)), new Set(['stopped', 'other']), 'both are asked');
  // Its kernel goes on to accept connections.
  stopped.kill('SIGSTOP');
  const asked = await Promise.all([ask(), ask(), ask(), ask()]);
  t.same(new Set(asked.map(({ body }) => body)), new Set(['other']));
  const longest = Math.max(...asked.map(({ tookMs }) => tookMs));
  t.ok(longest > deadlineMs, 'one was at the stopped engine first');
  t.ok(longest < 2500, `the longest took ${longest.toFixed(0)} ms`);
});

t.test('what the APIs ask of an engine that hangs goes to another one in time', async (t) => {
  const silent = local(await silentPort(t));
  const answering = await upstream(t, (_, response) => response.end('{}'));
  const admin = { host: '127.0.0.1', port: await findFreePort() };
  const engines = [silent, answering].map((at) => ({ auth: at, ops: at, weight: 1 }));
  await start(t, { engines, apis: [{ api: answering, weight: 1 }], admin });
  // The API gives up a look after 2 s and a movement after 5 s; a busy machine has twice that. Of two requests one is
  // sent to the silent engine first.
  for (const [method, path, waitsMs] of [
    ['GET', '/admin/accounts?ids=acct_1', 4_000],
    ['POST', '/admin/accounts/acct_1/deposits', 10_000],
  ] as const) {
    const asked = [1, 2].map(() =>
      fetch(`http://127.0.0.1:${admin.port}${path}`, { method, signal: AbortSignal.timeout(waitsMs) }),
    );
    for (const { status } of await Promise.all(asked)) t.equal(status, 200, path);
  }
  for (const path of ['/metrics', '/health']) {
    t.equal((await fetch(`http://127.0.0.1:${admin.port}${path}`)).status, 404, `${path} is not for the APIs`);
  }
});

t.test('with a certificate both ports speak TLS alone', async (t) => {
  const certificates = await createTestCertificates();
  t.teardown(() => certificates.remove());
  const api = await upstream(t, ({ headers }, response) => response.end(headers['x-forwarded-proto']));
  const nginx = await start(t, {
    engines: [{ auth: api, ops: api, weight: 1 }],
    apis: [{ api, weight: 1 }],
    tls: { certificate: certificates.certificate, key: certificates.key },
  });
  const ca = await readFile(certificates.authority);
  for (const port of [nginx.authPort, nginx.apiPort]) {
    const sent = requestTls({ host: 'localhost', port, path: '/x', ca, agent: false }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    t.equal(response.statusCode, 200);
    let text = '';
    for await (const part of response) text += part;
    t.equal(text, 'https');
    t.equal((await fetch(`http://127.0.0.1:${port}/x`)).status, 400, 'plain HTTP');
  }
});

t.test('a compressed answer is the answer', async (t) => {
  const body = JSON.stringify('y'.repeat(5_000));
  const api = await upstream(t, (_request, response) => {
    response.setHeader('content-type', 'application/json').end(body);
  });
  const nginx = await start(t, { engines: [{ auth: api, ops: api, weight: 1 }], apis: [{ api, weight: 1 }] });
  const sent = request(`${nginx.apiUrl}/api/x`, { headers: { 'accept-encoding': 'gzip' }, agent: false }).end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  t.equal(gunzipSync(Buffer.concat(parts)).toString('utf8'), body);
});
