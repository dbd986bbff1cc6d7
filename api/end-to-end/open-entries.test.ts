/**
 * Entries of the audit trail whose outcome was cut off. An API process is killed while the engine's answer is on its
 * way, and another API process completes what it left behind.
 */
import t, { type Test } from 'tap';
import { findFreePort } from '../../deploy/free-port.js';
import { until } from '../../engine/testing/engine-process.js';
import { TcpProxy } from '../../engine/testing/tcp-proxy.js';
import { failingMsMax, OpenEntries, openMsMin } from '../background/open-entries.js';
import { type RequestOptions, request, startTestApi, type TestApi } from '../testing/api-inside.js';
import { ApiProcess } from '../testing/api-process.js';
import { Customer, pay } from '../testing/customer.js';
import { signedIn } from '../testing/operators.js';

async function stage(t: Test) {
  const api = await startTestApi(t, { engine: true });
  const customer = await Customer.register(api, 'personal');
  const accountId = await customer.accountId();
  const { token } = await signedIn(api, 'risk');
  const between = await TcpProxy.start(api.engine!.opsPort);
  t.teardown(() => between.close());
  const dying = new ApiProcess(await findFreePort(), {
    DATABASE_URL: api.databaseUrl,
    ENGINE_URL: `http://127.0.0.1:${between.port}`,
  });
  t.teardown(() => dying.stop('SIGKILL'));
  await dying.ready();
  /** Sends a request whose process is killed once `isThere`. */
  const cutOff = async (path: string, options: RequestOptions, isThere: () => Promise<boolean>) => {
    const sent = request(dying.url, 'POST', path, options).catch(() => null);
    await until('the request is where its answer is cut off', isThere);
    await dying.stop('SIGKILL');
    t.equal(await sent, null, 'no answer has come');
  };
  return { api, customer, accountId, token, between, cutOff };
}

/** Newest first, as operators read it. */
async function entriesOf(api: TestApi, token: string, query: string) {
  const { json } = await api.request('GET', `/api/audit?${query}`, { token });
  return json.data as { action: string; actor: object; requestId: string; after: string; outcome: string }[];
}

/** As if they had come so much earlier. */
async function age({ sql }: TestApi, byMs: number): Promise<void> {
  const by = byMs / 1000 + 1;
  await sql`update audit_open set at = at - make_interval(secs => ${by}),
    failing_since = failing_since - make_interval(secs => ${by})`;
}

const outcomes = (entries: readonly { readonly outcome: string }[]) => entries.map(({ outcome }) => outcome);

t.test('a deposit of a killed API process gets the outcome that the engine knows, once', async (t) => {
  const { api, customer, accountId, token, between, cutOff } = await stage(t);
  between.silence('toClient');
  await cutOff(
    `/api/accounts/${accountId}/deposits`,
    { token: customer.token, body: { amount: 700 } },
    async () => (await customer.get(`/api/accounts/${accountId}`)).json.available === 700,
  );
  const { housekeeping } = api.api.services;
  await housekeeping.run();
  const story = () => entriesOf(api, token, `object=${accountId}&action=account.deposit`);
  t.same(outcomes(await story()), ['asked'], 'an entry that is young may get its outcome yet');
  await age(api, openMsMin);
  await Promise.all([housekeeping.run(), housekeeping.run()]);
  const [done, asked, ...others] = await story();
  t.same(others, []);
  t.match(done, { outcome: 'done', actor: { kind: 'system', id: 'audit' }, requestId: asked!.requestId });
  t.same(JSON.parse(done!.after), { ...JSON.parse(asked!.after), reason: 'approved' });
  const { id } = JSON.parse(asked!.after);
  t.same(outcomes(await entriesOf(api, token, `object=${accountId}&movement=${id}`)), ['done', 'asked']);
  t.same(await api.sql`select from audit_open`, []);
});

t.test('what the engine never received, or cannot say for an hour, is recorded as unknown', async (t) => {
  const { api, customer, accountId, token, between, cutOff } = await stage(t);
  between.silence('toService');
  await cutOff(
    `/api/accounts/${accountId}/withdrawals`,
    { token: customer.token, body: { amount: 700 } },
    async () => (await api.sql`select from audit_open`).length === 1,
  );
  const { housekeeping } = api.api.services;
  await age(api, openMsMin);
  await housekeeping.run();
  const unknown = () => entriesOf(api, token, 'outcome=unknown');
  t.match(await unknown(), [{ action: 'account.withdrawal', after: /"reason":"no_decision"/ }]);

  // The same request again, by a client that was not answered, is executed and has an outcome of its own.
  t.equal((await customer.post(`/api/accounts/${accountId}/withdrawals`, { amount: 1 })).status, 409);
  t.same(await api.sql`select from audit_open`, [], 'an outcome that comes in time leaves nothing open');
});

t.test('a deposit stays open while no engine answers, for an hour', async (t) => {
  const { api, customer, accountId, token, between, cutOff } = await stage(t);
  between.silence('toService');
  await cutOff(
    `/api/accounts/${accountId}/deposits`,
    { token: customer.token, body: { amount: 700 } },
    async () => (await api.sql`select from audit_open`).length === 1,
  );
  const without = await startTestApi(t, {
    env: { DATABASE_URL: api.databaseUrl, ENGINE_URL: `http://127.0.0.1:${await findFreePort()}` },
  });
  await api.api.services.housekeeping.stop();
  await age(api, failingMsMax);
  await without.api.services.housekeeping.run();
  const unknown = () => entriesOf(api, token, 'outcome=unknown');
  t.same(await unknown(), [], 'an old entry that was not asked about yet has its hour');
  await age(api, failingMsMax);
  await without.api.services.housekeeping.run();
  t.match(await unknown(), [{ action: 'account.deposit', after: /"reason":"engine_unavailable"/ }]);
});

t.test('entries that the engines cannot say anything about hold up no other', async () => {
  const entries = Array.from({ length: 8 }, (_, index) => ({ id: index + 1, failing: 0 }));
  const completed: number[] = [];
  const failures = { count: 0 };
  const sweep = new OpenEntries({
    trail: {
      open: async () =>
        entries
          .filter(({ id }) => !completed.includes(id))
          .toSorted((left, right) => left.failing - right.failing || left.id - right.id)
          .map(({ id }) => ({ id, action: 'account.deposit', objectId: 'a', key: String(id), after: { amount: 1 } })),
      failing: async (id) => {
        entries[id - 1]!.failing = ++failures.count;
        return 0;
      },
      complete: async (id) => completed.push(id) > 0,
    },
    engine: {
      decision: async (key) => {
        if (Number(key) <= 4) throw new Error('a partition is away');
        return null;
      },
    },
    quarantine: { list: async () => [] },
    log: { warn: () => undefined, info: () => undefined },
  });
  t.equal(await sweep.sweep(), 0, 'three failures end a step');
  t.equal(await sweep.sweep(), 4, 'what failed comes last');
  t.same(completed, [5, 6, 7, 8]);
});

t.test('a release of a killed API process gets what it released, and a retry what is left in quarantine', async (t) => {
  const { api, customer, accountId, token, between, cutOff } = await stage(t);
  await customer.post(`/api/accounts/${accountId}/deposits`, { amount: 5000 });
  const card = await customer.card(accountId);
  const { authorizationId } = await pay(api, card.token, { amount: 1200 });
  await until('the hold is settled', async () => (await customer.get('/api/transactions')).json.data.length === 1);
  between.silence('toClient');
  await cutOff(
    `/api/transactions/${authorizationId}/release`,
    { token, body: { reason: 'no clearing will come' } },
    async () => (await customer.get(`/api/accounts/${accountId}`)).json.held === 0,
  );
  await api.sql`select audit_append('{"kind":"system","id":"t","request":"r-1"}', 'quarantine.retry', 'record', '0/17',
    null, null, 'asked')`;
  await age(api, openMsMin);
  await api.api.services.housekeeping.run();
  const [done, asked] = await entriesOf(api, token, `object=${authorizationId}&action=transaction.release`);
  t.match([done, asked], [{ outcome: 'done' }, { outcome: 'asked' }]);
  t.match(JSON.parse(done!.after), { reason: 'no clearing will come', answer: 'approved', released: 1200 });
  t.match(await entriesOf(api, token, 'object=0/17'), [{ outcome: 'unknown', after: '{"status":"absent"}' }, {}]);
});
