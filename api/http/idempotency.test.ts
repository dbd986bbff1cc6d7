/** `Idempotency-Key`: one execution, one answer, however often it is asked and whatever dies in between. */
import t, { type Test } from 'tap';
import { testPanKey } from '../../engine/testing/engine-process.js';
import { startTestApi } from '../testing/api-inside.js';
import { createCompany } from '../testing/tenants.js';

const path = '/api/cards';
const groceries = { accountId: 'acct_acme', name: 'Groceries' };

async function fixture(t: Test) {
  const api = await startTestApi(t);
  const acme = await createCompany(api.sql, 'acme');
  const token = await api.tokenOf(acme.user('owner').id);
  const post = (key: string, body: unknown = groceries) =>
    api.request('POST', path, { token, body, headers: { 'idempotency-key': key } });
  const count = async () => (await api.sql`select from cards where name = ${groceries.name}`).length;
  return { api, acme, token, post, count };
}

t.test('a repeated request gets the first answer, byte for byte', async (t) => {
  const { post, count } = await fixture(t);
  const first = await post('k1');
  t.equal(first.status, 201);
  const again = await post('k1');
  t.equal(again.status, 201);
  t.equal(again.text, first.text);
  t.equal(again.headers.get('content-type'), first.headers.get('content-type'));
  t.equal(again.headers.get('idempotency-replayed'), 'true');
  t.equal(await count(), 1);
});

t.test('a repeated request gets the first refusal too', async (t) => {
  const { post } = await fixture(t);
  const unknown = { ...groceries, accountId: 'acct_none' };
  const refused = await post('k1', unknown);
  t.equal(refused.status, 404);
  const again = await post('k1', unknown);
  t.equal(again.text, refused.text);
  t.equal(again.headers.get('content-type'), refused.headers.get('content-type'));
});

t.test('the same key with another input is refused, and is free for another user', async (t) => {
  const { api, acme, post } = await fixture(t);
  await post('k1');
  t.match((await post('k1', { ...groceries, name: 'Other' })).json, { status: 409, title: 'idempotency_key_reused' });
  const admin = await api.tokenOf(acme.user('admin').id);
  const other = await api.request('POST', path, {
    token: admin,
    body: { ...groceries, name: 'Other' },
    headers: { 'idempotency-key': 'k1' },
  });
  t.equal(other.status, 201);
});

t.test('of many concurrent repeats one is executed, and all get its answer', async (t) => {
  const { post, count } = await fixture(t);
  const replies = await Promise.all(Array.from({ length: 10 }, () => post('k1')));
  t.same(new Set(replies.map(({ text }) => text)).size, 1);
  t.ok(replies.every(({ status }) => status === 201));
  t.equal(await count(), 1);
});

t.test('while the first request runs its repeat is asked to wait', async (t) => {
  const { api, post, acme } = await fixture(t);
  await post('k1');
  await api.sql`update idempotency_keys set status = null, body = null
    where owner = ${`user ${acme.user('owner').id}`}`;
  const waiting = await post('k1');
  t.match(waiting.json, { status: 409, title: 'request_in_progress' });
  t.equal(waiting.headers.get('retry-after'), '1');
});

t.test('a repeat takes over a dead execution and finds its result', async (t) => {
  const { api, post, count } = await fixture(t);
  const first = await post('k1');
  await api.sql`update idempotency_keys set status = null, body = null, claimed_until = now() - interval '1 second'`;
  const again = await post('k1');
  t.equal(again.status, 201);
  t.equal(again.text, first.text, 'the answer has the same card, not a second one');
  t.equal(again.headers.get('idempotency-replayed'), null, 'the request is executed again');
  t.equal(await count(), 1);
});

t.test('an answer of 5xx is not kept for repeats', async (t) => {
  const { api, post, count } = await fixture(t);
  await api.sql`alter table cards rename column name to title`;
  t.equal((await post('k1')).status, 500);
  await api.sql`alter table cards rename column title to name`;
  t.equal((await post('k1')).status, 201);
  t.equal(await count(), 1);
});

t.test('a key lapses after a day and is removed', async (t) => {
  const { api, post } = await fixture(t);
  await post('k1');
  await api.sql`update idempotency_keys set expires_at = now() - interval '1 second'`;
  t.equal((await post('k1', { ...groceries, name: 'Second' })).status, 201, 'the key is free for another request');
  await api.sql`update idempotency_keys set expires_at = now() - interval '1 second'`;
  await api.api.services.housekeeping.run();
  t.equal((await api.sql`select from idempotency_keys`).length, 0);
});

t.test('an invalid key is named, and a key on a sign-in is accepted and ignored', async (t) => {
  const { api, post } = await fixture(t);
  t.match((await post('x'.repeat(256))).json, { status: 400, field: 'idempotency-key' });
  const body = { email: 'new@person.example', password: 'a-password-of-tests', name: 'New', kind: 'personal' };
  const register = () => api.request('POST', '/api/auth/register', { body, headers: { 'idempotency-key': 'k' } });
  t.equal((await register()).status, 201);
  t.equal((await register()).status, 409);
  t.equal((await api.sql`select from idempotency_keys`).length, 0);
});

t.test('nothing of a request with passwords is kept', async (t) => {
  const { api, token } = await fixture(t);
  const body = { password: 'a-wrong-password', newPassword: 'a-password-of-tests' };
  const headers = { 'idempotency-key': 'k1' };
  const change = () => api.request('POST', '/api/auth/password', { token, body, headers });
  t.equal((await change()).status, 403);
  t.equal((await change()).headers.get('idempotency-replayed'), null);
  t.equal((await api.sql`select from idempotency_keys`).length, 0, 'a fast hash of a password can be searched offline');
});

t.test('a key that holds a card number works like any other and is not kept', async (t) => {
  const { api, post, count } = await fixture(t);
  const key = 'order-4111-1111-1111-1111';
  const first = await post(key);
  t.equal((await post(key)).text, first.text);
  t.equal(await count(), 1);
  const rows = await api.sql<{ key: string }[]>`select key from idempotency_keys`;
  t.match(rows, [{ key: /^hidden_[a-p]{40}$/ }]);
});

t.test('a key that holds a card number is found again after PAN_KEY is rotated', async (t) => {
  const { api, token, post, count } = await fixture(t);
  const key = 'order-4111-1111-1111-1111';
  const first = await post(key);
  const PAN_KEY = `a-new-key,${testPanKey}`;
  const rotated = await startTestApi(t, { env: { DATABASE_URL: api.databaseUrl, PAN_KEY } });
  const headers = { 'idempotency-key': key };
  const again = await rotated.request('POST', path, { token, body: groceries, headers });
  t.equal(again.text, first.text);
  t.equal(await count(), 1);
  const other = await rotated.request('POST', path, { token, body: { ...groceries, name: 'Other' }, headers });
  t.match(other.json, { status: 409, title: 'idempotency_key_reused' });
});
