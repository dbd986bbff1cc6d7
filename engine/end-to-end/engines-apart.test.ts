/** Engines that know less than the others: cut off from them, suspended, or late. None of them breaks a law. */
import t, { type Test } from 'tap';
import { findFreePort } from '../../deploy/free-port.js';
import { answerOf } from '../testing/client.js';
import { engineBooks, metric, until } from '../testing/engine-process.js';
import {
  accountId,
  accounts,
  card,
  type Engine,
  owned,
  partitionsAt,
  severalEngines,
  untilSpread,
} from '../testing/several-engines.js';
import { TcpProxy } from '../testing/tcp-proxy.js';

/** Two engines, the way of the first to the second, and an account that the second one has. */
async function pair(t: Test, changes: Readonly<Record<string, string>> = {}) {
  const stage = await severalEngines(t);
  const peerPort = await findFreePort();
  const way = await TcpProxy.start(peerPort);
  t.teardown(() => way.close());
  const there = { PEER_PORT: String(peerPort), PEER_ADDRESS: `127.0.0.1:${way.port}` };
  const [first, second] = (await Promise.all([stage.start(changes), stage.start({ ...changes, ...there })])) as [
    Engine,
    Engine,
  ];
  await untilSpread([first, second]);
  const held = await partitionsAt(first, second);
  let account = 1;
  while (!held.includes(await stage.partitionOf(account))) account++;
  t.ok(account <= accounts);
  return { ...stage, first, second, way, account };
}

t.test('a withdrawal leaves alone what the client was approved when it asked again', async (t) => {
  const { first, second, way, account } = await pair(t, { DEADLINE_MS: '500' });
  await first.client.authorize('warm', card(account), 1);
  way.stall();
  t.equal((await first.client.authorize('again', card(account), 100)).status, 503);
  way.cut();
  t.ok(answerOf(await second.client.authorize('again', card(account), 100)).approved);
  way.heal();
  await until('the withdrawal is done', async () => (await metric(first.place, 'peer_withdrawn_total')) === 1);
  t.match(await engineBooks(second.place, accountId(account)), { held: 101 });
  t.ok(answerOf(await first.client.authorize('again', card(account), 100)).approved);
  t.match(await engineBooks(second.place, accountId(account)), { held: 101 });
});

t.test('an engine that stood still shows no books of partitions that it has lost', async (t) => {
  const { first, second, account } = await pair(t);
  await first.client.authorize('before', card(account), 100);
  for (let round = 1; round <= 3; round++) {
    second.child.kill('SIGSTOP');
    await until('the first has all partitions', async () => (await owned(first)) === 6);
    t.ok(answerOf(await first.client.authorize(`after-${round}`, card(account), 100)).approved);
    const held = (await engineBooks(first.place, accountId(account))).held;
    const looks = Array.from({ length: 8 }, () => engineBooks(second.place, accountId(account)));
    second.child.kill('SIGCONT');
    for (const look of looks) t.equal((await look).held, held);
    await untilSpread([first, second]);
  }
});
