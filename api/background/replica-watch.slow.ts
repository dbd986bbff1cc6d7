/** A real standby that stands still falls behind, and the watch says by how much. */
import postgres from 'postgres';
import t from 'tap';
import { ReplicatedPostgres } from '../../deploy/testing/replicated-postgres.js';
import { until } from '../../engine/testing/engine-process.js';
import { ReplicaWatch } from './replica-watch.js';

t.setTimeout(0);

t.test('a standby that stands still is behind, and one that goes on catches up', async (t) => {
  const servers = await ReplicatedPostgres.start();
  t.teardown(() => servers.stop());
  const sql = postgres(servers.primaryUrl, { max: 1, onnotice: () => undefined });
  t.teardown(() => sql.end({ timeout: 1 }));
  const watch = new ReplicaWatch(servers.bothOf(servers.primaryUrl));
  t.teardown(() => watch.stop());
  const standby = () => watch.states.find(({ isPrimary }) => !isPrimary)!;
  await watch.look();
  t.match(watch.states, [{ isPrimary: true }, { isPrimary: false }]);
  t.ok(standby().isUp);
  // Replaying stands still while the server answers, as behind a long query.
  const replay = postgres(servers.standbyUrl, { max: 1, onnotice: () => undefined });
  t.teardown(() => replay.end({ timeout: 1 }));
  await replay`select pg_wal_replay_pause()`;
  await sql`create table filler as select repeat('x', 1000) as text from generate_series(1, 2000)`;
  await watch.look();
  t.ok(standby().lagBytes! > 1_000_000, `${standby().lagBytes} bytes behind`);
  t.equal(standby().lagSeconds, 0, 'it was seen just now');
  await watch.look();
  t.ok(standby().lagSeconds! > 0);
  await replay`select pg_wal_replay_resume()`;
  await until('it has caught up', async () => {
    await watch.look();
    return standby().lagBytes === 0;
  });
});
