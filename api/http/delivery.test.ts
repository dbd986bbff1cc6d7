/** How answers travel: headers, compression, entity tags, kept answers, limits, documentation. */
import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import t, { type Test } from 'tap';
import { redisFor } from '../../deploy/testing/for-test.js';
import { until } from '../../engine/testing/engine-process.js';
import { startTestApi, type TestApi } from '../testing/api-inside.js';
import { createCompany, createPerson } from '../testing/tenants.js';

async function fixture(t: Test, env: Record<string, string> = {}) {
  const api = await startTestApi(t, { env });
  const acme = await createCompany(api.sql, 'acme');
  const token = await api.tokenOf(acme.user('owner').id);
  const get = (path: string, headers: Record<string, string> = {}) => api.request('GET', path, { token, headers });
  return { api, acme, token, get };
}

const list = '/api/companies/co_acme/users';

/** A request whose answer is not decoded on the way, as fetch would. */
function raw(url: string, headers: Record<string, string>): Promise<{ encoding: string | undefined; bytes: number }> {
  return new Promise((resolve, reject) => {
    httpRequest(url, { headers }, (response) => {
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      response.on('end', () => resolve({ encoding: response.headers['content-encoding'], bytes }));
    })
      .on('error', reject)
      .end();
  });
}

async function addPeople(api: TestApi, count: number) {
  await api.sql`
    insert into users (public_id, company_id, role, email, name, kind)
    select 'usr_x' || n, (select id from companies), 'member', 'x' || n || '@acme.example', 'X', 'business'
    from generate_series(1, ${count}::integer) n`;
}

t.test('long answers are compressed as requested, and short ones and x-no-compression are not', async (t) => {
  const { api, token } = await fixture(t);
  await addPeople(api, 100);
  const headers = { authorization: `Bearer ${token}` };
  const url = `${api.url}${list}?limit=200`;
  const plain = await raw(url, headers);
  t.equal(plain.encoding, undefined);
  for (const encoding of ['br', 'gzip']) {
    const packed = await raw(url, { ...headers, 'accept-encoding': encoding });
    t.equal(packed.encoding, encoding);
    t.ok(packed.bytes * 3 < plain.bytes, `${packed.bytes} of ${plain.bytes} bytes`);
    t.equal((await raw(`${api.url}/api/me`, { ...headers, 'accept-encoding': encoding })).encoding, undefined);
    t.same(await raw(url, { ...headers, 'accept-encoding': encoding, 'x-no-compression': '1' }), plain);
  }
});

t.test('an unchanged answer costs a 304, compressed and cached ones too', async (t) => {
  const { api, get } = await fixture(t);
  await addPeople(api, 100);
  const first = await get(list, { 'accept-encoding': 'gzip' });
  const etag = first.headers.get('etag')!;
  t.match(etag, /^W\/"[\w-]{22}"$/);
  t.match(first.headers.get('cache-control'), /private/);
  for (const control of ['no-cache', 'max-age=0']) {
    const again = await get(list, { 'if-none-match': `"other", ${etag}`, 'cache-control': control });
    t.equal(again.status, 304);
    t.equal(again.text, '');
    t.equal(again.headers.get('etag'), etag);
  }
  t.equal((await get(list, { 'if-none-match': '"other"' })).status, 200);
  const company = await get('/api/companies/co_acme');
  const tag = company.headers.get('etag')!;
  t.match(tag, /^"1-[\w-]{22}"$/, 'the tag of an object starts with its version');
  t.equal((await get('/api/companies/co_acme', { 'if-none-match': tag })).status, 304);
});

t.test('a cached answer serves its own reader until the tenant writes', async (t) => {
  const { api, acme, token, get } = await fixture(t);
  const cacheHit = async (path = list) => (await get(path)).headers.get('x-cache') === 'hit';
  t.notOk(await cacheHit());
  t.ok(await cacheHit());
  t.equal((await get(list, { 'cache-control': 'no-cache' })).headers.get('x-cache'), null, 'the cache is bypassed');
  const admin = await api.request('GET', list, { token: await api.tokenOf(acme.user('admin').id) });
  t.equal(admin.headers.get('x-cache'), null, 'the next reader has an answer of their own');
  t.notOk(await cacheHit(`${list}?limit=3`), 'another URL is another answer');
  await api.request('PATCH', '/api/users/usr_acme_member', { token, body: { name: 'Eve Moved' } });
  const after = await get(list);
  t.equal(after.headers.get('x-cache'), null);
  t.match(after.text, /Eve Moved/, 'the next read sees the write');
  const person = await createPerson(api.sql, 'ada');
  t.equal((await api.request('GET', list, { token: await api.tokenOf(person.user('personal').id) })).status, 403);
});

t.test(
  'with Redis a write at one process is visible at the other, and without it nothing cached is used',
  async (t) => {
    const server = await redisFor(t);
    const one = await fixture(t, { REDIS_URL: server.url });
    const other = await startTestApi(t, { env: { REDIS_URL: server.url, DATABASE_URL: one.api.databaseUrl } });
    await until('both have Redis', () => one.api.api.services.redis!.isUp && other.api.services.redis!.isUp);
    const read = () => other.request('GET', '/api/companies/co_acme', { token: one.token });
    await read();
    t.equal((await read()).headers.get('x-cache'), 'hit');
    await one.api.request('PATCH', '/api/companies/co_acme', { token: one.token, body: { name: 'Renamed' } });
    t.equal((await read()).json.name, 'Renamed');
    await server.stop();
    await until('the loss is noticed', () => !other.api.services.redis!.isUp);
    t.equal((await read()).status, 200);
    t.equal((await read()).headers.get('x-cache'), null);
    t.match((await other.ops('/health')).json, {
      status: 'degraded',
      components: { redis: { status: 'unhealthy' } },
    });
  },
);

t.test('during overload new requests are refused, and operations are not', async (t) => {
  const { get } = await fixture(t, { EVENT_LOOP_DELAY_MS: '1' });
  const busy = setInterval(() => {
    const untilMs = performance.now() + 30;
    while (performance.now() < untilMs);
  }, 1);
  t.teardown(() => clearInterval(busy));
  // The sample of the start is forgiven; then it is what it is.
  await until('requests are refused', async () => (await get('/api/me')).status === 503);
  const refused = await get('/api/me');
  t.match(refused.json, { status: 503, title: 'overloaded' });
  t.equal(refused.headers.get('retry-after'), '1');
  t.equal((await get('/readyz')).status, 200);
});

t.test('answers carry the security headers for browsers', async (t) => {
  const { get } = await fixture(t);
  const { headers } = await get('/api/me');
  t.match(headers.get('content-security-policy'), /default-src 'none'/);
  t.equal(headers.get('x-content-type-options'), 'nosniff');
  t.match(headers.get('strict-transport-security'), /max-age/);
});

t.test('the documentation lists every route with its schemas, and its page may run its scripts', async (t) => {
  const { api } = await fixture(t);
  const { json } = await api.request('GET', '/api/openapi.json');
  t.equal(json.openapi, '3.1.0');
  t.match(json.paths['/api/auth/login'].post, {
    security: [],
    requestBody: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Credentials' } } } },
    responses: { 200: {}, 401: {} },
  });
  t.match(json.components.schemas.Credentials, { additionalProperties: false, required: ['email', 'password'] });
  t.ok(
    json.paths['/api/companies/{id}/invitations'].post.parameters.some(({ name }: { name: string }) => name === 'id'),
  );
  const page = await api.request('GET', '/api/docs/');
  t.equal(page.status, 200);
  t.match(page.headers.get('content-security-policy'), /script-src 'self'/);
  const scripts = [...page.text.matchAll(/<script[^>]*src="\.?([^"]+)"/g)].map(([, path]) => path!);
  t.ok(scripts.length >= 3);
  for (const path of scripts) {
    const script = await api.request('GET', path.startsWith('/api') ? path : `/api/docs${path}`);
    t.equal(script.status, 200, path);
  }
  for (const [, inline] of page.text.matchAll(/<script>([^<]+)<\/script>/g)) {
    const digest = createHash('sha256').update(inline!).digest('base64');
    t.match(page.headers.get('content-security-policy'), digest, 'an inline script is allowed by its hash');
  }
});
