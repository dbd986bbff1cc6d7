/**
 * Every query of every dashboard is run against a real Prometheus, which scrapes two engines, an API and all their
 * databases under some traffic. No panel is empty.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createServer } from 'node:tls';
import t, { type Test } from 'tap';
import { request } from '../../api/testing/api-inside.js';
import { ApiProcess } from '../../api/testing/api-process.js';
import { type ApiUnderTest, Customer, pay } from '../../api/testing/customer.js';
import { until } from '../../engine/testing/engine-process.js';
import { accounts, card, severalEngines, untilSpread } from '../../engine/testing/several-engines.js';
import { dashboardFiles, dashboards } from '../docs/dashboards.js';
import { findFreePort } from '../free-port.js';
import { findMonitorPrograms, monitorServices, prometheusFolder, writeTargets } from '../monitor-services.js';
import { Services } from '../services.js';
import { createTestCertificates } from '../testing/certificates.js';
import { folderFor, mongoFor, redisFor } from '../testing/for-test.js';
import { findAlertmanager, findPrometheus } from '../testing/test-prometheus.js';

t.setTimeout(300_000);

/** As long as the slowest panel takes: it is recorded every 30 s. */
const waitMs = 150_000;
const rateInterval = '30s';

/** A place with TLS for PUBLIC_URL, whose certificate is watched. */
async function publicUrl(t: Test): Promise<string> {
  const files = await createTestCertificates();
  const server = createServer({ cert: readFileSync(files.certificate), key: readFileSync(files.key) });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(async () => {
    server.close();
    await files.remove();
  });
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function deployment(t: Test) {
  const [redis, mongo] = [await redisFor(t), await mongoFor(t)];
  const { start, url } = await severalEngines(t);
  const engines = await Promise.all([start({ REDIS_URL: redis.url }), start({ REDIS_URL: redis.url })]);
  await untilSpread(engines);
  const { host } = new URL(url);
  const apiOpsPort = await findFreePort();
  const process = new ApiProcess(await findFreePort(), {
    // The second server is a standby that is away.
    DATABASE_URL: `${url.replace(host, `${host},127.0.0.1:1`)}?target_session_attrs=read-write`,
    MONGODB_URI: mongo.uri,
    REDIS_URL: redis.url,
    ENGINE_URL: `http://127.0.0.1:${engines[0]!.place.opsPort}`,
    API_OPS_PORT: String(apiOpsPort),
    PUBLIC_URL: await publicUrl(t),
  });
  t.teardown(() => process.stop());
  await process.ready();
  const ask: ApiUnderTest['request'] = (method, path, options) => request(process.url, method, path, options);
  return { engines, api: { engine: engines[0]!.place, request: ask }, apiOpsPort };
}

/** Starts Prometheus with our rules. @returns what asks it */
async function prometheusFor(t: Test, targets: Parameters<typeof writeTargets>[1]) {
  await Promise.all([findPrometheus(), findAlertmanager()]);
  const folder = folderFor(t);
  const prometheusPort = await findFreePort();
  const services = new Services(folder, () => undefined);
  t.teardown(() => services.stop());
  const group = await monitorServices(await findMonitorPrograms(), {
    ...{ folder, host: '127.0.0.1', prometheusPort, alertmanagerPort: await findFreePort(), everyS: 1 },
    alertmanagerConfig: join(prometheusFolder, 'alertmanager.yml'),
  });
  await writeTargets(folder, targets);
  await services.start(...group);
  return async (expression: string): Promise<number> => {
    const query = new URLSearchParams({ query: expression.replaceAll('$__rate_interval', rateInterval) });
    const response = await fetch(`http://127.0.0.1:${prometheusPort}/api/v1/query?${query}`);
    const { status, data, error } = (await response.json()) as {
      readonly status: string;
      readonly error?: string;
      readonly data: { readonly result: readonly { readonly value: readonly [number, string] }[] };
    };
    if (status !== 'success') throw new Error(`${expression}: ${error}`);
    return data.result.filter(({ value }) => Number.isFinite(Number(value[1]))).length;
  };
}

t.test('no panel is empty while a deployment with all its databases has traffic', async (t) => {
  const { engines, api, apiOpsPort } = await deployment(t);
  const ask = await prometheusFor(t, {
    engine: engines.map(({ place }) => `127.0.0.1:${place.opsPort}`),
    api: [`127.0.0.1:${apiOpsPort}`],
  });
  const customer = await Customer.register(api, 'personal');
  const account = await customer.accountId();
  await customer.post(`/api/accounts/${account}/deposits`, { amount: 100_000 });
  const own = await customer.card(account);
  let round = 0;
  const traffic = async (): Promise<void> => {
    round++;
    for (let number = 1; number <= accounts; number++) {
      await engines[(number + round) % 2]!.client.authorize(`d-${round}-${number}`, card(number), 1);
    }
    await pay(api, own.token, { amount: 1 });
    await customer.get('/api/accounts');
    await customer.get('/api/transactions');
    const status = round % 2 === 0 ? 'active' : 'frozen';
    await customer.change('PATCH', `/api/cards/${own.id}`, { status });
    const fresh = await customer.card(account);
    // A card that no engine has in memory is looked up.
    await pay(api, fresh.token, { amount: 1 });
  };
  const empty = new Set(dashboards.flatMap(({ rows }) => rows).flatMap(([, panels]) => panels));
  const count = empty.size;
  await until(
    'all panels have something',
    async () => {
      await traffic();
      for (const panel of empty) {
        const found = await Promise.all(panel.queries.map(([expression]) => ask(expression)));
        if (found.every((series) => series > 0)) empty.delete(panel);
      }
      await delay(200);
      return empty.size === 0;
    },
    waitMs,
  ).catch(() => undefined);
  t.same(
    [...empty].map(({ title, queries }) => ({ title, queries })),
    [],
  );
  t.ok(count > 70, `${count} panels`);
});

t.test('each query of a dashboard has a name, and ids are unique', async (t) => {
  for (const [path, text] of dashboardFiles()) {
    const { panels } = JSON.parse(text) as { panels: { targets?: { refId: string }[] }[] };
    for (const { targets = [] } of panels) {
      const names = targets.map(({ refId }) => refId);
      t.same(new Set(names).size, names.length, path);
    }
  }
});
