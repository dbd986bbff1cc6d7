/** Sealed texts: nothing of them can be read or changed outside. */
import t from 'tap';
import { startTestApi } from '../testing/api-inside.js';
import { createCompany } from '../testing/tenants.js';
import { Seal } from './sealed.js';

const text = Buffer.from('["cards","2026-11-24T05:44:50.123456Z",7]');

t.test('a sealed text opens with a secret of the list and with no other', async (t) => {
  const sealed = new Seal('cursor', ['old']).seal(text);
  t.same(new Seal('cursor', ['new', 'old']).open(sealed), text);
  t.equal(new Seal('cursor', ['new']).open(sealed), null);
  t.equal(new Seal('other', ['old']).open(sealed), null, 'the text does not open for another purpose');
  t.equal(new Seal('cursor', ['old']).seal(text), sealed, 'the same text has the same form');
});

t.test('a changed, cut or invented text does not open', async (t) => {
  const seal = new Seal('cursor', ['one']);
  const sealed = Buffer.from(seal.seal(text), 'base64url');
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed);
    changed[at]! ^= 1;
    t.equal(seal.open(changed.toString('base64url')), null);
  }
  for (const other of ['', 'x', text.toString('base64url'), sealed.subarray(1).toString('base64url')]) {
    t.equal(seal.open(other), null);
  }
});

t.test('neither a cursor nor an access token shows a number of the database', async (t) => {
  const api = await startTestApi(t);
  const acme = await createCompany(api.sql, 'acme');
  const token = await api.tokenOf(acme.user('owner').id);
  const [header, payload] = token.split('.').map((part) => Buffer.from(part, 'base64url').toString());
  t.match(JSON.parse(header!), { alg: 'HS256' });
  const { sub, iat, exp, ...rest } = JSON.parse(payload!);
  t.match(sub, /^[\w-]{40,}$/);
  t.ok(exp > iat);
  t.same(rest, { iss: 'atlanticfrewaycard', aud: 'api' });
  const path = '/api/companies/co_acme/users?limit=1';
  const { json } = await api.request('GET', path, { token });
  t.notMatch(Buffer.from(json.next, 'base64url').toString('latin1'), /company-users/);
  const second = await api.request('GET', `${path}&cursor=${json.next}`, { token });
  t.equal(second.status, 200);
  t.not(second.json.data[0].id, json.data[0].id);
  const plain = Buffer.from('["company-users",1]').toString('base64url');
  for (const cursor of [plain, `${json.next}A`, 'x']) {
    const refused = await api.request('GET', `${path}&cursor=${cursor}`, { token });
    t.match({ status: refused.status, json: refused.json }, { status: 400, json: { field: 'cursor' } }, cursor);
  }
});

t.test('the tag of a limits answer changes with the spending, and If-Match accepts it as the version', async (t) => {
  const api = await startTestApi(t);
  const acme = await createCompany(api.sql, 'acme');
  const token = await api.tokenOf(acme.user('owner').id);
  const path = '/api/companies/co_acme';
  const first = await api.request('GET', path, { token });
  const etag = first.headers.get('etag')!;
  t.match(etag, /^"1-[\w-]{22}"$/);
  const rename = (name: string, ifMatch: string) =>
    api.request('PATCH', path, { token, body: { name }, headers: { 'if-match': ifMatch } });
  t.equal((await rename('Two', etag)).status, 200);
  t.equal((await rename('Three', etag)).status, 412);
  t.equal((await rename('Three', '"2"')).status, 200, 'the version alone is accepted too');
  t.equal((await rename('Four', 'W/"3-compressed"')).status, 200);
  t.equal((await rename('Five', '"-1"')).status, 400);
  const again = await api.request('GET', path, { token, headers: { 'if-none-match': etag } });
  t.equal(again.status, 200);
});

t.test('no cache may store an answer with tokens', async (t) => {
  const api = await startTestApi(t);
  const body = { email: 'new@person.example', password: 'a-password-of-tests', name: 'N', kind: 'personal' };
  const registered = await api.request('POST', '/api/auth/register', { body });
  t.equal(registered.status, 201);
  t.equal(registered.headers.get('cache-control'), 'no-store');
  const login = await api.request('POST', '/api/auth/login', { body: { email: body.email, password: body.password } });
  t.equal(login.headers.get('cache-control'), 'no-store');
  const { refreshToken } = login.json;
  const refreshed = await api.request('POST', '/api/auth/refresh', { body: { refreshToken } });
  t.equal(refreshed.headers.get('cache-control'), 'no-store');
});
