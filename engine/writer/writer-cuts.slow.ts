/** A writer that is cut off from PostgreSQL without a word stops approving before another engine begins. */
import { join } from 'node:path';
import t from 'tap';
import { auditJournals } from '../../deploy/audit/audit-journals.js';
import { until } from '../testing/engine-process.js';
import type { TcpProxy } from '../testing/tcp-proxy.js';
import { writerWorld } from '../testing/writer-world.js';

t.setTimeout(0);

const cuts: Readonly<Record<string, (proxy: TcpProxy) => void>> = {
  'the way to Postgres': (proxy) => proxy.silence('toService'),
  'the way from Postgres': (proxy) => proxy.silence('toClient'),
  'both ways': (proxy) => proxy.stall(),
};
for (const [name, cut] of Object.entries(cuts)) {
  t.test(`an engine whose packets vanish on ${name} stops approving before another one begins`, async (t) => {
    const { sql, proxy, first, other, start, load, takenAtMs, approvals, approves, audit } = await writerWorld(t);
    const one = start(first);
    t.ok(await one.ready());
    load(first, 'one', 2, 1);
    await until('it approves', () => approvals.length > 20);
    cut(proxy);
    // Taken once the engine has stopped: what it approves until then is in its journal alone.
    await until('it approves nothing', async () => !(await approves(first)), 30_000);
    t.ok(one.isAlive);
    const second = await other('copy');
    const two = start(second);
    t.ok(await two.ready());
    const takenMs = await takenAtMs();
    load(second, 'two');
    await until('the other one approves', () => approvals.some(({ engine }) => engine === 'two'), 30_000);
    proxy.heal();
    t.equal(await one.ended, 1);
    t.match(one.logged, /another engine is the writer of this database now/);
    t.same(
      approvals.filter(({ engine, atMs }) => engine === 'one' && atMs > takenMs),
      [],
    );
    t.equal(await two.kill('SIGTERM'), 0);
    await audit(t);
    t.match(
      (await auditJournals(sql, join(first.dataDir, 'journal'))).findings,
      [/partition 0/],
      'the journal of the first engine ends behind Postgres',
    );
    t.same(await auditJournals(sql, join(second.dataDir, 'journal')), { findings: [], notes: [] });
  });
}
