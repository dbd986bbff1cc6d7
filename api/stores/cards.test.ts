/**
 * The one store of cards on a real Postgres: for people and companies alike, also when many change one card at once.
 */
import type postgres from 'postgres';
import t, { type Test } from 'tap';
import { databaseFor } from '../../deploy/testing/for-test.js';
import { type Acting, callersOf, type Principal } from '../auth/principal.js';
import { startTestApi } from '../testing/api-inside.js';
import { Customer, fresh } from '../testing/customer.js';
import { quietLog, testPostgresConfig } from '../testing/personal-stores.js';
import { createCompany, createPerson, type Tenant } from '../testing/tenants.js';
import { type Card, type CardChange, CardStore, type NewCard } from './cards.js';
import { Contended } from './database-errors.js';
import { Database } from './postgres.js';
import { principalOf, UserStore } from './users.js';

interface Bench {
  readonly sql: postgres.Sql;
  readonly cards: CardStore;
  /** As another process has one. */
  readonly otherCards: CardStore;
  principal(tenant: Tenant, caller?: 'owner' | 'admin' | 'member'): Promise<Acting<Principal>>;
}

async function startBench(t: Test): Promise<Bench> {
  const { url, sql } = await databaseFor(t, { connections: 2 });
  const database = new Database(testPostgresConfig(url), quietLog);
  t.teardown(() => database.close());
  await database.start();
  const users = new UserStore(database);
  return {
    sql,
    cards: new CardStore(database),
    otherCards: new CardStore(database),
    principal: async (tenant, caller = 'owner') => {
      const { id } = tenant.companyId === null ? tenant.user('personal') : tenant.user(caller);
      const found = principalOf((await users.byNumber(id))!, 0);
      return { ...found, origin: { address: '127.0.0.1', requestId: 'request', callers: callersOf(found) } };
    },
  };
}

/** Versions that the engines hear of, oldest first, each with what it says. */
function entriesOf(sql: postgres.Sql, cardId: string) {
  return sql<{ version: number; status: string; name: string; limits: object | null }[]>`
    select version::integer, payload ->> 'status' as status, payload ->> 'name' as name, payload -> 'limits' as limits
    from outbox where topic = 'card' and payload ->> 'id' = ${cardId} order by version`;
}

/** Keeps the lock on a card's row until `work` has ended, as a statement does that takes long. */
async function whileLocked(sql: postgres.Sql, cardId: string, work: () => Promise<void>): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`select from cards where public_id = ${cardId} for update`;
    await work();
  });
}

async function waitersFor(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::integer as count from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`;
  return row!.count;
}

for (const kind of ['company', 'person'] as const) {
  t.test(`cards of a ${kind}`, async (t) => {
    const bench = await startBench(t);
    const { sql, cards } = bench;
    const create = kind === 'company' ? createCompany : createPerson;
    const tenant = await create(sql, 'one');
    const me = await bench.principal(tenant);
    const other = await bench.principal(await create(sql, 'two'));
    const newCard = (changes: Partial<NewCard> = {}): NewCard => ({
      cardId: fresh('crd'),
      token: fresh('tok'),
      accountId: tenant.accountId,
      holderId: me.publicId,
      name: 'New',
      type: 'virtual',
      metadata: {},
      expires: '2030-01-31',
      limits: {},
      ...changes,
    });
    const add = async (changes: Partial<NewCard> = {}): Promise<Card> => {
      const outcome = await cards.add(me, newCard(changes));
      if (outcome.outcome !== 'added') throw new Error(outcome.outcome);
      return outcome.card;
    };

    t.test('a second call with the same id returns the first card', async (t) => {
      const first = newCard({ limits: { perAuthorization: 500, mcc: { block: ['7995'] } } });
      const made = await Promise.all([1, 2, 3].map((n) => cards.add(me, { ...first, token: `${first.token}-${n}` })));
      t.ok(made.every(({ outcome }) => outcome === 'added'));
      t.equal(new Set(made.map((outcome) => (outcome as { card: Card }).card.token)).size, 1);
      t.match(await cards.find(me, first.cardId), { userId: me.publicId, limits: first.limits, version: 1 });
    });

    t.test('a card needs an account and a holder of its owner', async (t) => {
      t.match(await cards.add(me, newCard({ accountId: 'acct_two' })), { outcome: 'no_account' });
      t.match(await cards.add(me, newCard({ holderId: other.publicId })), { outcome: 'no_holder' });
    });

    t.test('a card of another owner is not found', async (t) => {
      const { cardId } = await add();
      t.equal(await cards.find(other, cardId), null);
      t.equal(await cards.published(other, cardId), null);
      t.same(await cards.change(other, cardId, { status: 'frozen' }, null), { outcome: 'absent' });
      t.match(await cards.find(me, cardId), { status: 'active', version: 1 });
    });

    t.test(
      'a change raises the version by one and makes one entry for the engines, and repeating it none',
      async (t) => {
        const { cardId } = await add();
        const frozen = await cards.change(me, cardId, { status: 'frozen' }, null);
        t.match(frozen, { outcome: 'changed', card: { status: 'frozen', version: 2 }, published: { version: 2 } });
        t.match(await cards.change(me, cardId, { status: 'frozen' }, null), {
          outcome: 'unchanged',
          card: { version: 2 },
        });
        const limits = { daily: { amount: 1000, count: 3 }, channels: { allow: ['chip', 'atm'] } } as const;
        t.match(await cards.change(me, cardId, { limits }, 2), { outcome: 'changed', card: { version: 3, limits } });
        const turned = { channels: limits.channels, daily: limits.daily };
        t.match(
          await cards.change(me, cardId, { limits: turned }, null),
          { outcome: 'unchanged' },
          'the order of properties makes no change',
        );
        t.match(await cards.change(me, cardId, { limits: {}, name: 'Free' }, null), {
          card: { version: 4, limits: {} },
        });
        t.same(await cards.find(me, cardId), {
          ...(frozen as { card: Card }).card,
          version: 4,
          name: 'Free',
          limits: {},
        });
        t.same(
          [...(await entriesOf(sql, cardId))],
          [
            { version: 2, status: 'frozen', name: 'New', limits: null },
            { version: 3, status: 'frozen', name: 'New', limits },
            { version: 4, status: 'frozen', name: 'Free', limits: {} },
          ],
        );
      },
    );

    t.test('a change that names an older version is refused with the newer one', async (t) => {
      const { cardId } = await add();
      await cards.change(me, cardId, { name: 'Newer' }, 1);
      t.same(await cards.change(me, cardId, { name: 'Newest' }, 1), { outcome: 'stale', version: 2 });
      t.match(await cards.find(me, cardId), { name: 'Newer', version: 2 });
    });

    t.test('a closed card never opens again', async (t) => {
      const { cardId } = await add();
      await cards.change(me, cardId, { status: 'closed' }, null);
      t.same(await cards.change(me, cardId, { status: 'active' }, null), { outcome: 'closed' });
      t.match(await cards.change(me, cardId, { status: 'closed' }, null), { outcome: 'unchanged' });
    });

    t.test('concurrent changes at two processes are all kept, and each answers with what it wrote', async (t) => {
      const { cardId } = await add();
      const changes: CardChange[] = Array.from({ length: 40 }, (_, n) =>
        n % 2 === 0 ? { name: `Name ${n}` } : { limits: { perAuthorization: n } },
      );
      const outcomes = await Promise.all(
        changes.map((change, n) => (n % 4 < 2 ? cards : bench.otherCards).change(me, cardId, change, null)),
      );
      const answered = outcomes.map((outcome) => {
        t.equal(outcome.outcome, 'changed');
        const { version, status, name, limits } = (outcome as { card: Card }).card;
        return { version, status, name, limits };
      });
      answered.sort((a, b) => a.version - b.version);
      const written = (await entriesOf(sql, cardId)).map((entry) => ({ ...entry, limits: entry.limits ?? {} }));
      t.same(answered, written, 'every answer is what the engines receive for its version');
      t.equal(answered.at(-1)!.version, 41);
    });

    t.test('a change that waits too long for a lock is refused with that reason', async (t) => {
      const { cardId } = await add();
      await whileLocked(sql, cardId, () =>
        t.rejects(cards.change(me, cardId, { status: 'frozen' }, null), Contended).then(() => undefined),
      );
      t.match(await cards.change(me, cardId, { status: 'frozen' }, null), { outcome: 'changed' });
    });
  });
}

t.test('a member changes only their own cards', async (t) => {
  const bench = await startBench(t);
  const tenant = await createCompany(bench.sql, 'one');
  const member = await bench.principal(tenant, 'member');
  const change = { status: 'frozen' } as const;
  t.same(await bench.cards.change(member, 'card_one_owner', change, null), { outcome: 'absent' });
  t.match(await bench.cards.change(member, 'card_one_member', change, null), { outcome: 'changed' });
});

t.test('64 concurrent changes of one card are all answered, and a freeze goes first', async (t) => {
  const api = await startTestApi(t);
  const customer = await Customer.register(api, 'personal');
  const [account] = await api.sql<{ id: string }[]>`select public_id as id from accounts`;
  const card = await customer.card(account!.id);
  const patch = (body: object) => api.request('PATCH', `/api/cards/${card.id}`, { token: customer.token, body });
  const answers: ReturnType<typeof patch>[] = [];
  await whileLocked(api.sql, card.id, async () => {
    for (let n = 0; n < 63; n++) answers.push(patch({ name: `Name ${n}` }));
    while ((await waitersFor(api.sql)) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    // The health endpoint answers behind all of them: what was sent before is waiting.
    await api.request('GET', '/livez');
    answers.push(patch({ status: 'frozen' }));
    await api.request('GET', `/api/cards/${card.id}`, { token: customer.token });
  });
  const replies = await Promise.all(answers);
  t.same([...new Set(replies.map(({ status }) => status))], [200]);
  const versions = replies.map(({ json }) => json.version as number);
  t.equal(new Set(versions).size, 64, 'each change has a version of its own');
  t.equal(Math.max(...versions), 65, 'no version is skipped');
  t.ok(versions.at(-1)! <= 3, `the freeze became version ${versions.at(-1)}`);
  t.match(replies.at(-1)!.json, { status: 'frozen', effective: true });
});

t.test('a card that others keep locked answers 429 and delays no other card', async (t) => {
  const api = await startTestApi(t);
  const customer = await Customer.register(api, 'personal');
  const [account] = await api.sql<{ id: string }[]>`select public_id as id from accounts`;
  const [locked, free] = [await customer.card(account!.id), await customer.card(account!.id)];
  const patch = (id: string) =>
    api.request('PATCH', `/api/cards/${id}`, { token: customer.token, body: { status: 'frozen' } });
  await whileLocked(api.sql, locked.id, async () => {
    const refused = Promise.all(Array.from({ length: 30 }, () => patch(locked.id)));
    t.match(await patch(free.id), { status: 200, json: { status: 'frozen', effective: true } });
    for (const reply of await refused) t.match(reply, { status: 429, json: { title: 'too_many_changes' } });
    t.ok(Number((await refused)[0]!.headers.get('retry-after')) >= 1);
  });
  t.match(await patch(locked.id), { status: 200, json: { status: 'frozen' } });
});

t.test('cards of a person need no MongoDB to be made, listed, frozen and limited', async (t) => {
  // Nothing listens there.
  const api = await startTestApi(t, { env: { MONGODB_URI: 'mongodb://127.0.0.1:9/none' } });
  t.match((await api.request('GET', '/livez')).status, 200);
  const customer = await Customer.register(api, 'personal');
  const [account] = await api.sql<{ id: string }[]>`select public_id as id from accounts`;
  const made = await api.request('POST', '/api/cards', {
    token: customer.token,
    body: { accountId: account!.id, name: 'Mine' },
    headers: { 'idempotency-key': fresh('key') },
  });
  t.equal(made.status, 201);
  const path = `/api/cards/${made.json.id}`;
  const ask = (method: string, url: string, body?: object) => api.request(method, url, { token: customer.token, body });
  t.match(await ask('PATCH', path, { status: 'frozen' }), { status: 200, json: { version: 2, effective: true } });
  t.match(await ask('PUT', `${path}/limits`, { perAuthorization: 5 }), { status: 200, json: { effective: true } });
  t.match(await ask('GET', '/api/cards'), { status: 200, json: { data: [{ status: 'frozen', version: 3 }] } });
  t.match(await ask('GET', `${path}/effective`), { status: 200, json: { version: 3, effective: true } });
});
