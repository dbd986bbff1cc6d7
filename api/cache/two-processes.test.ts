/** Two API processes on one database: a change made at one is seen at the other, with Redis and without. */
import t from 'tap';
import { findFreePort } from '../../deploy/free-port.js';
import { redisFor } from '../../deploy/testing/for-test.js';
import { until } from '../../engine/testing/engine-process.js';
import { request, startTestApi } from '../testing/api-inside.js';
import { ApiProcess } from '../testing/api-process.js';
import { type ApiUnderTest, Customer } from '../testing/customer.js';
import { createCompany } from '../testing/tenants.js';

for (const withRedis of [true, false]) {
  t.test(withRedis ? 'with Redis' : 'without Redis', async (t) => {
    const redis = withRedis ? await redisFor(t) : null;
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
        t.match((await changer.get(path)).json, { status }, 'the change is in force at once where it was made');
        t.match((await changer.get('/api/cards')).json.data, [{ status }]);
        await until(`the other process shows ${status}`, async () => {
          const [one, list] = await Promise.all([other.get(path), other.get('/api/cards')]);
          return one.json.status === status && list.json.data[0].status === status;
        });
      }
    }
  });
}

/** Far above the 100 ms that it should take: a busy machine is no failure. The times are in the test's output. */
const inForceMs = 5000;

for (const withRedis of [true, false]) {
  const way = withRedis ? 'with Redis' : 'without Redis';
  t.test(`a sign-out, a lower role and a block are in force at the other process within moments, ${way}`, async (t) => {
    const redis = withRedis ? await redisFor(t) : null;
    const env: Record<string, string> = redis === null ? {} : { REDIS_URL: redis.url };
    const first = await startTestApi(t, { env });
    const second = new ApiProcess(await findFreePort(), { DATABASE_URL: first.databaseUrl, ...env });
    t.teardown(() => second.stop());
    await second.ready();
    const there = async (method: string, path: string, token: string, body?: object) =>
      (await request(second.url, method, path, { token, ...(body === undefined ? {} : { body }) })).status;
    const inForce = async (what: string, look: () => Promise<boolean>) => {
      const fromMs = performance.now();
      await until(what, look, inForceMs, 5);
      t.comment(`${what} after ${Math.round(performance.now() - fromMs)} ms`);
    };
    const acme = await createCompany(first.sql, 'acme');
    const [owner, admin] = await Promise.all(
      [acme.user('owner'), acme.user('admin')].map(({ id }) => first.tokenOf(id)),
    );
    const { publicId } = acme.user('admin');
    const lower = { role: 'member' };
    const rename = () => there('PATCH', '/api/companies/co_acme', admin!, { name: 'Acme' });

    const body = {
      email: 'leaver@example.com',
      password: 'a-password-of-tests',
      name: 'A Leaver',
      kind: 'personal',
    };
    const { token, refreshToken } = (await first.request('POST', '/api/auth/register', { body })).json;
    t.equal(await there('GET', '/api/me', token), 200);
    t.equal((await first.request('POST', '/api/auth/logout', { body: { refreshToken } })).status, 204);
    await inForce('the sign-out', async () => (await there('GET', '/api/me', token)) === 401);

    t.equal(await rename(), 200);
    const path = `/api/users/${publicId}`;
    t.equal((await first.request('PATCH', path, { token: owner!, body: lower })).status, 200);
    await inForce('the lower role', async () => (await there('GET', '/api/companies/co_acme/users', admin!)) === 403);
    t.equal(await rename(), 403);
    t.equal(await there('GET', '/api/me', admin!), 200);
    t.equal((await first.request('PATCH', path, { token: owner!, body: { status: 'frozen' } })).status, 200);
    await inForce('the block', async () => (await there('GET', '/api/me', admin!)) === 401);
  });
}

t.test('without Redis a cached answer is dropped when its tenant writes at another process', async (t) => {
  const first = await startTestApi(t);
  const second = new ApiProcess(await findFreePort(), { DATABASE_URL: first.databaseUrl, LOG_LEVEL: 'info' });
  t.teardown(() => second.stop());
  await second.ready();
  const { generations, invalidations } = first.api.services;
  await until('the first process hears', () => invalidations.isListening);
  const acme = await createCompany(first.sql, 'acme');
  await createCompany(first.sql, 'other');
  const token = await first.tokenOf(acme.user('owner').id);
  const path = '/api/companies/co_acme';
  t.equal((await first.request('GET', path, { token })).status, 200);
  t.equal((await first.request('GET', path, { token })).headers.get('x-cache'), 'hit');
  const companies = await first.sql<{ id: string }[]>`select id::text from companies order by id`;
  const tenants = companies.map(({ id }) => `c${id}`);
  const [before, untouched] = await Promise.all(tenants.map((tenant) => generations.current(tenant)));

  t.equal((await request(second.url, 'PATCH', path, { token, body: { name: 'Acme & Sons' } })).status, 200);
  // A generation has no lifetime that could have ended: this is the message.
  await until(
    'the first process has received the write',
    async () => (await generations.current(tenants[0]!)) !== before,
  );
  t.match((await first.request('GET', path, { token })).json, { name: 'Acme & Sons' });
  t.equal(await generations.current(tenants[1]!), untouched, 'cached answers of other tenants stay');

  const known = await generations.current(tenants[0]!);
  await first.request('PATCH', path, { token, body: { name: 'Acme' } });
  t.not(await generations.current(tenants[0]!), known, 'the cached answer is dropped at once where the write was made');
});
