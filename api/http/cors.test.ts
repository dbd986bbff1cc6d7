/** Pages of other origins, and the version of the API. */
import t from 'tap';
import { ConfigError } from '../../platform/config/variables.js';
import { readApiConfig } from '../config.js';
import { startTestApi } from '../testing/api-inside.js';
import { createCompany } from '../testing/tenants.js';

const ours = 'https://app.example.com';

t.test('only pages of the listed origins may read answers', async (t) => {
  const api = await startTestApi(t, { env: { CORS_ORIGINS: `${ours},http://localhost:5173` } });
  const get = (origin: string) => api.request('GET', '/api/me', { headers: { origin } });
  for (const origin of [ours, 'http://localhost:5173']) {
    const { headers } = await get(origin);
    t.equal(headers.get('access-control-allow-origin'), origin);
    t.match(headers.get('vary'), /origin/i);
    t.equal(headers.get('access-control-allow-credentials'), null, 'the answer never asks for cookies');
    t.match(headers.get('access-control-expose-headers'), /ETag.*Request-Id/);
  }
  for (const origin of ['https://evil.example', 'null', `${ours}.evil.example`, 'http://app.example.com']) {
    t.equal((await get(origin)).headers.get('access-control-allow-origin'), null, origin);
  }
  const acme = await createCompany(api.sql, 'acme');
  const token = await api.tokenOf(acme.user('owner').id);
  const { status, headers } = await api.request('GET', '/api/me', { token, headers: { origin: ours } });
  t.equal(status, 200);
  t.match(
    headers.get('vary'),
    /origin.*authorization/i,
    'a cache must not give the answer to a page of another origin',
  );
});

t.test('a preflight of a listed origin is answered and may be cached', async (t) => {
  const api = await startTestApi(t, { env: { CORS_ORIGINS: ours } });
  const preflight = (origin: string) =>
    api.request('OPTIONS', '/api/cards', {
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
    });
  const { status, headers } = await preflight(ours);
  t.equal(status, 204);
  t.equal(headers.get('access-control-allow-origin'), ours);
  t.match(headers.get('access-control-allow-methods'), /POST/);
  t.match(headers.get('access-control-allow-headers'), /Authorization.*Idempotency-Key.*If-Match/);
  t.match(headers.get('access-control-max-age'), /^\d+$/);
  t.equal((await preflight('https://evil.example')).headers.get('access-control-allow-origin'), null);
});

t.test('without CORS_ORIGINS no page of another origin can read an answer', async (t) => {
  const api = await startTestApi(t);
  const { headers } = await api.request('GET', '/api/me', { headers: { origin: ours } });
  t.equal(headers.get('access-control-allow-origin'), null);
});

t.test('an invalid origin stops the start', async (t) => {
  const env = {
    DATABASE_URL: 'postgres://x',
    ENGINE_TOKEN: 'a-token-of-the-tests-with-enough-letters',
    JWT_SECRET: 'a-secret-of-the-tests-with-enough-letters',
  };
  for (const origin of ['*', 'app.example.com', 'https://app.example.com/', 'https://*.example.com']) {
    t.throws(() => readApiConfig({ ...env, CORS_ORIGINS: origin }), ConfigError, origin);
  }
  t.same(readApiConfig({ ...env, CORS_ORIGINS: 'https://a.example,https://b.example:8443' }).corsOrigins, [
    'https://a.example',
    'https://b.example:8443',
  ]);
  t.same(readApiConfig(env).corsOrigins, []);
});

t.test('every answer names its version, and a version that the API does not have is refused', async (t) => {
  const api = await startTestApi(t);
  const ask = (path: string, version?: string) =>
    api.request('GET', path, version === undefined ? {} : { headers: { 'api-version': version } });
  for (const path of ['/livez', '/api/me', '/api/nothing', '/api/openapi.json', '/api/%zz']) {
    t.equal((await ask(path)).headers.get('api-version'), '2026-11-28', path);
  }
  t.equal((await ask('/livez', '2026-11-28')).status, 200);
  const refused = await ask('/livez', '2020-01-01');
  t.match({ status: refused.status, json: refused.json }, { status: 400, json: { field: 'api-version' } });
  t.equal(refused.headers.get('api-version'), '2026-11-28');
});
