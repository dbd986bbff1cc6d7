/** Two API processes on one database: a change made at one is seen at the other, with Redis and without. */
import t from 'tap';
import { findFreePort } from '../../deploy/free-port.js';
import { OwnRedis } from '../../deploy/testing/test-redis.js';
import { until } from '../../engine/testing/engine-process.js';
import { request, startTestApi } from '../testing/api-inside.js';
import { ApiProcess } from '../testing/api-process.js';
import { type ApiUnderTest, Customer } from '../testing/customer.js';

for (const withRedis of [true, false]) {
  t.test(withRedis ? 'with Redis' : 'without Redis', async (t) => {
    const redis = withRedis ? await OwnRedis.start() : null;
    t.teardown(() => redis?.stop());
    const env: Record<string, string> = redis === null ? {} : { REDIS_URL: redis.url };
    const first = await startTestApi(t, { env });
    const second = new ApiProcess(await findFreePort(), { DATABASE_URL: first.databaseUrl, LOG_LEVEL: 'info', ...env });
    t.teardown(() => second.stop());
    await second.ready();
    const beside: ApiUnderTest = {
      engine: null,
      request: (method, path, options) => request(second.url, method, path, options),
    };
    for (const kind of ['business', 'personal'] as const) {
      const here = await Customer.register(first, kind);
      const there = new Customer(beside, here.token, here.userId, here.email);
      const [account] = await first.sql<
        { id: string }[]
      >`select public_id as id from accounts order by accounts.id desc limit 1`;
      const { id } = await here.card(account!.id);
      const path = `/api/cards/${id}`;
      // Warm on both sides.
      for (const customer of [here, there, here, there]) {
        t.match((await customer.get(path)).json, { status: 'active' });
        t.match((await customer.get('/api/cards')).json.data, [{ id, status: 'active' }]);
      }
      let status = 'active';
      for (const [changer, other] of [
        [here, there],
        [there, here],
      ] as const) {
        status = status === 'active' ? 'frozen' : 'active';
        await changer.change('PATCH', path, { status });
        t.match((await changer.get(path)).json, { status }, 'at once where it was changed');
        t.match((await changer.get('/api/cards')).json.data, [{ status }]);
        await until(`the other process shows ${status}`, async () => {
          const [one, list] = await Promise.all([other.get(path), other.get('/api/cards')]);
          return one.json.status === status && list.json.data[0].status === status;
        });
      }
    }
  });
}
