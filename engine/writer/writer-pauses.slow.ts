/** A writer that stands still for a while spends no money twice, whichever engine has the lease afterwards. */
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { Random } from '../protocols/testing/mutate.js';
import { until } from '../testing/engine-process.js';
import { testSeed } from '../testing/runs.js';
import { writerWorld } from '../testing/writer-world.js';

t.setTimeout(0);

/** The lease and its margin. */
const waitMs = 500 * 1.05 + 1000;

for (const pauseMs of [0, 300, 1400, 2500, 5000]) {
  const random = new Random(testSeed + pauseMs);
  t.test(
    `an engine that is stopped for ${pauseMs} ms while another takes the lease spends no money twice`,
    async (t) => {
      const { first, other, start, load, approves, takenAtMs, approvals, audit } = await writerWorld(t);
      const one = start(first);
      t.ok(await one.ready());
      load(first, 'one', 2);
      await until('it approves', () => approvals.length > 3);
      one.child.kill('SIGSTOP');
      const second = await other('copy');
      const two = start(second);
      load(second, 'two');
      const resumed = delay(pauseMs).then(() => one.child.kill('SIGCONT'));
      // The successor stands still as well, at some point of its start.
      await delay(random.below(3000));
      two.child.kill('SIGSTOP');
      await delay(random.below(2 * waitMs));
      two.child.kill('SIGCONT');
      await resumed;
      await until('one of the two has the ledger for good', () => !one.isAlive || !two.isAlive, 60_000);
      await until('it approves', () => approves(one.isAlive ? first : second), 30_000);
      t.not(one.isAlive, two.isAlive);
      if (two.isAlive) {
        t.match(one.logged, /another engine is the writer of this database now/);
        const takenMs = await takenAtMs();
        t.same(
          approvals.filter(({ engine, atMs }) => engine === 'one' && atMs > takenMs),
          [],
          'the first engine approves nothing after that',
        );
      } else {
        // Or its own question to Postgres, or its connection, has run into its deadline while it stood still.
        t.match(two.logged, /another engine already runs on this database|no answer within|CONNECT_TIMEOUT/);
      }
      await delay(500);
      t.equal(await (one.isAlive ? one : two).kill('SIGTERM'), 0);
      await audit(t);
    },
  );
}
