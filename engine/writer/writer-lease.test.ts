/** The lease of the ledger on a real Postgres: who may take it when, and what ends a holder. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type postgres from 'postgres';
import t, { type Test } from 'tap';
import { databaseFor } from '../../deploy/testing/for-test.js';
import { createLog } from '../../platform/log.js';
import { until } from '../testing/engine-process.js';
import { TcpProxy } from '../testing/tcp-proxy.js';
import { WriterLease } from './writer-lease.js';

interface Stage {
  readonly sql: postgres.Sql;
  readonly url: string;
  /** A lease whose loss is noted. */
  lease(options?: { url?: string; leaseMs?: number }): TestLease;
}

interface TestLease {
  readonly holder: string;
  readonly lease: WriterLease;
  readonly losses: readonly string[];
}

async function stage(t: Test): Promise<Stage> {
  const database = await databaseFor(t);
  const { sql } = database;
  const leases: WriterLease[] = [];
  t.teardown(() => Promise.all(leases.map((lease) => lease.stop())));
  return {
    sql,
    url: database.url,
    lease({ url = database.url, leaseMs = 60_000 } = {}) {
      const losses: string[] = [];
      const holder = randomUUID();
      const lease = new WriterLease({
        ...{ databaseUrl: url, leaseMs, holder, authUrl: `http://${holder.slice(0, 4)}`, opsUrl: 'http://ops' },
        log: createLog('silent', 'test'),
        lost: (why) => losses.push(why),
      });
      leases.push(lease);
      return { holder, lease, losses };
    },
  };
}

const noProof = { place: '', earlierLeases: [] };

t.test('a clean stop frees the lease at once, and each holder has a higher epoch', async (t) => {
  const { lease } = await stage(t);
  for (let epoch = 1; epoch <= 3; epoch++) {
    const holder = lease();
    t.equal(holder.lease.isLapsed, true, 'nothing is approved before the lease is taken');
    await holder.lease.take(noProof);
    await holder.lease.raiseFence();
    t.same(holder.lease.fence, { scope: 'ledger', epoch, holder: holder.holder });
    t.equal(holder.lease.isLapsed, false);
    await holder.lease.stop();
    t.equal(holder.lease.isLapsed, true);
  }
});

t.test('a holder that renews keeps the lease, and the second start names it', { timeout: 60_000 }, async (t) => {
  const { lease } = await stage(t);
  const first = lease();
  await first.lease.take(noProof);
  await t.rejects(lease().lease.take(noProof), {
    message: new RegExp(
      `another engine already runs on this database: process ${process.pid} on .*http://${first.holder.slice(0, 4)}`,
    ),
  });
  t.same([first.lease.isLapsed, first.losses], [false, []]);
});

t.test('a holder that vanished keeps others out for its lease and the margin', async (t) => {
  const { sql, url, lease } = await stage(t);
  const proxy = await TcpProxy.start(Number(new URL(url).port));
  t.teardown(() => proxy.close());
  const first = lease({ url: proxy.url(url), leaseMs: 500 });
  await first.lease.take(noProof);
  proxy.cut();
  const [row] = await sql<
    { at: number }[]
  >`select extract(epoch from renewed_at)::float8 * 1000 as at from writer_leases`;
  const second = lease({ leaseMs: 500 });
  await second.lease.take(noProof);
  const [after] = await sql<
    { at: number }[]
  >`select extract(epoch from taken_at)::float8 * 1000 as at from writer_leases`;
  t.ok(after!.at - row!.at > 500 * 1.05 + 1000, `taken ${after!.at - row!.at} ms after the last renewal`);
  t.equal(first.lease.isLapsed, true, 'the first holder stopped approving long before');
  proxy.heal();
  await until('the first hears of it', () => first.losses.length > 0);
  t.match(first.losses, [new RegExp(`http://${second.holder.slice(0, 4)}`)]);
});

t.test('only the lock of the same journal proves that the holder has ended', async (t) => {
  const { sql, lease } = await stage(t);
  const first = lease();
  await first.lease.take({ place: 'boot 1:2', earlierLeases: [] });
  // As a killed process leaves it.
  const holder = first.holder;
  const wait = async (proof: { place: string; earlierLeases: string[] }, forMs = 400) => {
    const other = lease();
    const taken = other.lease.take(proof).then(
      () => 'taken',
      () => 'stopped',
    );
    const first = await Promise.race([taken, delay(forMs, 'waits', { ref: false })]);
    await other.lease.stop();
    await taken;
    return first;
  };
  t.equal(await wait({ place: 'boot 1:3', earlierLeases: [holder] }), 'waits', 'a copy of the folder waits');
  t.equal(await wait({ place: '', earlierLeases: [holder] }), 'waits', 'a system that names no place waits');
  t.equal(
    await wait({ place: 'boot 1:2', earlierLeases: [randomUUID()] }),
    'waits',
    'a lease of another journal waits',
  );
  t.equal(await wait({ place: 'boot 1:2', earlierLeases: [randomUUID(), holder] }, 20_000), 'taken');
  await until('the first hears of it', () => first.losses.length > 0);
  const [row] = await sql<{ released: boolean }[]>`select renewed_at is null as released from writer_leases`;
  t.equal(row!.released, true, 'the stop of the first holder does not release the lease of its successor');
});

t.test('a holder whose connection was dropped on the way renews over a new one', async (t) => {
  const { url, lease } = await stage(t);
  const proxy = await TcpProxy.start(Number(new URL(url).port));
  t.teardown(() => proxy.close());
  const { lease: holder, losses } = lease({ url: proxy.url(url), leaseMs: 3000 });
  await holder.take(noProof);
  const { epoch } = holder.fence;
  // The client is reset, the server hears nothing: its old session lives on.
  proxy.forget();
  await delay(4500);
  t.same([holder.isLapsed, losses, holder.fence.epoch], [false, [], epoch]);
});

t.test('only the newest holder raises the fence', async (t) => {
  const { sql, lease } = await stage(t);
  const slow = lease();
  await slow.lease.take(noProof);
  await sql`update writer_leases set renewed_at = null`;
  const quick = lease();
  await quick.lease.take(noProof);
  await quick.lease.raiseFence();
  await t.rejects(slow.lease.raiseFence(), /another engine took the lease/);
  t.same(await sql`select scope, epoch::integer, holder from writer_epochs`, [quick.lease.fence]);
});
