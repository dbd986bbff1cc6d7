/** `make monitor`: real Prometheus and Alertmanager bring an alert from an ops port to a receiver. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { until } from '../engine/testing/engine-process.js';
import { findFreePort } from './free-port.js';
import { folderFor } from './testing/for-test.js';
import { findAlertmanager, findPrometheus } from './testing/test-prometheus.js';

t.setTimeout(180_000);

const program = fileURLToPath(new URL('./monitor.js', import.meta.url));

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

t.test('a quarantined record reaches a receiver as an alert, and Ctrl-C ends both servers', async (t) => {
  await Promise.all([findPrometheus(), findAlertmanager()]);
  const folder = folderFor(t);
  // An engine as far as a scrape goes.
  const ops = createServer((_, response) => {
    response.end('# TYPE x gauge\nauthorization_decisions_total{reason="approved"} 1\nquarantined_records 3\n');
  });
  const opsPort = await listening(ops);
  const received: { status: string; alerts: { labels: object; annotations: object }[] }[] = [];
  const receiver = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    received.push(JSON.parse(body));
    response.end();
  });
  const receiverPort = await listening(receiver);
  t.teardown(() => {
    for (const server of [ops, receiver]) {
      server.closeAllConnections();
      server.close();
    }
  });
  const config = join(folder, 'receivers.yml');
  writeFileSync(
    config,
    JSON.stringify({
      route: { receiver: 'here', group_wait: '0s' },
      receivers: [{ name: 'here', webhook_configs: [{ url: `http://127.0.0.1:${receiverPort}/` }] }],
    }),
  );
  const [prometheusPort, alertmanagerPort] = [await findFreePort(), await findFreePort()];
  const child = spawn(process.execPath, [program], {
    env: {
      ...process.env,
      DATA_DIR: folder,
      OPS_PORT: String(opsPort),
      // Nothing else of this machine is ours to watch.
      ...{ AUTH_PORT: '60001', API_PORT: '60101', API_OPS_PORT: '60102' },
      PROMETHEUS_PORT: String(prometheusPort),
      ALERTMANAGER_PORT: String(alertmanagerPort),
      ALERTMANAGER_CONFIG: config,
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output += bytes));
  t.teardown(() => child.kill('SIGKILL'));
  try {
    await until('the alert arrives', () => received.length > 0, 60_000);
  } catch (error) {
    t.fail(`${(error as Error).message}\n${output}`);
  }
  t.match(received[0], {
    status: 'firing',
    alerts: [
      {
        labels: { alertname: 'QuarantinedRecords', severity: 'ticket', job: 'engine' },
        annotations: { summary: '3 records wait for an operator', runbook: 'docs/runbook.md#quarantined-records' },
      },
    ],
  });
  t.match(output, `watching the engine at 127.0.0.1:${opsPort}`);
  child.kill('SIGINT');
  const [code] = await once(child, 'exit');
  t.equal(code, 0);
  for (const port of [prometheusPort, alertmanagerPort]) {
    await t.rejects(fetch(`http://127.0.0.1:${port}/-/ready`), 'its port is closed');
  }
});

t.test('where the programs are missing it says how to install them', async (t) => {
  const child = spawn(process.execPath, [program], { env: { PATH: folderFor(t), DATA_DIR: folderFor(t) } });
  let output = '';
  child.stderr.on('data', (bytes) => (output += bytes));
  const [code] = await once(child, 'exit');
  t.equal(code, 1);
  t.match(output, /^Prometheus and Alertmanager not found on the PATH: install them .*apt-get install/);
});
