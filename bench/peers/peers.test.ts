/** Every peer is correct by the checker that the engine is held to; a fast peer that is wrong would prove nothing. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { databaseFor } from '../../deploy/testing/for-test.js';
import { loopback, startStack } from '../stack.js';
import { checkAuthorizer } from './conformance.js';
import { peerNames, startPeer } from './peers.js';

const credentials = { user: 'peer', password: 'secret' };
// Enough that no account runs dry under the check's load.
const balanceMinor = 1_000_000_000;
const cardCount = 200;

for (const name of peerNames) {
  t.test(`${name} authorizes correctly`, async (t) => {
    const database = await databaseFor(t, { migrated: false });
    const peer = await startPeer(name, {
      dataDir: t.testdir(),
      databaseUrl: database.url,
      databasePid: null,
      cardCount,
      balanceMinor,
      credentials,
    });
    t.teardown(() => peer.stop());
    await checkAuthorizer({ port: peer.port, credentials, cardCount, balanceMinor });
    t.pass();
  });
}

t.test('the engine passes the same check as its peers', async (t) => {
  const database = await databaseFor(t);
  const stack = await startStack({
    accountCount: cardCount,
    balanceMinor,
    databaseUrl: database.url,
    // Beside other tests a card may take its time to load; the deadline has tests of its own.
    engineEnv: { DEADLINE_MS: '3000' },
    log: () => undefined,
  });
  t.teardown(() => stack.stop());
  await checkAuthorizer({ port: stack.engine.port, credentials: stack.credentials, cardCount, balanceMinor });
  t.pass();
});

t.test('the checker finds a server that approves everything', async (t) => {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      const { id } = JSON.parse(body) as { id: string };
      const text = JSON.stringify({ id, approved: true, approvedAmount: 100, available: balanceMinor - 100 });
      response.end(text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, loopback, resolve));
  t.teardown(() => server.closeAllConnections());
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  await t.rejects(checkAuthorizer({ port, credentials, cardCount, balanceMinor }), /is a conflict/);
});
