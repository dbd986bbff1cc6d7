/** The same id with a card of another partition is a conflict at every engine, whatever that engine has missed. */
import t, { type Test } from 'tap';
import { findFreePort } from '../../deploy/free-port.js';
import { until } from '../testing/engine-process.js';
import { accounts, card, type Engine, partitionsAt, severalEngines, untilSpread } from '../testing/several-engines.js';
import { TcpProxy } from '../testing/tcp-proxy.js';

async function stage(t: Test) {
  const { start, partitionOf } = await severalEngines(t);
  const partitions = new Map<number, number>();
  for (let account = 1; account <= accounts; account++) partitions.set(account, await partitionOf(account));
  const conflicts = async (engine: Engine, id: string, account: number): Promise<boolean> => {
    const [other] = [...partitions].find(([, partition]) => partition !== partitions.get(account))!;
    return (await engine.client.authorize(id, card(other), 1)).status === 409;
  };
  return { start, partitions, conflicts };
}

t.test('after all engines were killed', async (t) => {
  const { start, conflicts } = await stage(t);
  const engines = (await Promise.all([start(), start()])) as [Engine, Engine];
  await untilSpread(engines);
  for (let account = 1; account <= accounts; account++) {
    t.equal((await engines[0].client.authorize(`id-${account}`, card(account), 1)).status, 200);
  }
  await Promise.all(engines.map((engine) => engine.kill('SIGKILL')));
  const next = (await Promise.all([start(), start()])) as [Engine, Engine];
  for (let account = 1; account <= accounts; account++) {
    t.ok(await conflicts(next[account % 2]!, `id-${account}`, account), `account ${account}`);
  }
});

t.test('at an engine that joins, also of ids that are not settled yet', async (t) => {
  const { start, conflicts } = await stage(t);
  const first = await start();
  const asked: number[] = [];
  let isJoining = true;
  const traffic = (async () => {
    for (let number = 1; isJoining; number++) {
      const { status } = await first.client.authorize(`id-${number}`, card(1 + (number % accounts)), 1);
      if (status === 200) asked.push(number);
    }
  })();
  await until('there is traffic', () => asked.length > 50);
  const joining = await start();
  const newest = asked.slice(-100);
  for (const number of newest.reverse()) {
    t.ok(await conflicts(joining, `id-${number}`, 1 + (number % accounts)), `id-${number}`);
  }
  isJoining = false;
  await traffic;
});

t.test('at an engine to which nothing came for a while', async (t) => {
  const { start, partitions, conflicts } = await stage(t);
  const ways: TcpProxy[] = [];
  const startBehind = async () => {
    const port = await findFreePort();
    const way = await TcpProxy.start(port);
    t.teardown(() => way.close());
    ways.push(way);
    return start({ PEER_PORT: String(port), PEER_ADDRESS: `127.0.0.1:${way.port}`, DEADLINE_MS: '1500' });
  };
  const [first, second] = (await Promise.all([startBehind(), startBehind()])) as [Engine, Engine];
  await untilSpread([first, second]);
  const here = await partitionsAt(first, first);
  for (const way of ways) way.cut();
  const asked: { readonly id: string; readonly account: number }[] = [];
  for (let number = 1; number <= 4 * accounts; number++) {
    const [id, account] = [`id-${number}`, 1 + (number % accounts)];
    if (!here.includes(partitions.get(account)!)) continue;
    t.equal((await first.client.authorize(id, card(account), 1)).status, 200);
    asked.push({ id, account });
  }
  for (const way of ways) way.heal();
  // It reads one partition after the other. An id that is asked too early belongs to the second question from then on.
  asked.sort((a, b) => partitions.get(a.account)! - partitions.get(b.account)!);
  await until(
    'the second hears of the last partition',
    async () => {
      const { id, account } = asked.pop()!;
      return conflicts(second, id, account);
    },
    20_000,
    200,
  );
  for (const { id, account } of asked) t.ok(await conflicts(second, id, account), id);
});
