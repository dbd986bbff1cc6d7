/** How many cards and users one customer may have. */
import type postgres from 'postgres';
import t from 'tap';
import { until } from '../../engine/testing/engine-process.js';
import { keysMax } from '../stores/api-keys.js';
import { addOperator } from '../stores/operators.js';
import { type Reply, startTestApi, type TestApi } from '../testing/api-inside.js';
import { addColleague } from '../testing/colleague.js';
import { Mailbox } from '../testing/mailbox.js';
import { createCompany, createPerson } from '../testing/tenants.js';

/** How many answers have each status. */
function tally(replies: readonly Reply[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of replies) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

const times = <T>(count: number, make: (number: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, number) => make(number)));

/** Sends requests while their rows cannot be written, until so many statements wait: each may have counted. */
async function heldBack(
  { sql }: TestApi,
  lock: (tx: postgres.TransactionSql) => Promise<unknown>,
  send: () => Promise<Reply[]>,
  waiters = 2,
): Promise<Reply[]> {
  const { replies } = await sql.begin(async (tx) => {
    await lock(tx);
    const replies = send();
    await until(`${waiters} statements wait`, async () => {
      const waiting = await sql`
        select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
      return waiting.length >= waiters;
    });
    return { replies };
  });
  return replies;
}

t.test('a person has a maximum number of cards that are not closed', async (t) => {
  const api = await startTestApi(t, { env: { CARDS_PER_PERSON_MAX: '3', CARDS_PER_COMPANY_MAX: '1' } });
  const ada = await createPerson(api.sql, 'ada');
  const bob = await createPerson(api.sql, 'bob');
  const token = await api.tokenOf(ada.users[0]!.id);
  const add = (key: string, of = token, accountId = ada.accountId) =>
    api.request('POST', '/api/cards', {
      token: of,
      body: { accountId, name: 'Card' },
      headers: { 'idempotency-key': key },
    });
  t.equal((await add('second')).status, 201);
  const third = await add('third');
  t.equal(third.status, 201);
  t.match(await add('fourth'), { status: 409, json: { title: 'too_many_cards', detail: /3 cards/ } });
  t.same((await add('third')).json, third.json, 'a repeat receives the first answer');
  t.equal(
    (await add('other', await api.tokenOf(bob.users[0]!.id), bob.accountId)).status,
    201,
    'another person has a cap of their own',
  );
  const path = `/api/cards/${third.json.id}`;
  const replaced = await api.request('POST', `${path}/replace`, { token, body: { reason: 'lost' } });
  t.equal(replaced.status, 201, 'a replacement takes the place of the old card');
  t.equal((await add('fifth')).status, 409);
  await api.request('PATCH', `/api/cards/${replaced.json.id}`, { token, body: { status: 'closed' } });
  t.equal((await add('sixth')).status, 201, 'a closed card frees its place');
  t.equal((await add('seventh')).status, 409);
});

t.test('a company has a maximum number of cards, whichever user adds them', async (t) => {
  const api = await startTestApi(t, { env: { CARDS_PER_PERSON_MAX: '1', CARDS_PER_COMPANY_MAX: '4' } });
  const acme = await createCompany(api.sql, 'acme');
  const add = async (role: 'owner' | 'admin') =>
    api.request('POST', '/api/cards', {
      token: await api.tokenOf(acme.user(role).id),
      body: { accountId: acme.accountId, name: 'Card' },
    });
  t.equal((await add('owner')).status, 201, 'the fourth card is accepted');
  t.match(await add('admin'), { status: 409, json: { title: 'too_many_cards', detail: /4 cards/ } });
});

t.test('a company has a maximum number of users, invited ones included', async (t) => {
  const api = await startTestApi(t, { env: { USERS_PER_COMPANY_MAX: '5' } });
  const acme = await createCompany(api.sql, 'acme');
  const token = await api.tokenOf(acme.user('owner').id);
  const invite = (name: string) =>
    api.request('POST', `/api/companies/${acme.companyId}/invitations`, {
      token,
      body: { email: `${name}@example.com`, name, role: 'member' },
    });
  t.equal((await invite('one')).status, 202);
  t.equal((await invite('two')).status, 202);
  t.match(await invite('three'), { status: 409, json: { title: 'too_many_users', detail: /5 users/ } });
  t.equal((await invite('two')).status, 202, 'a repeated invitation is no new user');
  t.match(await invite('owner'), { status: 409 }, 'the cap holds for any address');
  await api.sql`update users set status = 'closed' where role = 'member'`;
  t.equal((await invite('three')).status, 202, 'a closed user frees their place');
});

t.test('concurrent requests at two processes cannot exceed the card cap of a person or a company', async (t) => {
  const env = { CARDS_PER_PERSON_MAX: '2', CARDS_PER_COMPANY_MAX: '4' };
  const api = await startTestApi(t, { env });
  const other = await startTestApi(t, { env: { ...env, DATABASE_URL: api.databaseUrl } });
  const ada = await createPerson(api.sql, 'ada');
  const acme = await createCompany(api.sql, 'acme');
  const open = async (accountId: string) =>
    (
      await api.sql`
        select from cards c join accounts a on a.id = c.account_id
        where a.public_id = ${accountId} and c.status <> 'closed'`
    ).length;
  for (const [{ users, accountId }, cap] of [[ada, 2] as const, [acme, 4] as const]) {
    const tokens = await Promise.all(users.slice(0, 2).map(({ id }) => api.tokenOf(id)));
    const add = (number: number) =>
      (number % 2 === 0 ? api : other).request('POST', '/api/cards', {
        token: tokens[(number >> 1) % tokens.length]!,
        body: { accountId, name: `Card ${number}` },
      });
    const replies = await heldBack(
      api,
      (tx) => tx`select from accounts where public_id = ${accountId} for update`,
      () => times(20, add),
    );
    // On a busy machine some wait too long for the lock, and are refused for that.
    const { 201: added, 409: capped, 429: tooMany = 0, ...others } = tally(replies);
    t.same({ added, refused: capped! + tooMany, others }, { added: 1, refused: 19, others: {} });
    t.equal(await open(accountId), cap);
  }
});

t.test('a change of a card does not wait for new cards', async (t) => {
  const api = await startTestApi(t);
  const ada = await createPerson(api.sql, 'ada');
  const { id } = ada.users[0]!;
  const token = await api.tokenOf(id);
  await api.sql.begin(async (tx) => {
    await tx`select open_cards_locked(${id * 2})`;
    const body = { accountId: ada.accountId, name: 'Card' };
    const adding = api.request('POST', '/api/cards', { token, body });
    const frozen = await api.request('PATCH', `/api/cards/${ada.cardId}`, { token, body: { status: 'frozen' } });
    t.match(frozen, { status: 200, json: { status: 'frozen' } });
    const refused = await adding;
    t.match(refused, { status: 429, json: { title: 'too_many_changes' } });
    t.ok(refused.headers.get('retry-after'));
  });
});

t.test('concurrent invitations and joins cannot exceed the cap of users', async (t) => {
  const mailbox = await Mailbox.start(t);
  const api = await startTestApi(t, { env: { ...mailbox.env, USERS_PER_COMPANY_MAX: '6' } });
  const acme = await createCompany(api.sql, 'acme');
  const token = await api.tokenOf(acme.user('owner').id);
  const path = `/api/companies/${acme.companyId}/invitations`;
  const invite = (number: number) =>
    api.request('POST', path, { token, body: { email: `p${number}@guest.example`, name: 'Guest', role: 'member' } });
  const lock = (tx: postgres.TransactionSql) => tx`select from companies for update`;
  const invited = await heldBack(api, lock, () => times(15, invite), 4);
  t.same(tally(invited), { 202: 3, 409: 12 });
  const numbers = invited.flatMap(({ status }, number) => (status === 202 ? [number] : []));
  const links = await Promise.all(numbers.map((number) => mailbox.token(`p${number}@guest.example`)));
  // Two users who came in another way leave room for one of the three.
  const extra = await addColleague(api, acme.companyId!, 'member');
  await addColleague(api, acme.companyId!, 'member');
  const accept = (invitation: string) =>
    api.request('POST', '/api/auth/accept', { body: { invitation, password: 'a-password-of-tests' } });
  const accepted = await heldBack(api, lock, () => Promise.all(links.map(accept)), 3);
  t.same(tally(accepted), { 200: 1, 409: 2 });
  const late = accepted.findIndex(({ status }) => status === 409);
  t.match(accepted[late]!.json, { title: 'too_many_users', detail: /6 users/ });
  t.equal((await api.sql`select from users where kind = 'business'`).length, 6);
  await api.sql`update users set status = 'closed' where id = ${extra.id}`;
  t.equal((await accept(links[late]!)).status, 200, 'the refusal used up nothing');
});

t.test('concurrent requests for keys cannot exceed their cap', async (t) => {
  const api = await startTestApi(t);
  const [email, password] = ['grace@example.com', 'correct horse battery'];
  const passwordHash = await api.api.services.passwords.hash(password);
  await addOperator(api.sql, { email, name: 'Grace', role: 'admin', passwordHash, totpSecret: null });
  const { token } = (await api.request('POST', '/api/operators/login', { body: { email, password } })).json;
  await api.sql`
    insert into api_keys (public_id, name, key_hash, hint, scopes, created_by)
    select 'key_' || n, 'Key', sha256(n::text::bytea), 'afc_test_', '{funding:write}', (select id from operators)
    from generate_series(1, ${keysMax - 1}) n`;
  const body = { name: 'Key', scopes: ['funding:write'] };
  const made = await heldBack(
    api,
    (tx) => tx`select from operators for update`,
    () => times(10, () => api.request('POST', '/api/keys', { token, body })),
  );
  t.same(tally(made), { 201: 1, 409: 9 });
  t.equal((await api.sql`select from api_keys`).length, keysMax);
});
