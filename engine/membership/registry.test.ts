/** Engines of one database on a real Postgres: what each sees, and which may claim a partition when. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import t, { type Test } from 'tap';
import { databaseFor } from '../../deploy/testing/for-test.js';
import { processUrl } from '../../deploy/testing/test-database.js';
import { createLog } from '../../platform/log.js';
import { openSettleConnection, settle } from '../../workers/settle/settle.js';
import { writeRecords } from '../../workers/testing/record-writer.js';
import { until } from '../testing/engine-process.js';
import { TcpProxy } from '../testing/tcp-proxy.js';
import { fixJournal, openPosition } from '../writer/settled-position.js';
import { Registry } from './registry.js';
import { describeEngines } from './view.js';

interface Stage {
  readonly sql: postgres.Sql;
  readonly url: string;
  /** Joins with a lease that does not end by itself during a test. */
  join(options?: { url?: string; leaseMs?: number; partitionCount?: number }): Promise<Registry>;
  /** The row of an engine that never renews. */
  ghost(): Promise<Ghost>;
  /** This engine has renewed for long. */
  steady(engine: Registry): Promise<void>;
}

interface Ghost {
  readonly id: string;
  claim(partition: number): Promise<number | null>;
  /** It has not renewed for longer than its lease. */
  lapse(): Promise<void>;
}

const addressOf = (id: string) => ({
  ...{ authUrl: `http://${id}:8080`, opsUrl: `http://${id}:8081`, peerHost: id, peerPort: 8082 },
});

async function stage(t: Test): Promise<Stage> {
  const { url, sql } = await databaseFor(t);
  const registries: Registry[] = [];
  t.teardown(() => Promise.all(registries.map((registry) => registry.stop())));
  return {
    sql,
    url,
    async join({ url: way = url, leaseMs = 60_000, partitionCount = 2 } = {}) {
      const registry = new Registry({
        ...{ databaseUrl: processUrl(way, 'engine'), leaseMs, partitionCount, id: randomUUID(), version: '1' },
        log: createLog('silent', 'test'),
      });
      registries.push(registry);
      await registry.join(addressOf(registry.id));
      return registry;
    },
    async ghost() {
      const id = randomUUID();
      await sql`insert into engines (id, auth_url, ops_url, peer_host, peer_port, host, pid, version, lease_ms)
        values (${id}, '', '', '', 1, '', 1, '', 60000)`;
      return {
        id,
        async claim(partition) {
          const [row] = await sql<{ epoch: number | null }[]>`
            select claim_partition(${partition}, ${id}::text::uuid)::float8 as epoch`;
          return row!.epoch;
        },
        async lapse() {
          await sql`update engines set renewed_at = renewed_at - interval '61 seconds' where id = ${id}`;
        },
      };
    },
    async steady({ id }) {
      await sql`update engines set steady_since = steady_since - interval '1 hour' where id = ${id}`;
    },
  };
}

t.test('a partition has one holder, and each one after it a higher epoch and the fence', async (t) => {
  const { sql, join } = await stage(t);
  const [a, b, c] = [await join(), await join(), await join()];
  const first = await a.claim(1);
  t.same(first, { scope: 'partition 1', epoch: 1, holder: a.id, settledSequence: 0 });
  t.equal(await b.claim(1), null, 'the holder is alive');
  await a.release(1, first!, c.id);
  t.equal(await b.claim(1), null, 'it is on its way to another engine');
  const second = await c.claim(1);
  t.match(second, { scope: 'partition 1', epoch: 2, holder: c.id });
  t.match(second, (await sql`select scope, epoch::integer, holder from writer_epochs`)[0]!);
  await a.release(1, first!, null);
  t.equal(await b.claim(1), null, 'a late release of a holder before frees nothing');
  await c.release(1, second!, null);
  t.match(await b.claim(1), { epoch: 3 });
  t.match(await b.claim(1), { epoch: 4 }, 'the holder itself may claim again');
});

t.test('of several claims at once, one succeeds', async (t) => {
  const { join } = await stage(t);
  const engines = await Promise.all(Array.from({ length: 4 }, () => join({ partitionCount: 12 })));
  for (let partition = 0; partition < 12; partition++) {
    const claims = await Promise.all(engines.map((engine) => engine.claim(partition)));
    t.equal(claims.filter((fence) => fence !== null).length, 1);
  }
});

t.test('a reservation ends with its time, and with the engine that it is for', async (t) => {
  const { sql, join, ghost, steady } = await stage(t);
  const [a, b, c] = [await join(), await ghost(), await join()];
  const [first, second] = [await a.claim(0), await a.claim(1)];
  await a.release(0, first!, b.id);
  t.equal(await c.claim(0), null);
  await sql`update partition_leases set reserved_until = clock_timestamp() where partition = 0`;
  t.ok(await c.claim(0));
  await a.release(1, second!, b.id);
  t.equal(await c.claim(1), null);
  await steady(a);
  await b.lapse();
  t.ok(await c.claim(1));
});

t.test('an engine that does not renew is replaced, unless the database was away for all', async (t) => {
  const { join, ghost, steady } = await stage(t);
  const [a, b] = [await ghost(), await join()];
  await a.claim(0);
  await a.lapse();
  t.equal(await b.claim(0), null, 'no engine has renewed for the length of the lease');
  await b.look();
  t.equal(b.view.engines.length, 2);
  await steady(b);
  await b.look();
  t.same(
    b.view.engines.map(({ id }) => id),
    [b.id],
  );
  t.match(await b.claim(0), { epoch: 2 });
  t.equal(await a.claim(1), null, 'an engine whose own lease has ended claims nothing');
});

t.test('every engine sees who joins, holds, leaves and stops', async (t) => {
  const { join } = await stage(t);
  const a = await join();
  const seen: string[] = [];
  const number = new Map<string | null, string>([[null, '-']]);
  a.onView(({ engines, leases }) => {
    for (const { id } of engines) if (!number.has(id)) number.set(id, String(number.size));
    const text = `${engines.map(({ id, isLeaving }) => `${number.get(id)}${isLeaving ? ' leaves' : ''}`)} has ${leases
      .map(({ holder, epoch, reservedFor }) => `${number.get(holder)}/${epoch}/${number.get(reservedFor)}`)
      .join(' ')}`;
    if (seen.at(-1) !== text) seen.push(text);
  });
  await a.look();
  const expectView = (text: string) => until(`${text}, seen: ${seen.join(', ')}`, () => seen.at(-1) === text);
  const b = await join();
  number.set(b.id, '2');
  const order = [a.id, b.id].sort().map((id) => number.get(id));
  await expectView(`${order} has -/0/- -/0/-`);
  const fence = await b.claim(1);
  await expectView(`${order} has -/0/- 2/1/-`);
  await b.markLeaving();
  await expectView(`${order.map((name) => (name === '2' ? '2 leaves' : name))} has -/0/- 2/1/-`);
  await b.release(1, fence!, a.id);
  await expectView(`${order.map((name) => (name === '2' ? '2 leaves' : name))} has -/0/- -/1/1`);
  await b.stop();
  await expectView('1 has -/0/- -/1/1');
  await a.claim(0);
  await a.claim(1);
  await a.look();
  t.match(describeEngines(a.view), {
    data: [
      { id: a.id, ...{ authUrl: `http://${a.id}:8080`, opsUrl: `http://${a.id}:8081` }, epoch: 2, partitions: [0, 1] },
    ],
  });
});

t.test('a dead engine is noticed when its lease ends', async (t) => {
  const { url, join, steady } = await stage(t);
  const proxy = await TcpProxy.start(Number(new URL(url).port));
  t.teardown(() => proxy.close());
  const [a, b] = [await join({ url: proxy.url(url), leaseMs: 1000 }), await join()];
  await steady(b);
  const goneAt = new Promise<number>((resolve) => {
    b.onView(({ engines }) => {
      if (engines.length === 1) resolve(performance.now());
    });
  });
  const cutAt = performance.now();
  proxy.cut();
  const tookMs = (await goneAt) - cutAt;
  t.ok(tookMs > 500 && tookMs < 1000 + 500, `noticed after ${tookMs} ms`);
  await until('it notices, too', () => a.isLapsed);
  proxy.heal();
  await until('it is back', () => !a.isLapsed && b.view.engines.length === 2);
});

t.test('of two first starts with another journal each, one is refused', async (t) => {
  for (let round = 1; round <= 3; round++) {
    const { sql, join } = await stage(t);
    const fixLocal = sql.begin((inside) => fixJournal(inside, 2, 'local'));
    const ends = await Promise.allSettled([fixLocal, join()]);
    const refused = ends.filter(({ status }) => status === 'rejected');
    t.equal(refused.length, 1);
    t.match((refused[0] as PromiseRejectedResult).reason.message, /^the journal of this database is JOURNAL=/);
  }
});

t.test('the first start fixes how many partitions there are, and that the journal is in Postgres', async (t) => {
  const { sql, join } = await stage(t);
  const starts = await Promise.allSettled([3, 4, 5].map((partitionCount) => join({ partitionCount })));
  t.equal(starts.filter(({ status }) => status === 'fulfilled').length, 1);
  const [row] = await sql<{ count: number }[]>`select count(*)::integer as count from partition_leases`;
  await t.rejects(join({ partitionCount: 6 }), new RegExp(`start with PARTITIONS=${row!.count} \\(now it is 6\\)`));
  await sql`truncate partition_leases`;
  await sql`insert into journal_positions (partition, partition_count, journal) values (0, 2, 'local')`;
  await t.rejects(join(), /JOURNAL=local, and this start has JOURNAL=postgres/);
});

t.test('an engine of a version before is waited for, and then fenced', async (t) => {
  const { sql, url, join } = await stage(t);
  const old = { scope: 'ledger', epoch: 7, holder: randomUUID() };
  await sql`insert into writer_leases
    (scope, holder, epoch, lease_ms, renewed_at, journal, host, pid, auth_url, ops_url)
    values ('ledger', ${old.holder}, 7, 3000, clock_timestamp(), '', 'host', 1, '', '')`;
  await sql`insert into writer_epochs values ('ledger', 7, ${old.holder})`;
  await openPosition(sql, 0, 2, 'postgres', old);
  await openPosition(sql, 1, 2, 'postgres', old);
  await sql`select journal_take_over(1, 9, ${randomUUID()}::text::uuid, 0)`;
  const engine = await join();
  t.equal(await engine.claim(0), null, 'its lease counts');
  await sql`update writer_leases set renewed_at = renewed_at - interval '5 seconds'`;
  const fence = await engine.claim(0);
  t.equal(fence!.epoch, 8);
  const settler = openSettleConnection(url);
  t.teardown(() => settler.end());
  const batch = { partition: 0, firstSequence: 1, ...writeRecords([{ id: 'a' }]) };
  await t.rejects(settle(settler, batch, old), { code: 'WRITER_FENCED' });
  t.same(await settle(settler, batch, fence), { applied: true, sequence: 1 });
  const renewed =
    await sql`update writer_leases set renewed_at = clock_timestamp() where holder = ${old.holder} returning 1`;
  t.equal(renewed.length, 0, 'it finds its lease taken, and ends');
  t.equal((await engine.claim(1))!.epoch, 10, 'above the frames of the partition');
  t.same(await openPosition(sql, 0, 2, 'postgres', fence!), 1);
});

t.test('a claim ends the settle statement of a dead holder, and waits for that of any other', async (t) => {
  const { sql, url, join, ghost, steady } = await stage(t);
  const [a, b] = [await ghost(), await join()];
  t.equal(await a.claim(0), 1);
  await a.lapse();
  await steady(b);
  const options = { max: 1, connection: { application_name: 'settle 0' } };
  const [dead, slow] = [postgres(processUrl(url, 'engine'), options), postgres(processUrl(url, 'engine'), { max: 1 })];
  t.teardown(() => Promise.all([dead.end({ timeout: 1 }), slow.end({ timeout: 1 })]));
  const locksFence = (settler: postgres.Sql) => settler`
    with fence as materialized (select from writer_epochs where scope = 'partition 0' for share)
    select pg_sleep(30) from fence`;
  const runs = async (count: number) => {
    const rows = await sql`select from pg_stat_activity where query like '%pg_sleep(30)%' and state = 'active'
      and datname = current_database() and pid <> pg_backend_pid()`;
    return rows.length === count;
  };
  const ended = locksFence(dead).then(
    () => 'ran',
    () => 'ended',
  );
  await until('the statement runs', () => runs(1));
  const next = (await b.claim(0))!;
  t.same([next.epoch, await ended], [2, 'ended']);

  const waiting = locksFence(slow).catch(() => undefined);
  await until('the statement runs', () => runs(1));
  let isClaimed = false;
  const claiming = b.claim(0).then((claimed) => {
    isClaimed = true;
    return claimed;
  });
  await until('the claim waits', async () => {
    const rows = await sql`select from pg_stat_activity where wait_event_type = 'Lock' and query like '%take_partition%'
      and datname = current_database()`;
    return rows.length === 1;
  });
  t.equal(isClaimed, false);
  await sql`select pg_cancel_backend(pid) from pg_stat_activity where query like '%pg_sleep(30)%' and state = 'active'
    and datname = current_database() and pid <> pg_backend_pid()`;
  t.match(await claiming, { epoch: 3 });
  await waiting;
});

t.test('an engine whose session has ended, and that does not renew, is dead before its lease ends', async (t) => {
  const { sql, url, join } = await stage(t);
  const proxy = await TcpProxy.start(Number(new URL(url).port));
  t.teardown(() => proxy.close());
  const [a, b] = [await join({ url: proxy.url(url) }), await join()];
  const first = await a.claim(0);
  const lastRenewed = async (agoS: number) => {
    await sql`update engines set renewed_at = clock_timestamp() - ${agoS} * interval '1 second' where id = ${a.id}`;
    await b.declareDead(a.id);
    await b.look();
    return b.view.engines.some(({ id }) => id === a.id);
  };
  t.equal(await lastRenewed(30), true, 'its session is there');
  const [row] = await sql<{ pid: number }[]>`select session_pid as pid from engines where id = ${a.id}`;
  proxy.cut();
  const sessions = () => sql`select from pg_stat_activity where pid = ${row!.pid}`;
  await until('its session has ended', async () => (await sessions()).length === 0);
  t.equal(await lastRenewed(10), true, 'it may renew yet from another session');
  await until('it knows that it may be declared dead', () => a.mayBeReplaced);
  await sql`update engines set server_started = server_started - interval '1 second' where id = ${a.id}`;
  t.equal(await lastRenewed(30), true, 'its session was at another server');
  await sql`update engines set server_started = pg_postmaster_start_time() where id = ${a.id}`;
  t.equal(await lastRenewed(30), false);
  t.match(await b.claim(0), { epoch: first!.epoch + 1 });
  proxy.heal();
  await until('it sees what it has lost', () => !a.mayBeReplaced && a.view.leases[0]?.holder === b.id);
  await until('the other one sees it again', async () => {
    await b.look();
    return b.view.engines.length === 2;
  });
});

t.test('a server that turns connections away is not asked without a pause', async (t) => {
  const { url, join } = await stage(t);
  const sockets = new Set<Socket>();
  let turnedAway = 0;
  let isStarting = false;
  const fatal = 'SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0';
  const server = createServer((near) => {
    sockets.add(near.on('error', () => undefined));
    if (isStarting) {
      turnedAway++;
      near.once('data', () => {
        const answer = Buffer.alloc(5 + fatal.length);
        answer.write('E');
        answer.writeUInt32BE(4 + fatal.length, 1);
        answer.write(fatal, 5, 'latin1');
        near.end(answer);
      });
      return;
    }
    const far = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => undefined);
    near.pipe(far).pipe(near);
    near.on('close', () => far.destroy());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const way = new URL(url);
  way.hostname = '127.0.0.1';
  way.port = String((server.address() as AddressInfo).port);
  const registry = await join({ url: way.href });
  isStarting = true;
  for (const socket of sockets) socket.destroy();
  await until('it has noticed', () => registry.mayBeReplaced);
  // Of real time: how often it asks is what this is about. Renewals, looks and the listener ask, four times a second.
  const before = turnedAway;
  await delay(1000);
  t.ok(turnedAway - before <= 20, `${turnedAway - before} connections in a second`);
  isStarting = false;
  await until('it is back', () => !registry.mayBeReplaced);
});
