/** The API's ops port: what it serves, and that a flood there or at the customers' port harms neither. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { latencyEdges } from '../../deploy/testing/latency-edges.js';
import { createTestAccounts } from '../../deploy/testing/test-accounts.js';
import { answerToBytes } from '../../engine/testing/client.js';
import { until } from '../../engine/testing/engine-process.js';
import { IdleConnections } from '../../engine/testing/idle-connections.js';
import { createLog } from '../../platform/log.js';
import { ConnectionGate } from '../../platform/process/connection-gate.js';
import { startApi } from '../api.js';
import { readApiConfig } from '../config.js';
import { request, startTestApi } from '../testing/api-inside.js';
import { Health } from './health.js';
import { OpsServer } from './ops.js';

const connectionsMax = 64;

/** Connections that ask again as soon as they have an answer. */
class Flood {
  readonly #sockets: Socket[];
  readonly #startedMs = performance.now();
  answers = 0;

  constructor(t: Test, port: number, count: number) {
    this.#sockets = Array.from({ length: count }, (_, index) => {
      const socket = connect({ port, host: '127.0.0.1' });
      const ask = () => socket.write(`GET /${index % 2 === 0 ? 'metrics' : 'health'} HTTP/1.1\r\nhost: x\r\n\r\n`);
      socket.on('error', () => undefined).on('connect', ask);
      socket.on('data', (bytes) => {
        if (!bytes.includes('HTTP/1.1 200')) return;
        this.answers++;
        ask();
      });
      return socket;
    });
    t.teardown(() => {
      for (const socket of this.#sockets) socket.destroy();
    });
  }

  get closed(): number {
    return this.#sockets.filter(({ closed }) => closed).length;
  }
  get elapsedMs(): number {
    return performance.now() - this.#startedMs;
  }
}

t.test('the ops port serves health and metrics', async (t) => {
  const { api, ops, request: ask } = await startTestApi(t);
  t.same((await ops('/livez')).json, { status: 'alive' });
  t.same((await ops('/readyz')).json, { status: 'ready' });
  await ask('GET', '/readyz');
  const health = await ops('/health');
  t.equal(health.status, 200);
  // No engine runs in this test.
  t.match(health.json, {
    status: 'degraded',
    components: {
      database: { status: 'healthy', detail: /^answers; \d+ of \d+ connections busy/ },
      redis: { status: /^(?:healthy|disabled)$/ },
      marqeta: { status: 'unhealthy', detail: /the engines count Marqeta's calls/ },
      memory: { status: 'healthy', detail: /^[1-9]\d* MiB resident/ },
      disk: { status: 'healthy', detail: /^[1-9]\d* MiB of [1-9]\d* MiB free in \// },
      engine: { status: 'unhealthy' },
    },
  });
  const metrics = await ops('/metrics');
  t.match(metrics.text, /api_requests_total\{route="GET \/readyz",class="2xx"\} 1/);
  t.match(metrics.text, /api_request_quantile_seconds\{route="GET \/readyz",quantile="0.99"\} \d/);
  t.match(metrics.text, /connections_max\{port="api-ops"\} 64/);
  t.match(metrics.text, /^postgres_query_seconds_count\{use="ping"\} [1-9]/m);
  const { count, lacking } = latencyEdges(metrics.text);
  t.same(lacking, [], 'each latency histogram has the promised edges');
  t.ok(count >= 2, `${count} histograms`);
  t.match(metrics.headers.get('content-type'), /text\/plain/);
  t.match(await ops('/api/me'), { status: 404, json: { title: 'not_found' } }, 'the ops port does not serve customers');
  const posted = await request(api.opsUrl, 'POST', '/health');
  t.match(posted, { status: 405, json: { title: 'method_not_allowed' } });
  t.equal(posted.headers.get('allow'), 'GET');
});

t.test('a hundred simultaneous scrapes cause one collection', async (t) => {
  let scrapes = 0;
  let probes = 0;
  const health = new Health();
  health.add('counted', () => {
    probes++;
    return { status: 'healthy', detail: '' };
  });
  const server = new OpsServer({
    host: '127.0.0.1',
    port: 0,
    gate: new ConnectionGate('test', { max: 200, perAddressMax: 200 }, { warn: () => undefined }),
    health,
    scrape: async () => {
      scrapes++;
      await delay(20);
      if (scrapes === 1) throw new Error('the first one fails');
      return { contentType: 'text/plain', text: 'x 1' };
    },
  });
  const url = await server.listen();
  t.teardown(() => server.close());
  const all = (path: string) => Promise.all(Array.from({ length: 100 }, () => request(url, 'GET', path)));
  t.match(await request(url, 'GET', '/metrics'), { status: 503 }, 'a failure is not cached');
  const startedMs = performance.now();
  t.ok((await all('/metrics')).every(({ text }) => text === 'x 1'));
  t.ok((await all('/health')).every(({ json }) => json.components.counted.status === 'healthy'));
  const seconds = Math.ceil((performance.now() - startedMs) / 1000);
  t.ok(scrapes <= 1 + seconds && probes <= seconds, `${scrapes} scrapes and ${probes} looks in ${seconds} s`);
});

t.test('250 connections that flood the ops port delay neither customers nor the scrape', async (t) => {
  const { api, ops, request: ask, sql, tokenOf } = await startTestApi(t);
  await createTestAccounts(sql, 1, 0);
  const token = await tokenOf(1);
  const flood = new Flood(t, Number(new URL(api.opsUrl).port), 250);
  await until('connections beyond the bound are closed', () => flood.closed >= 250 - connectionsMax);
  for (let round = 0; round < 20; round++) {
    t.equal((await ask('GET', '/api/me', { token })).status, 200);
    t.match(await ops('/metrics'), { status: 200, text: /connections_open/ }, 'a new connection is served');
  }
  t.ok(api.services.opsGate.open <= connectionsMax);
  t.ok(flood.answers > 0 && flood.answers <= flood.elapsedMs / 5 + 1, `${flood.answers} in ${flood.elapsedMs} ms`);
});

t.test('while the customers’ port is full the ops port answers', async (t) => {
  const { api, ops } = await startTestApi(t, {
    env: { API_CONNECTIONS_MAX: '100', API_CONNECTIONS_PER_ADDRESS_MAX: '100' },
  });
  const idle = await IdleConnections.open({ port: Number(new URL(api.url).port), count: 250 });
  t.teardown(() => idle.close());
  await until('the port is full', () => api.services.gate.refusedByPort + api.services.gate.refusedByAddress >= 150);
  await t.rejects(request(api.url, 'GET', '/livez'), 'no connection is left for this address');
  t.equal((await ops('/livez')).status, 200);
  t.match((await ops('/metrics')).text, /connections_open\{port="api"\} 100/);
});

t.test('a client that sends requests ahead of its answers is disconnected', async (t) => {
  const { api, ops } = await startTestApi(t);
  const socket = connect(Number(new URL(api.opsUrl).port), '127.0.0.1');
  socket.write('GET /livez HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(1000));
  socket.resume();
  await once(socket, 'close');
  t.equal((await ops('/livez')).status, 200);
});

t.test('a request that is not HTTP, or too long, is answered with a problem and closed', async (t) => {
  const { api } = await startTestApi(t);
  const say = (bytes: string) => answerToBytes(Number(new URL(api.opsUrl).port), bytes);
  t.match(await say('FETCH / HTTP/1.1\r\nhost: x\r\n\r\n'), /^HTTP\/1\.1 400 [\s\S]*"title":"invalid_request"/);
  const long = `GET /livez HTTP/1.1\r\nhost: x\r\nlong: ${'x'.repeat(20_000)}\r\n\r\n`;
  t.match(await say(long), /^HTTP\/1\.1 431 [\s\S]*"title":"headers_too_large"/);
});

t.test('a port that is in use stops the start, and the setting is named', async (t) => {
  const { databaseUrl } = await startTestApi(t);
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.teardown(() => other.close());
  const { port } = other.address() as { port: number };
  for (const [name, others] of [
    ['API_OPS_PORT', {}],
    ['API_PORT', { API_OPS_PORT: '0' }],
  ] as const) {
    const config = readApiConfig({
      DATABASE_URL: databaseUrl,
      JWT_SECRET: 'a-secret-of-the-tests-with-enough-letters',
      ENGINE_TOKEN: 'unused-by-this-test',
      ...others,
      [name]: String(port),
    });
    await t.rejects(startApi(config, createLog('silent', 'api')), {
      message: `cannot listen on 127.0.0.1:${port}: another process uses that port; set ${name} or stop that process`,
    });
  }
});
