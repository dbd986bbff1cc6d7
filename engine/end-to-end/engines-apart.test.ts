/** Engines that know less than the others: cut off from them, suspended, or late. None of them breaks a law. */
import t, { type Test } from 'tap';
import { findFreePort } from '../../deploy/free-port.js';
import { answerOf } from '../testing/client.js';
import { engineBooks, metric, opsCommand, until } from '../testing/engine-process.js';
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

t.test(
  'what was decided while its answer was lost is withdrawn, and decided again when it is asked again',
  async (t) => {
    const { first, second, way, account } = await pair(t, { DEADLINE_MS: '500' });
    const held = async () => (await engineBooks(second.place, accountId(account))).held;
    await first.client.authorize('warm', card(account), 1);
    for (let round = 1; round <= 2; round++) {
      const id = `lost-${round}`;
      way.silence('toClient');
      const asked = first.client.authorize(id, card(account), 100);
      await until('the owner holds it', async () => (await held()) === 1 + 100 * round);
      if (round === 1) way.cut();
      t.equal((await asked).status, 503);
      way.cut();
      way.heal();
      await until('it is withdrawn', async () => (await held()) === 1 + 100 * (round - 1));
      const again = await first.client.authorize(id, card(account), 100);
      t.ok(answerOf(again).approved, again.body);
      t.equal(await held(), 1 + 100 * round);
    }
  },
);

t.test('a deposit whose answer is lost moves money once, and is answered when it is asked again', async (t) => {
  const { first, second, way, account } = await pair(t, { DEADLINE_MS: '500' });
  const id = accountId(account);
  const funds = async () => (await engineBooks(second.place, id)).funds;
  await first.client.authorize('warm', card(account), 1);
  for (const [index, kind] of (['deposits', 'withdrawals'] as const).entries()) {
    const body = { id: `lost-${kind}`, amount: 70 };
    const expected = 100_000 + (index === 0 ? 70 : 0);
    way.silence('toClient');
    const asked = opsCommand(first.place, kind, id, body);
    await until('the owner has moved it', async () => (await funds()) === expected);
    t.equal((await asked).status, 503);
    way.cut();
    way.heal();
    await until(
      'the engines are connected',
      async () => (await opsCommand(first.place, kind, id, body)).status !== 503,
    );
    for (const { place } of [first, second]) {
      t.match(JSON.parse((await opsCommand(place, kind, id, body)).text), {
        approved: true,
        account: { funds: expected },
      });
    }
    t.equal(await funds(), expected);
  }
});

t.test('an owner that stands still approves nothing against a freeze that is in force', async (t) => {
  const { first, second, way, account, sql } = await pair(t, { FEED_STALE_MS_MAX: '1000' });
  t.ok(answerOf(await first.client.authorize('before', card(account), 100)).approved);
  for (const round of [1, 2, 3]) {
    const status = round % 2 === 0 ? 'active' : 'frozen';
    // Asked of the owner itself, and of the other one, while the owner hears nothing.
    second.child.kill('SIGSTOP');
    const asked = [second.client.authorize(`stopped-${round}`, card(account), 1)];
    asked.push(first.client.authorize(`hop-${round}`, card(account), 1));
    await sql`update cards set status = ${status} where token = ${card(account)}`;
    await until('the first has all partitions', async () => (await owned(first)) === 6);
    const expected = status === 'frozen' ? 'card_inactive' : 'approved';
    await until('it is in force', async () => {
      const reply = await first.client.authorize(`look-${round}-${performance.now()}`, card(account), 1);
      return reply.status === 200 && answerOf(reply).reason === expected;
    });
    const late = first.client.authorize(`late-${round}`, card(account), 1);
    second.child.kill('SIGCONT');
    for (const reply of [...(await Promise.all(asked)), await late]) {
      t.ok(reply.status === 503 || answerOf(reply).reason === expected || status === 'active', reply.body);
    }
    await untilSpread([first, second]);
  }
  way.heal();
});

t.test('an engine with the address of another one gets no partition that the others could not reach', async (t) => {
  const { start } = await severalEngines(t);
  const port = String(await findFreePort());
  const first = await start({ PEER_PORT: port });
  const wrong = await start({ PEER_ADDRESS: `127.0.0.1:${port}` });
  for (let round = 1; round <= 10; round++) {
    for (let account = 1; account <= accounts; account++) {
      const engine = account % 2 === 0 ? first : wrong;
      const reply = await engine.client.authorize(`${round}-${account}`, card(account), 1);
      t.ok(reply.status === 200, reply.body);
    }
  }
  t.equal(await owned(first), 6);
});
