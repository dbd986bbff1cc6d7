/**
 * Two engines on one ledger, whatever is cut, killed or stopped: the second one on the journal of the first. At most
 * one approves, no account is spent twice, and the surviving engine knows every approval that a client received.
 */
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { Client, stableBody } from '../testing/client.js';
import { opsGet, startEngineProcess, until } from '../testing/engine-process.js';
import { briefLease, writerWorld } from '../testing/writer-world.js';

t.setTimeout(0);

t.test('a second engine on one journal never decides, even when the first loses its connections', async (t) => {
  const { sql, first, other, start, load, approves, audit, approvals } = await writerWorld(t);
  const one = start(first);
  t.ok(await one.ready());
  const stop = load(first, 'one', 8, 1);
  const second = await other('same journal');
  const two = start(second);
  await until('it waits', () => /waiting 10 s for its end/.test(two.logged), 60_000);
  for (let round = 0; round < 3; round++) {
    await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where pid <> pg_backend_pid() and datname = current_database()`.catch(() => undefined);
    await delay(1000);
  }
  t.equal(await two.ended, 1);
  t.match(
    two.logged,
    new RegExp(`in use by the engine with process ${one.child.pid} on .*AUTH_PORT ${first.authPort}`),
  );
  await until('the first one approves', () => approves(first));
  t.ok(one.isAlive);
  const before = approvals.length;
  await until('it goes on', () => approvals.length > before + 50);
  await stop();
  await one.kill('SIGKILL');
  const third = start(first, { DEADLINE_MS: '3000' });
  t.ok(await third.ready(), 'the journal is readable');
  const client = new Client(first.authPort);
  t.teardown(() => client.close());
  await until('it approves', () => approves(first));
  for (const { id, card, amount, body } of approvals.slice(-200)) {
    const again = await client.authorize(id, card, amount);
    if (stableBody(again.body) !== stableBody(body)) t.fail(`${id}: ${body} became ${again.body}`);
  }
  t.equal(await third.kill('SIGTERM'), 0);
  await audit(t);
});

t.test('a second engine on one journal is refused while the first process is stopped', async (t) => {
  const { sql, first, other, start, load, approves, audit } = await writerWorld(t);
  const one = start(first);
  t.ok(await one.ready());
  load(first, 'one');
  await until('it approves', () => approves(first));
  one.child.kill('SIGSTOP');
  await sql`select pg_terminate_backend(pid) from pg_stat_activity
    where pid <> pg_backend_pid() and datname = current_database()`.catch(() => undefined);
  const two = start(await other('same journal'));
  t.equal(await two.ended, 1, 'the lease has lapsed and the lock has not');
  one.child.kill('SIGCONT');
  await until('it approves again', () => approves(first), 30_000);
  t.equal(await one.kill('SIGTERM'), 0);
  await audit(t);
});

t.test(
  'with Postgres away a known card is decided as long as the feed allows, though LEASE_MS is shorter',
  async (t) => {
    const { proxy, first, start, approves } = await writerWorld(t);
    const one = start(first, { FEED_STALE_MS_MAX: '4000', LEASE_MS: '500' });
    t.ok(await one.ready());
    await until('it approves', () => approves(first));
    proxy.cut();
    const cutAtMs = performance.now();
    await until('it approves nothing', async () => !(await approves(first)), 30_000);
    const decidedMs = performance.now() - cutAtMs;
    // The last renewal was sent up to two thirds of a second before the cut.
    t.ok(decidedMs > 3000, `decided for ${Math.round(decidedMs)} ms`);
    t.equal((await opsGet(first, '/readyz')).status, 503);
    // A little after the feed's limit.
    await until('the lease has lapsed as well', async () =>
      /the lease of the ledger has lapsed/.test((await opsGet(first, '/health')).text),
    );
    proxy.heal();
    await until('it approves again', () => approves(first), 30_000);
    t.ok(one.isAlive);
  },
);

t.test('an engine whose connections a firewall dropped continues, and its restart needs no wait', async (t) => {
  const { proxy, first, start, load, approves, audit } = await writerWorld(t);
  // Leases as in production: a start that waited for one would take half a minute.
  const longLease = { FEED_STALE_MS_MAX: '30000', LEASE_MS: '3000' };
  const one = start(first, longLease);
  t.ok(await one.ready());
  const stop = load(first, 'one', 2, 1);
  for (let round = 0; round < 3; round++) {
    proxy.forget();
    await delay(1500);
    await until('it approves', () => approves(first));
    t.match(await opsGet(first, '/livez'), { status: 200 });
  }
  await stop();
  await one.kill('SIGKILL');
  const beganMs = performance.now();
  const two = await startEngineProcess(first, { ...briefLease, ...longLease });
  t.teardown(() => two.kill('SIGKILL'));
  const startMs = performance.now() - beganMs;
  // The lease would last 30 s more.
  t.ok(startMs < 25_000, `ready ${Math.round(startMs)} ms after the kill`);
  t.comment(/"leaseMs":\d+/.exec(two.logged)?.[0] ?? '');
  t.ok(await approves(first));
  t.equal(await two.kill('SIGTERM'), 0);
  await audit(t);
});
