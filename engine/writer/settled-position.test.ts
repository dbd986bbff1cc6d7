/** The end of earlier settlers on a real Postgres. */
import postgres from 'postgres';
import t from 'tap';
import { databaseFor } from '../../deploy/testing/for-test.js';
import { until } from '../testing/engine-process.js';
import { endSettlers } from './settled-position.js';

t.test('a takeover of one partition ends the settlers of that partition, and of engines that name none', async (t) => {
  const { url, sql } = await databaseFor(t);
  const names = ['settle', 'settle 1', 'settle 12', 'engine lookups'];
  for (const application_name of names) {
    const settler = postgres(url, { max: 1, connection: { application_name }, onnotice: () => undefined });
    t.teardown(() => settler.end({ timeout: 1 }));
    await settler`select`;
  }
  const connected = async () => {
    const rows = await sql<{ name: string }[]>`
      select application_name as name from pg_stat_activity
      where datname = current_database() and application_name = any(${names}) order by 1`;
    return rows.map(({ name }) => name).join();
  };
  const untilConnected = (left: string) => until(left, async () => (await connected()) === left);
  await untilConnected('engine lookups,settle,settle 1,settle 12');
  await endSettlers(sql, 1);
  await untilConnected('engine lookups,settle 12');
  await endSettlers(sql, null);
  await untilConnected('engine lookups');
  t.pass();
});
