import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { loopback } from '../stack.js';
import { load } from './load.js';
import { requestsTraffic } from './requests.js';

t.test('the generator sends fixed requests by weight and judges answers by status', async (t) => {
  const seen = new Map<string, number>();
  const numbers = new Set<string>();
  const server = createServer((request, response) => {
    const key = `${request.method} ${request.url?.replace(/\d+$/, '#')}`;
    seen.set(key, (seen.get(key) ?? 0) + 1);
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      if (request.url === '/missing') response.writeHead(404, { 'content-length': 0 }).end();
      else if (request.url === '/busy') response.writeHead(429, { 'content-length': 2 }).end('{}');
      else if (request.method === 'POST') {
        numbers.add(String(request.headers['idempotency-key']));
        t.match(body, /^\{"amount":\d+\}$/);
        response.writeHead(204).end();
      } else response.writeHead(200, { 'content-length': 2 }).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, loopback, resolve));
  t.teardown(() => server.closeAllConnections());
  t.teardown(() => server.close());
  const result = await load({
    host: loopback,
    port: (server.address() as AddressInfo).port,
    traffic: requestsTraffic([
      { name: 'list', method: 'GET', path: '/cards', headers: { authorization: 'Bearer x' }, weight: 8, status: 200 },
      {
        name: 'deposit',
        method: 'POST',
        path: '/a/{n}',
        headers: { 'idempotency-key': 'k{n}' },
        body: '{"amount":{n}}',
        weight: 4,
        status: 204,
      },
      { name: 'missing', method: 'GET', path: '/missing', weight: 1, status: 200 },
      { name: 'busy', method: 'GET', path: '/busy', weight: 1, status: 200 },
    ]),
    pace: { kind: 'closed' },
    connectionCount: 4,
    threadCount: 2,
    warmUpMs: 0,
    durationMs: 30_000,
    requestCountMax: 1400,
    timeoutMs: 5000,
    seed: 3,
  });
  t.equal(result.answerCount, 1400);
  const { list = 0, deposit = 0, missing, busy } = result.kindCounts;
  t.equal(result.rightCount, list + deposit);
  t.equal(result.wrongCount, missing);
  t.equal(result.refusedCount, busy);
  t.ok(list > deposit, JSON.stringify(result.kindCounts));
  t.equal(numbers.size, deposit, 'every number is used once');
  t.equal(seen.get('POST /a/#'), deposit);
});
