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
  const accountOf = async (engine: Engine): Promise<number> => {
    const held = await partitionsAt(first, engine);
    let account = 1;
    while (!held.includes(await stage.partitionOf(account))) account++;
    return account;
  };
  return { ...stage, first, second, way, accountOf, account: await accountOf(second) };
}

t.test('a withdrawal leaves alone what the client was approved when it asked again', async (t) => {
  const { first, second, way, account } = await pair(t, { DEADLINE_MS: '1500' });
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
    const { first, second, way, account } = await pair(t, { DEADLINE_MS: '1500' });
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
  const { first, second, way, account } = await pair(t, { DEADLINE_MS: '1500' });
  const id = accountId(account);
  const funds = async () => (await engineBooks(second.place, id)).funds;
  await first.client.authorize('warm', card(account), 1);
  for (const [index, kind] of (['deposits', 'withdrawals'] as const).entries()) {
    const body = { id: `lost-${kind}`, amount: 70 };
    const expected = 100_000 + (index === 0 ? 70 : 0);
    way.silence('toClient');
    let isUnderWay = false;
    const ask = async () => {
      isUnderWay = true;
      const { status } = await opsCommand(first.place, kind, id, body);
      isUnderWay = false;
      return status;
    };
    let asked = ask();
    await until('the owner has moved it', async () => {
      if ((await funds()) === expected) return true;
      // On a busy machine its deadline may have passed before it reached the owner.
      if (!isUnderWay) asked = ask();
      return false;
    });
    t.equal(await asked, 503);
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
  const { first, second, sql, accountOf } = await pair(t, { FEED_STALE_MS_MAX: '1000' });
  for (let round = 1; round <= 3; round++) {
    const account = await accountOf(second);
    const ask = (engine: Engine, id: string) => engine.client.authorize(`${id}-${round}`, card(account), 1);
    t.ok(answerOf(await ask(first, 'before')).approved);
    second.child.kill('SIGSTOP');
    // They reach the owner before the freeze, and it decides behind it.
    const asked = [ask(second, 'there'), ask(first, 'hop')];
    await sql`update cards set status = 'frozen' where token = ${card(account)}`;
    await until('the first has all partitions', async () => (await owned(first)) === 6);
    let look = 0;
    await until('the freeze is in force', async () => {
      const reply = await ask(first, `look-${++look}`);
      return reply.status === 200 && answerOf(reply).reason === 'card_inactive';
    });
    asked.push(ask(first, 'late'));
    second.child.kill('SIGCONT');
    for (const reply of await Promise.all(asked)) t.ok(reply.status === 503 || !answerOf(reply).approved, reply.body);
    await sql`update cards set status = 'active' where token = ${card(account)}`;
    await untilSpread([first, second]);
    await until('the freeze is over', async () => {
      const reply = await ask(first, `over-${++look}`);
      return reply.status === 200 && answerOf(reply).approved;
    });
  }
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

t.test('an engine with another PAN_KEY is refused by one line, and one that rotates it is not', async (t) => {
  const { start } = await severalEngines(t);
  const first = await start({ PAN_KEY: 'a-key-that-is-old' });
  await t.rejects(start({ PAN_KEY: 'a-key-of-its-own' }), /engine: PAN_KEY differs from that of the engine http:/);
  const behind = await start({ PAN_KEY: 'a-key-that-is-old,a-key-that-is-new' });
  await t.rejects(start({ PAN_KEY: 'a-key-that-is-new,a-key-that-is-old' }), /PAN_KEY differs/, 'one step too early');
  t.equal(await first.kill('SIGTERM'), 0);
  const ahead = await start({ PAN_KEY: 'a-key-that-is-new,a-key-that-is-old' });
  await untilSpread([behind, ahead]);
});
