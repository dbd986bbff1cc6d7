/** Who may write is decided by the statement that writes: attacks that win time between the check and the statement. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type postgres from 'postgres';
import t, { type Test } from 'tap';
import { startTestApi, type TestApi } from '../testing/api-inside.js';
import { createCompany } from '../testing/tenants.js';

async function company(t: Test): Promise<{ api: TestApi; owner: string; admin: string }> {
  const api = await startTestApi(t);
  const { users } = await createCompany(api.sql, 'acme');
  const [owner, admin] = await Promise.all([api.tokenOf(users[0]!.id), api.tokenOf(users[1]!.id)]);
  return { api, owner: owner!, admin: admin! };
}

/** Waits until a statement waits for a lock of another one. */
async function untilLocked(sql: postgres.Sql): Promise<void> {
  const waiting = () => sql`
    select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
  while ((await waiting()).length === 0) await delay(5);
}

t.test('an admin who is blocked before the last byte of a request arrives stays blocked', async (t) => {
  const { api, owner, admin } = await company(t);
  const { actors } = api.api.services;
  const authenticate = actors.authenticate.bind(actors);
  const admitted = new Promise<void>((resolve) => {
    actors.authenticate = (...asked) => {
      resolve();
      return authenticate(...asked);
    };
  });
  const { hostname, port } = new URL(api.url);
  const socket = connect(Number(port), hostname);
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  const body = '{"status":"active"}';
  socket.write(
    `PATCH /api/users/usr_acme_admin HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${admin}\r\nconnection: close\r\n` +
      `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body.slice(0, -1)}`,
  );
  await admitted;
  actors.authenticate = authenticate;
  const block = { token: owner, body: { status: 'frozen' } };
  t.equal((await api.request('PATCH', '/api/users/usr_acme_admin', block)).status, 200);
  socket.write(body.slice(-1));
  let answer = '';
  for await (const chunk of socket) answer += chunk;
  t.match(answer, /^HTTP\/1.1 401 /);
  t.match(await api.sql`select status from users where public_id = 'usr_acme_admin'`, [{ status: 'frozen' }]);
});

t.test('a statement that waits for a lock while its actor is blocked writes nothing', async (t) => {
  const { api, admin } = await company(t);
  const change = { token: admin, body: { daily: { amount: 1 } } };
  const answer = await api.sql.begin(async (tx) => {
    await tx`select from users where public_id = 'usr_acme_member' for update`;
    const changed = api.request('PUT', '/api/users/usr_acme_member/limits', change);
    await untilLocked(api.sql);
    await api.sql`update users set status = 'frozen' where public_id = 'usr_acme_admin'`;
    return { changed };
  });
  t.equal((await answer.changed).status, 401);
  t.same([...(await api.sql`select from limits`)], []);
});

t.test('a statement on the row of its own actor sees the block that it waited for', async (t) => {
  const { api, admin } = await company(t);
  const change = { token: admin, body: { daily: { amount: 1 } } };
  const answer = await api.sql.begin(async (tx) => {
    await tx`update users set status = 'frozen' where public_id = 'usr_acme_admin'`;
    const changed = api.request('PUT', '/api/users/usr_acme_admin/limits', change);
    await untilLocked(api.sql);
    return { changed };
  });
  t.equal((await answer.changed).status, 401);
  t.same([...(await api.sql`select from limits`)], []);
});

t.test('actors may demote themselves once', async (t) => {
  const { api, owner, admin } = await company(t);
  const demote = { token: admin, body: { role: 'member' } };
  t.equal((await api.request('PATCH', '/api/users/usr_acme_admin', demote)).status, 200);
  t.equal((await api.request('PATCH', '/api/users/usr_acme_admin', demote)).status, 403);
  t.ok(owner);
});

t.test('concurrent changes by one actor of their own row never deadlock', async (t) => {
  const { api, owner } = await company(t);
  const change = { token: owner, body: { daily: { amount: 1 } } };
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => api.request('PUT', '/api/users/usr_acme_owner/limits', change)),
  );
  t.same([...new Set(answers.map(({ status }) => status))], [200]);
});

t.test('the database refuses a write of the API that does not begin with its actor', async (t) => {
  const { api } = await company(t);
  const { database } = api.api.services;
  const rename = database.run('test', (sql) => sql`update companies set name = 'Renamed', version = version + 1`);
  await t.rejects(rename, { message: /begin it with actor_enter/ });
  t.match(await api.sql`select name from companies`, [{ name: 'acme' }]);
});
