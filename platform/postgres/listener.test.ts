/** Hints go on arriving after whatever happens to the way to Postgres. */
import postgres from 'postgres';
import t from 'tap';
import { createTestDatabase } from '../../deploy/testing/test-database.js';
import { until } from '../../engine/testing/engine-process.js';
import { TcpProxy } from '../../engine/testing/tcp-proxy.js';
import { Listener } from './listener.js';

t.test('a listener hears again after a server that was away for longer than one try', async (t) => {
  const database = await createTestDatabase({ migrated: false });
  t.teardown(() => database.close());
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  t.teardown(() => sql.end({ timeout: 1 }));
  const proxy = await TcpProxy.start(Number(new URL(database.url).port));
  t.teardown(() => proxy.close());
  const listener = new Listener(proxy.url(database.url), 'listener test');
  t.teardown(() => listener.close());
  const heard: string[] = [];
  let connections = 0;
  for (const channel of ['one', 'two']) {
    await listener.listen(
      channel,
      (text) => heard.push(`${channel} ${text}`),
      () => connections++,
    );
  }
  t.equal(listener.failure, '');

  proxy.cut();
  await until('a try has failed', () => /ECONN|CONNECTION|closed|reset|refused/i.test(listener.failure));
  proxy.heal();
  await until('both channels are heard again', () => connections === 4);
  t.equal(listener.failure, '');
  await sql`select pg_notify('one', 'news'), pg_notify('two', 'news')`;
  await until('both have arrived', () => heard.length === 2);
  t.same(heard, ['one news', 'two news']);
});
