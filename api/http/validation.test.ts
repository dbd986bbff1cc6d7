/** Inputs that look right and are not: refused by name, before any database sees them. */
import t from 'tap';
import { startTestApi } from '../testing/api-inside.js';
import { createCompany } from '../testing/tenants.js';

/** JavaScript takes each of them for some instant; Postgres refuses all of them. */
const noInstants = [
  '2026-02-30T00:00:00Z',
  '2025-02-29T00:00:00Z',
  '2026-04-31T00:00:00Z',
  '0000-01-01T00:00:00Z',
  '2026-01-01T00:00:00%2B23:59',
  '2026-01-01T00:00:00-16:00',
];

t.test('a time that no calendar has is a 400 that names its field', async (t) => {
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

t.test('nor does a forged cursor bring one to the database', async (t) => {
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
