/** Inputs that look right and are not: refused by name, before any database sees them. */
import t from 'tap';
import { startTestApi } from '../testing/api-inside.js';
import { createCompany, createPerson } from '../testing/tenants.js';
import { periodOf } from './instants.js';

/** JavaScript takes each of them for some instant; Postgres refuses all of them. */
const noInstants = [
  '2026-02-30T00:00:00Z',
  '2025-02-29T00:00:00Z',
  '2026-04-31T00:00:00Z',
  '0000-01-01T00:00:00Z',
  '2026-01-01T00:00:00%2B23:59',
  '2026-01-01T00:00:00-16:00',
];

t.test('a time that is on no calendar is a 400 that names its field', async (t) => {
  const api = await startTestApi(t);
  const acme = await createCompany(api.sql, 'acme');
  const token = await api.tokenOf(acme.user('owner').id);
  for (const time of noInstants) {
    for (const path of ['/api/transactions?from=', '/api/transactions?to=', '/api/stats/spending?from=']) {
      const { status, json } = await api.request('GET', path + time, { token });
      t.match({ status, json }, { status: 400, json: { field: /^(from|to)$/ } }, path + time);
    }
  }
  const leapDay = await api.request('GET', '/api/transactions?from=2028-02-29T23:59:59.5-05:00', { token });
  t.equal(leapDay.status, 200);
});

t.test('a period that ends before it begins, and an empty range of bounds, are a 400', async (t) => {
  const api = await startTestApi(t);
  const acme = await createCompany(api.sql, 'acme');
  const token = await api.tokenOf(acme.user('owner').id);
  for (const [query, field] of [
    ['/api/transactions?from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z', 'from'],
    ['/api/transactions?from=2026-03-02&to=2026-02-28', 'from'],
    ['/api/transactions?min=2&max=1', 'min'],
    ['/api/stats/spending?from=2026-03-02&to=2026-03-01', 'from'],
    ['/api/stats/spending?from=9999-12-31', 'from'],
    ['/api/stats/spending?from=2020-01-01&to=2026-03-01', 'from'],
  ] as const) {
    const { status, json } = await api.request('GET', query, { token });
    t.match({ status, json }, { status: 400, json: { title: 'invalid_request', field } }, query);
  }
  for (const query of [
    '/api/transactions?from=2026-03-02&to=2026-03-02',
    '/api/transactions?min=2&max=2',
    '/api/stats/spending?from=2026-03-02&to=2026-03-02',
    '/api/stats/spending?to=0001-01-10T00:00:00Z',
    '/api/stats/spending?to=0001-01-01',
    '/api/stats/spending?from=9999-12-31&to=9999-12-31',
    '/api/transactions?from=0001-01-01&to=9999-12-31',
  ]) {
    t.equal((await api.request('GET', query, { token })).status, 200, query);
  }
});

t.test('a date without a time is the whole day in UTC', async (t) => {
  t.same(periodOf({ from: '2026-03-02', to: '2026-03-02' }), {
    from: '2026-03-02T00:00:00Z',
    to: '2026-03-03T00:00:00.000Z',
  });
  t.same(periodOf({ to: '2026-03-02T05:00:00+02:00' }), { to: '2026-03-02T05:00:00+02:00' });
  t.same(periodOf({}), {});
});

t.test('a forged cursor brings no impossible time to the database', async (t) => {
  const api = await startTestApi(t);
  const acme = await createCompany(api.sql, 'acme');
  const token = await api.tokenOf(acme.user('owner').id);
  for (const [list, path] of [
    ['transactions', '/api/transactions'],
    ['cards', '/api/cards'],
    ['accounts', '/api/accounts'],
  ] as const) {
    for (const time of ['2026-02-30T00:00:00.000000Z', '0000-01-01T00:00:00.000000Z']) {
      const cursor = Buffer.from(JSON.stringify([list, time, 'x'])).toString('base64url');
      const { status, json } = await api.request('GET', `${path}?cursor=${cursor}`, { token });
      t.match({ status, json }, { status: 400, json: { field: 'cursor' } }, `${list} ${time}`);
    }
  }
});

t.test('a lone surrogate is refused by name, because no database stores it', async (t) => {
  const api = await startTestApi(t);
  const acme = await createCompany(api.sql, 'acme');
  const ada = await createPerson(api.sql, 'ada');
  const owner = await api.tokenOf(acme.user('owner').id);
  const person = await api.tokenOf(ada.user('personal').id);
  const half = '\ud83d';
  for (const [token, method, path, body, field] of [
    [owner, 'PUT', `/api/cards/${acme.cardId}/limits`, { merchants: { block: [half] } }, 'merchants.block.0'],
    [owner, 'PATCH', `/api/companies/${acme.companyId}`, { name: half }, 'name'],
    [person, 'POST', '/api/cards', { accountId: ada.accountId, name: `a${half}` }, 'name'],
    [undefined, 'POST', '/api/auth/login', { email: `${half}@a.example`, password: 'x' }, 'email'],
  ] as const) {
    const { status, json } = await api.request(method, path, { ...(token === undefined ? {} : { token }), body });
    t.match({ status, json }, { status: 400, json: { field } }, `${method} ${path}`);
  }
  const whole = await api.request('PATCH', `/api/companies/${acme.companyId}`, { token: owner, body: { name: '🙂' } });
  t.match({ status: whole.status, json: whole.json }, { status: 200, json: { name: '🙂' } });
});

t.test('a version that no object can have is a 400', async (t) => {
  const api = await startTestApi(t);
  const acme = await createCompany(api.sql, 'acme');
  const token = await api.tokenOf(acme.user('owner').id);
  for (const [method, path, body] of [
    ['PATCH', `/api/companies/${acme.companyId}`, { name: 'New' }],
    ['PUT', `/api/accounts/${acme.accountId}/limits`, {}],
    ['PATCH', `/api/users/${acme.user('member').publicId}`, { name: 'New' }],
  ] as const) {
    const headers = { 'if-match': '"2147483648"' };
    const { status, json } = await api.request(method, path, { token, body, headers });
    t.match({ status, json }, { status: 400, json: { field: 'if-match' } }, path);
  }
});

t.test('no name keeps a card number', async (t) => {
  const api = await startTestApi(t);
  const acme = await createCompany(api.sql, 'acme');
  const owner = await api.tokenOf(acme.user('owner').id);
  const name = '4111 1111 1111 1111';
  const password = 'a-password-of-tests';
  const person = { email: 'n@person.example', password, kind: 'personal' };
  const business = { ...person, kind: 'business', name: 'N' };
  for (const [method, path, body, field] of [
    ['POST', '/api/auth/register', { ...person, name }, 'name'],
    ['POST', '/api/auth/register', { ...business, company: name }, 'company'],
    ['PATCH', `/api/companies/${acme.companyId}`, { name }, 'name'],
    ['POST', `/api/companies/${acme.companyId}/invitations`, { email: 'm@a.example', role: 'member', name }, 'name'],
    ['PATCH', `/api/users/${acme.user('member').publicId}`, { name }, 'name'],
    ['POST', '/api/cards', { accountId: acme.accountId, name }, 'name'],
    ['PATCH', `/api/cards/${acme.cardId}`, { name }, 'name'],
  ] as const) {
    const { status, json } = await api.request(method, path, { token: owner, body });
    t.match({ status, json }, { status: 400, json: { field } }, `${method} ${path}`);
  }
  const kept = await api.sql`
    select name from users union all select name from companies union all select name from cards`;
  t.notMatch(JSON.stringify(kept), '4111');
});

t.test('one answer names every fault of a body in words', async (t) => {
  const api = await startTestApi(t);
  const acme = await createCompany(api.sql, 'acme');
  const token = await api.tokenOf(acme.user('owner').id);
  const faults = async (method: string, path: string, body: unknown) => {
    const { status, json } = await api.request(method, path, { token, body });
    t.equal(status, 400, path);
    t.equal(json.field, json.errors[0].field, 'the first fault is the field');
    return json.errors.map(({ detail }: { detail: string }) => detail).sort();
  };
  t.same(await faults('POST', '/api/cards', { name: '  ', limits: { mcc: { allow: ['1'], block: [] } }, x: 1 }), [
    'accountId is missing',
    'limits.mcc must have allow or block, not both',
    'limits.mcc.allow.0 must be a string of four digits (ISO 18245)',
    'name must not be blank',
    'x is not a field of this request',
  ]);
  t.same(await faults('PUT', `/api/cards/${acme.cardId}/limits`, { daily: {}, perAuthorization: '5' }), [
    'daily must have at least one field',
    'perAuthorization must be an integer',
  ]);
  t.same(await faults('POST', '/api/auth/login', { email: 'ada at example', password: '' }), [
    'email must be an e-mail address, such as ada@example.com',
    'password must not be blank',
  ]);
  t.same(await faults('PATCH', `/api/cards/${acme.cardId}`, { status: 'lost', name: 5 }), [
    'name must be a string',
    'status must be one of active, frozen, closed',
  ]);
});

t.test('no name keeps control characters or changes the direction of the text around it', async (t) => {
  const api = await startTestApi(t);
  const acme = await createCompany(api.sql, 'acme');
  const token = await api.tokenOf(acme.user('owner').id);
  const rename = (name: string) => api.request('PATCH', `/api/companies/${acme.companyId}`, { token, body: { name } });
  for (const character of ['\u0000', '\u001b', '\u0085', '\u009b', '\u200f', '\u202e', '\u2066', '\u061c']) {
    const { status, json } = await rename(`a${character}b`);
    t.match({ status, json }, { status: 400, json: { field: 'name', errors: [{ detail: /direction of text/ }] } });
  }
  for (const name of ['Zoë O’Neil', 'محمد', 'דוד', 'क्‍ष', '👩‍👩‍👧']) t.equal((await rename(name)).status, 200, name);
});
