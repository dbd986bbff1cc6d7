/** Errors: each a problem with a type that leads to its meaning and the id of the request, wherever it arises. */
import { connect } from 'node:net';
import t, { type Test } from 'tap';
import { problemCodes } from '../../platform/problems/problem-codes.js';
import { type Reply, startTestApi, type TestApi } from '../testing/api-inside.js';
import { createCompany } from '../testing/tenants.js';

/** Sends bytes as they are and reads until the server closes. */
function raw(url: string, bytes: string): Promise<{ status: number; headers: string; body: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.on('error', reject);
    socket.on('close', () => {
      const [headers = '', body = ''] = text.split('\r\n\r\n');
      resolve({ status: Number(headers.split(' ')[1]), headers: headers.toLowerCase(), body });
    });
    socket.end(bytes);
  });
}

async function checkProblem(t: Test, api: TestApi, name: string, status: number, title: string, json: unknown) {
  t.match(json, { type: `/api/docs/problems/${title}`, title, status, detail: /\w/, requestId: /^\S+$/ }, name);
  const page = await api.request('GET', `/api/docs/problems/${title}`);
  t.equal(page.status, 200, `${name}: the type leads to a page`);
}

t.test('every error of a request is a problem whose type leads to its meaning', async (t) => {
  const api = await startTestApi(t, { env: { BODY_BYTES_MAX: '1024' } });
  const acme = await createCompany(api.sql, 'acme');
  const token = await api.tokenOf(acme.user('owner').id);
  const post = (body: string, headers: Record<string, string> = {}): Promise<Reply> =>
    api.request('POST', '/api/auth/login', { headers: { 'content-type': 'application/json', ...headers }, raw: body });
  for (const [name, reply, status, title] of [
    ['an unknown path', await api.request('GET', '/api/nothing'), 404, 'not_found'],
    ['another method', await api.request('DELETE', '/api/me'), 405, 'method_not_allowed'],
    ['a URL that cannot be decoded', await api.request('GET', '/api/cards/%zz', { token }), 400, 'invalid_request'],
    ['a URL that is too long', await api.request('GET', `/api/me?x=${'x'.repeat(9000)}`), 414, 'uri_too_long'],
    ['an id that is too long', await api.request('GET', `/api/cards/${'x'.repeat(300)}`), 404, 'not_found'],
    ['no token', await api.request('GET', '/api/me'), 401, 'unauthorized'],
    ['a bad token', await api.request('GET', '/api/me', { token: 'x' }), 401, 'invalid_token'],
    ['no JSON', await post('{'), 400, 'invalid_request'],
    ['a long body', await post(`{"email":"${'x'.repeat(2000)}"}`), 413, 'body_too_large'],
    ['another type', await post('x', { 'content-type': 'text/plain' }), 415, 'unsupported_media_type'],
    ['an encoded body', await post('x', { 'content-encoding': 'br' }), 415, 'unsupported_media_type'],
  ] as const) {
    t.equal(reply.status, status, name);
    t.match(reply.headers.get('content-type'), /^application\/problem\+json/, name);
    await checkProblem(t, api, name, status, title, reply.json);
  }
});

t.test('bytes that are no request are answered with a problem too', async (t) => {
  const api = await startTestApi(t);
  const host = 'host: x\r\n';
  for (const [name, bytes, status, title] of [
    ['an unknown method', `FETCH /api/me HTTP/1.1\r\n${host}\r\n`, 400, 'invalid_request'],
    ['no HTTP', 'hello\r\n\r\n', 400, 'invalid_request'],
    ['long headers', `GET / HTTP/1.1\r\n${host}x: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'headers_too_large'],
    ['a very long URL', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\n${host}\r\n`, 414, 'uri_too_long'],
    ['no host', 'GET /api/me HTTP/1.1\r\nconnection: close\r\n\r\n', 400, 'invalid_request'],
    ['a method of WebDAV', `PROPFIND /api/me HTTP/1.1\r\n${host}connection: close\r\n\r\n`, 405, 'method_not_allowed'],
  ] as const) {
    const { status: found, headers, body } = await raw(api.url, bytes);
    t.equal(found, status, name);
    t.match(headers, 'content-type: application/problem+json', name);
    if (body !== '') await checkProblem(t, api, name, status, title, JSON.parse(body));
  }
});

t.test('a path answers other methods with those that it accepts', async (t) => {
  const api = await startTestApi(t);
  for (const [method, path, allow] of [
    ['PUT', '/api/me', 'GET, PATCH, HEAD'],
    ['DELETE', '/api/cards', 'GET, POST, HEAD'],
    ['POST', '/api/cards/card_1', 'GET, PATCH, HEAD'],
    ['GET', '/api/auth/login', 'POST'],
    ['POST', '/api/openapi.json', 'GET, HEAD'],
  ] as const) {
    const { status, headers } = await api.request(method, path);
    t.same([status, headers.get('allow')], [405, allow], `${method} ${path}`);
  }
  t.equal((await api.request('GET', '/api/me/')).status, 404, 'a path with a trailing slash is another path');
});

t.test('the answer distinguishes a missing token from an invalid one', async (t) => {
  const api = await startTestApi(t, { env: { ACCESS_TOKEN_SECONDS: '60' } });
  const acme = await createCompany(api.sql, 'acme');
  const token = await api.tokenOf(acme.user('owner').id);
  const header = async (options: { token?: string; headers?: Record<string, string> }) =>
    (await api.request('GET', '/api/me', options)).headers.get('www-authenticate');
  t.equal(await header({}), 'Bearer');
  t.match(await header({ token: `${token}x` }), /^Bearer error="invalid_token", error_description="[^"]+"$/);
  t.match(await header({ token: 'afc_live_x' }), /error="invalid_token"/);
  t.match(await header({ headers: { authorization: 'Basic eDp5' } }), /error="invalid_token"/);
});

t.test('every code has a page, and an unknown one has none', async (t) => {
  const api = await startTestApi(t);
  const all = await api.request('GET', '/api/docs/problems');
  t.match(all.headers.get('content-type'), /^text\/html/);
  for (const code of Object.keys(problemCodes)) t.match(all.text, `/api/docs/problems/${code}"`);
  t.equal((await api.request('GET', '/api/docs/problems/constructor')).status, 404);
});
