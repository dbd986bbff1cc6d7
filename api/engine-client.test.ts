/** How the API asks the engine: never over more connections than it has room for. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { until } from '../engine/testing/engine-process.js';
import { EngineClient } from './engine-client.js';

t.test('many concurrent requests share a bounded number of connections and are all answered', async (t) => {
  const held: ServerResponse[] = [];
  let isHolding = true;
  let connections = 0;
  let most = 0;
  const answer = (response: ServerResponse) => response.end(JSON.stringify({ accounts: [{ id: 'a' }] }));
  const server = createServer((_request, response) => {
    if (isHolding) held.push(response);
    else answer(response);
  });
  server.on('connection', (socket) => {
    most = Math.max(most, ++connections);
    socket.on('close', () => connections--);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  t.teardown(() => server.closeAllConnections());
  const client = new EngineClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'token');
  const asked = Array.from({ length: 300 }, () => client.books(['a']));
  await until('as many as may be under way are', () => held.length === 64);
  isHolding = false;
  for (const response of held) answer(response);
  const books = await Promise.all(asked);
  t.equal(books.filter((of) => of.has('a')).length, 300);
  t.ok(most < 80, `${most} connections: 64, and a few that were not free yet`);
});

t.test('a request that waits for a connection gives up at its deadline', async (t) => {
  const server = createServer(() => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  t.teardown(() => server.closeAllConnections());
  const client = new EngineClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'token');
  const asked = await Promise.allSettled(Array.from({ length: 200 }, () => client.books(['a'])));
  t.ok(asked.every((of) => of.status === 'rejected' && of.reason.title === 'engine_unavailable'));
});
