/** The documents and files of the pages, and the sessions that their cookies keep. */
import { readdirSync } from 'node:fs';
import t from 'tap';
import { findFreePort } from '../../deploy/free-port.js';
import { readApiConfig } from '../config.js';
import { addOperator } from '../stores/operators.js';
import { request, startTestApi, type TestApi } from '../testing/api-inside.js';
import { Customer } from '../testing/customer.js';

const password = 'correct horse battery';
const assets = new URL('../../web/site/assets/', import.meta.url);

t.test('a document is revalidated, and its files are kept for a year', async (t) => {
  const api = await startTestApi(t);
  const document = await api.request('GET', '/console/any/page');
  t.equal(document.status, 200);
  t.equal(document.headers.get('cache-control'), 'no-cache');
  t.match(
    document.headers.get('content-security-policy'),
    /script-src 'self' 'sha256-[^']+'; style-src 'self';.*trusted-types/,
  );
  t.notMatch(
    document.text,
    /<script(?![^>]* (?:src=|type="importmap"))|<style| on\w+=|javascript:/,
    'no code in the document',
  );
  const etag = document.headers.get('etag')!;
  t.equal((await api.request('GET', '/console', { headers: { 'if-none-match': etag } })).status, 304);
  t.equal((await api.request('POST', '/console')).status, 405);
  const [, script] = /<script type="module" src="([^"]+)"/.exec(document.text)!;
  for (const encoding of ['br', 'gzip']) {
    const file = await api.request('GET', script!, { headers: { 'accept-encoding': encoding } });
    t.match(file.headers.get('cache-control'), /max-age=31536000, immutable/);
    t.equal(file.headers.get('content-encoding'), encoding);
    t.match(file.headers.get('content-type'), /javascript/);
  }
  t.equal((await api.request('GET', '/assets/none.js')).status, 404);
  t.ok(readdirSync(assets).length > 5, 'the pages are built');
});

const cookieOf = (headers: Headers) => headers.get('set-cookie')!.split(';')[0]!;

async function consoleOf(api: TestApi) {
  const passwordHash = await api.api.services.passwords.hash(password);
  const email = 'grace@example.com';
  await addOperator(api.sql, { email, name: 'Grace', role: 'admin', passwordHash, totpSecret: null });
  const signedIn = await api.request('POST', '/api/console/session', { body: { email, password } });
  const headers = { cookie: cookieOf(signedIn.headers), 'x-afc-page': 'console' };
  return { signedIn, headers, csrf: signedIn.json.csrf as string };
}

t.test('the cookie of the console is a session, for its page and this origin alone', async (t) => {
  const api = await startTestApi(t);
  const { signedIn, headers, csrf } = await consoleOf(api);
  t.match(
    signedIn.headers.get('set-cookie'),
    /^__Host-console=afo_\S+; Max-Age=\d+; Path=\/; Secure; HttpOnly; SameSite=Strict$/,
  );
  t.match(signedIn.json.operator, { email: 'grace@example.com', role: 'admin' });
  t.notMatch(signedIn.text, 'afo_', 'no script sees the token');
  const session = (changed: Record<string, string>) =>
    api.request('GET', '/api/console/session', { headers: { ...headers, ...changed } });
  t.same((await session({})).json, signedIn.json);
  t.equal((await api.request('GET', '/api/operators/me', { headers })).status, 200);
  t.equal((await session({ 'x-afc-page': 'app' })).status, 204, 'the app has no such session');
  t.equal((await api.request('GET', '/api/operators/me', { headers: { cookie: headers.cookie } })).status, 401);
  t.equal((await session({ 'sec-fetch-site': 'cross-site' })).status, 403);
  t.equal((await session({ 'sec-fetch-site': 'same-site' })).status, 403);

  for (const path of ['/api/console/session', '/api/app/session']) {
    const { cookie } = headers;
    const linked = await api.request('GET', path, { headers: { cookie } });
    t.same([linked.status, linked.headers.get('set-cookie')], [204, null], `a link to ${path} signs no person out`);
  }

  const end = (token: Record<string, string>) =>
    api.request('DELETE', '/api/console/session', { headers: { ...headers, ...token } });
  t.match((await end({})).json, { status: 403, title: 'csrf_failed' });
  t.equal((await end({ 'x-csrf-token': `${csrf.slice(0, -2)}AA` })).status, 403);
  t.equal((await end({ 'x-csrf-token': csrf })).status, 204);
  t.equal((await session({})).status, 204);
});

t.test('the cookie of the app gets new tokens when its access token lapses', async (t) => {
  const api = await startTestApi(t);
  const { email } = await Customer.register(api, 'personal');
  const body = { email, password: 'a-password-of-tests' };
  const signedIn = await api.request('POST', '/api/app/session', { body });
  t.equal(signedIn.status, 200);
  const cookie = cookieOf(signedIn.headers);
  const session = (cookie: string) =>
    api.request('GET', '/api/app/session', { headers: { cookie, 'x-afc-page': 'app' } });
  const living = await session(cookie);
  t.same(living.json, signedIn.json);
  t.equal(living.headers.get('set-cookie'), null, 'a living session keeps its tokens');

  const lapsed = `__Host-app=lapsed~${cookie.split('~')[1]}`;
  const renewed = await session(lapsed);
  t.match(renewed.json, { user: { email } });
  const headers = { cookie: cookieOf(renewed.headers), 'x-afc-page': 'app', 'x-csrf-token': renewed.json.csrf };
  t.equal((await api.request('GET', '/api/me', { headers })).status, 200);
  t.match((await api.request('PATCH', '/api/me', { headers, body: { name: 'Ada' } })).json, { name: 'Ada' });
  const { 'x-csrf-token': _, ...unsigned } = headers;
  const besides = { ...unsigned, authorization: 'Bearer none' };
  t.equal((await api.request('DELETE', '/api/app/session', { headers: besides })).status, 204);
  t.equal((await session(headers.cookie)).status, 200, 'a bearer token does not open what the cookie holds');
  t.equal((await api.request('DELETE', '/api/app/session', { headers })).status, 204);
  const ended = await session(headers.cookie);
  t.equal(ended.status, 204);
  t.match(ended.headers.get('set-cookie'), /^__Host-app=; Max-Age=0;/);
  t.equal((await session('')).status, 204);
});

t.test('with an address of its own the console is there and nowhere else', async (t) => {
  const port = await findFreePort();
  const api = await startTestApi(t, { env: { CONSOLE_HOST: `127.0.0.1:${port}` } });
  const inside = `http://127.0.0.1:${port}`;
  const { headers } = await consoleOf({ ...api, request: (...sent) => request(inside, ...sent) });
  const statusAt = async (url: string, path: string, sent: Record<string, string> = {}) =>
    (await request(url, 'GET', path, { headers: sent })).status;
  for (const path of ['/console', '/console/any/page', '/%63onsole']) {
    t.equal(await statusAt(inside, path), 200, path);
    t.equal(await statusAt(api.url, path), 404, path);
  }
  t.equal(await statusAt(inside, '/app'), 404);
  t.equal(await statusAt(api.url, '/app'), 200);
  t.equal(await statusAt(inside, '/api/console/session', headers), 200);
  t.equal(await statusAt(inside, '/api/operators/me', headers), 200);
  t.equal(await statusAt(api.url, '/api/console/session', headers), 404);
  t.equal(await statusAt(api.url, '/api/operators/me', headers), 401, 'the cookie opens nothing outside');
});

t.test('the address of the console needs a port of its own', async (t) => {
  const { API_PORT, ...secrets } = { API_PORT: '3000', JWT_SECRET: 'x'.repeat(32), ENGINE_TOKEN: 'token' };
  const read = (CONSOLE_HOST: string) => () =>
    readApiConfig({ ...secrets, API_PORT, DATABASE_URL: 'postgres://127.0.0.1/books', CONSOLE_HOST });
  t.throws(read('127.0.0.1:3000'), { message: /CONSOLE_HOST needs a port of its own/ });
  t.throws(read('127.0.0.1'), { message: /CONSOLE_HOST/ });
  t.same(read('[::1]:3002')().consoleHost, { host: '::1', port: 3002 });
});

t.test('with an origin for the files the documents name them there, with hashes, and allow that origin', async (t) => {
  const origin = 'https://cdn.example.com';
  const api = await startTestApi(t, { env: { ASSET_ORIGIN: origin } });
  for (const path of ['/console', '/app']) {
    const { text, headers } = await api.request('GET', path);
    const files = [...text.matchAll(/<(?:script|link)[^>]*(?:src|href)="([^"]*assets[^"]*)"([^>]*)>/g)];
    t.ok(files.length > 3);
    t.ok(files.every(([, file]) => file!.startsWith(`${origin}/assets/`)));
    const loaded = files.filter(([tag]) => !/rel="[^"]*icon"/.test(tag!));
    t.ok(loaded.every(([, , more]) => / crossorigin integrity="sha384-[^"]{64}"/.test(more!)));
    t.match(headers.get('content-security-policy'), `style-src 'self' ${origin};`);
    const { integrity } = JSON.parse(/<script type="importmap">(.*?)</.exec(text)![1]!);
    t.ok(Object.keys(integrity).length > 5, 'files that are loaded later have hashes too');
  }
  const [file] = readdirSync(assets);
  t.equal((await api.request('GET', `/assets/${file}`)).headers.get('access-control-allow-origin'), '*');
});
