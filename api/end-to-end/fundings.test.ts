/** Large movements of money: one operator asks, another one decides, and the money moves once. */
import t, { type Test } from 'tap';
import type { OperatorRole } from '../auth/principal.js';
import { ApprovedFundings, approvedMsMin } from '../background/approved-fundings.js';
import { startTestApi } from '../testing/api-inside.js';
import { Customer, fresh } from '../testing/customer.js';
import { signedIn } from '../testing/operators.js';
import { quietLog } from '../testing/personal-stores.js';

async function stage(t: Test) {
  const api = await startTestApi(t, { engine: true, env: { FUNDING_APPROVAL_MINOR: '1000' } });
  const customer = await Customer.register(api, 'personal');
  const accountId = await customer.accountId();
  const as = async (role: OperatorRole) => {
    const operator = await signedIn(api, role);
    const headers = () => ({ 'idempotency-key': fresh('funding') });
    const post = (path: string, body?: unknown) =>
      api.request('POST', path, { token: operator.token, headers: headers(), ...(body === undefined ? {} : { body }) });
    const get = (path: string) => api.request('GET', path, { token: operator.token });
    return { ...operator, post, get };
  };
  const funds = async () => (await customer.get(`/api/accounts/${accountId}`)).json.funds as number;
  return { api, as, funds, path: `/api/accounts/${accountId}` };
}

t.test('a movement above the bound waits for another operator, and moves once', async (t) => {
  const { api, as, funds, path } = await stage(t);
  const [asker, other, third] = [await as('admin'), await as('risk'), await as('admin')];
  t.equal((await asker.post(`${path}/deposits`, { amount: 1000 })).status, 201, 'the bound itself needs none');
  const { status, json, headers } = await asker.post(`${path}/deposits`, { amount: 1001 });
  t.match([status, json], [202, { status: 'pending', amount: 1001, currency: 'USD', requestedBy: { id: asker.id } }]);
  t.equal(headers.get('location'), `/api/fundings/${json.id}`);
  t.equal(await funds(), 1000);
  const funding = `/api/fundings/${json.id}`;
  t.match((await asker.post(`${funding}/approve`)).json, { status: 403, title: 'forbidden' });
  t.match((await asker.post(`${funding}/reject`, { reason: 'x' })).json, { status: 403 });
  t.equal((await (await as('support')).post(`${funding}/approve`)).status, 403);

  const done = { status: 'done', decidedBy: { id: other.id }, reason: null };
  t.match((await other.post(`${funding}/approve`)).json, done);
  t.equal(await funds(), 2001);
  t.match((await third.post(`${funding}/approve`)).json, { status: 409, title: 'funding_decided' });
  t.match((await third.post(`${funding}/reject`, { reason: 'late' })).json, { status: 409, title: 'funding_decided' });
  t.match((await other.get('/api/fundings?status=done')).json.data, [{ id: json.id, ...done }]);
  const trail = await api.sql`
    select action, actor_id as actor, after from (select id, action, actor_id, object_id, after from audit_fresh
      union all select id, action, actor_id, object_id, after from audit_trail) e
    where object_id = ${json.id} and action like 'funding.%' order by id`;
  t.match(trail, [
    { action: 'funding.requested', actor: asker.id, after: { amount: 1001, direction: 'deposit' } },
    { action: 'funding.approved', actor: other.id },
    { action: 'funding.done' },
  ]);
});

t.test('what is rejected, refused or lapsed moves nothing', async (t) => {
  const { api, as, funds, path } = await stage(t);
  const [asker, other] = [await as('admin'), await as('admin')];
  const ask = async (direction: string) =>
    `/api/fundings/${(await asker.post(`${path}/${direction}`, { amount: 5000 })).json.id}`;
  const rejected = await ask('deposits');
  t.match((await other.post(`${rejected}/reject`, { reason: 'wrong amount' })).json, {
    status: 'rejected',
    reason: 'wrong amount',
  });
  const refused = await ask('withdrawals');
  t.match((await other.post(`${refused}/approve`)).json, { status: 'refused', reason: 'insufficient_funds' });
  const lapsed = await ask('deposits');
  await api.sql`alter table fundings disable trigger audit_funding`;
  await api.sql`update fundings set expires_at = now() where status = 'pending'`;
  await api.sql`alter table fundings enable trigger audit_funding`;
  t.match((await other.get(lapsed)).json, { status: 'expired' });
  t.match((await other.post(`${lapsed}/approve`)).json, { status: 409, title: 'funding_decided' });
  t.equal(await api.api.services.fundings.sweep(), 1);
  t.equal(await api.api.services.fundings.sweep(), 0);
  t.equal(await funds(), 0);
});

t.test('approvals and rejections at once move the money once or not at all', async (t) => {
  const { api, as, funds, path } = await stage(t);
  const asker = await as('admin');
  const others = [await as('admin'), await as('risk'), await as('risk')];
  let expected = 0;
  for (let round = 0; round < 10; round++) {
    const { id } = (await asker.post(`${path}/deposits`, { amount: 2000 })).json;
    const isContested = round % 2 === 1;
    await Promise.all(
      others.map(({ post }, index) =>
        isContested && index === round % 3
          ? post(`/api/fundings/${id}/reject`, { reason: 'race' })
          : post(`/api/fundings/${id}/approve`),
      ),
    );
    const { status } = (await asker.get(`/api/fundings/${id}`)).json;
    t.ok(isContested ? ['done', 'rejected'].includes(status) : status === 'done', `round ${round}: ${status}`);
    if (status === 'done') expected += 2000;
    t.equal(await funds(), expected, `round ${round}`);
  }
  const [recorded] = await api.sql`
    select count(*)::int as movements from (select action, outcome from audit_fresh
      union all select action, outcome from audit_trail) e where action = 'account.deposit' and outcome = 'done'`;
  t.equal(recorded!['movements'], expected / 2000, 'each movement is recorded once');
  const halves = await api.sql`
    select f.public_id from fundings f where f.status = 'done' and not exists (
      select from (select after from audit_fresh union all select after from audit_trail) e
      where e.after ->> 'funding' = f.public_id)`;
  t.same(halves, [], 'no movement is done without its entry');
});

t.test('an approval whose outcome was not learned is completed by the next one', async (t) => {
  const { api, as, funds, path } = await stage(t);
  const [asker, other, third] = [await as('admin'), await as('risk'), await as('risk')];
  const { id } = (await asker.post(`${path}/deposits`, { amount: 3000 })).json;
  const { engine } = api.api.services;
  const move = engine.move.bind(engine);
  engine.move = async (...movement) => {
    await move(...movement);
    throw new Error('the answer is lost');
  };
  t.equal((await other.post(`/api/fundings/${id}/approve`)).status, 500);
  engine.move = move;
  t.match((await asker.get(`/api/fundings/${id}`)).json, { status: 'approved', decidedBy: { id: other.id } });
  t.match((await third.post(`/api/fundings/${id}/approve`)).json, { status: 'done', decidedBy: { id: other.id } });
  t.equal(await funds(), 3000);
});

t.test('an approval whose API process died is completed after a minute, once', async (t) => {
  const { api, as, funds, path } = await stage(t);
  const [asker, other] = [await as('admin'), await as('risk')];
  const ask = async (direction: string, amount: number) =>
    `/api/fundings/${(await asker.post(`${path}/${direction}`, { amount })).json.id}`;
  const [moved, notMoved] = [await ask('deposits', 3000), await ask('deposits', 3000)];
  const refused = await ask('withdrawals', 1_000_000);
  const { engine, housekeeping } = api.api.services;
  const move = engine.move.bind(engine);
  engine.move = async (...movement) => {
    await move(...movement);
    throw new Error('the answer is lost');
  };
  t.equal((await other.post(`${moved}/approve`)).status, 500);
  engine.move = () => Promise.reject(new Error('no engine answers'));
  for (const funding of [notMoved, refused]) t.equal((await other.post(`${funding}/approve`)).status, 500);
  const age = async () => {
    await api.sql`alter table fundings disable trigger audit_funding`;
    await api.sql`update fundings set decided_at = now() - ${approvedMsMin} * interval '1 millisecond'`;
    await api.sql`alter table fundings enable trigger audit_funding`;
  };
  const statuses = async () =>
    (await Promise.all([moved, notMoved, refused].map(asker.get))).map(({ json }) => json.status);
  await housekeeping.stop();
  const sweep = () => new ApprovedFundings({ ...api.api.services, log: quietLog }).sweep();
  engine.move = move;
  t.equal(await sweep(), 0, 'one that is young may get its outcome yet');
  await age();
  engine.move = () => Promise.reject(new Error('no engine answers'));
  t.equal(await sweep(), 0);
  t.same(await statuses(), ['approved', 'approved', 'approved']);
  engine.move = move;
  const completed = await Promise.all([sweep(), sweep()]);
  t.equal(completed[0]! + completed[1]!, 3);
  t.same(await statuses(), ['done', 'done', 'refused']);
  t.equal(await funds(), 6000, 'each deposit moved once');
  t.equal(await sweep(), 0);
});

t.test('a movement whose entry cannot be written stays approved, and has one after the next approval', async (t) => {
  const { api, as, funds, path } = await stage(t);
  const [asker, other] = [await as('admin'), await as('risk')];
  const { id } = (await asker.post(`${path}/deposits`, { amount: 3000 })).json;
  await api.sql`alter table audit_fresh add constraint no_deposit check (action <> 'account.deposit')`;
  t.equal((await other.post(`/api/fundings/${id}/approve`)).status, 500);
  t.match((await asker.get(`/api/fundings/${id}`)).json, { status: 'approved' });
  await api.sql`alter table audit_fresh drop constraint no_deposit`;
  t.match((await other.post(`/api/fundings/${id}/approve`)).json, { status: 'done' });
  t.equal(await funds(), 3000, 'the money moved once');
  const entries = await api.sql`
    select actor_id as actor, outcome from (select action, actor_id, outcome, after from audit_fresh
      union all select action, actor_id, outcome, after from audit_trail) e
    where action = 'account.deposit' and after ->> 'funding' = ${id}`;
  t.same([...entries], [{ actor: other.id, outcome: 'done' }]);
});

t.test('the database takes no approval by the operator who asked, nor in the name of another one', async (t) => {
  const { api, as, path } = await stage(t);
  const [asker, other] = [await as('admin'), await as('admin')];
  const { id } = (await asker.post(`${path}/deposits`, { amount: 3000 })).json;
  const approve = (by: number) => api.sql`
    update fundings set status = 'approved', decided_by = ${by}, decided_at = now() where public_id = ${id}`;
  await t.rejects(approve(asker.number), /fundings_second_operator/);
  await t.rejects(approve(other.number), /decided by the operator who acts/);
  await t.rejects(api.sql`update fundings set amount = 1 where public_id = ${id}`, /by its status alone/);
  await t.rejects(api.sql`update fundings set status = 'done' where public_id = ${id}`);
});

t.test('an API key moves any amount alone', async (t) => {
  const { api, as, funds, path } = await stage(t);
  const admin = await as('admin');
  const { key } = (await admin.post('/api/keys', { name: 'Payroll', scopes: ['funding:write'] })).json;
  const reply = await api.request('POST', `${path}/deposits`, { token: key, body: { amount: 5_000_000 } });
  t.equal(reply.status, 201);
  t.equal(await funds(), 5_000_000);
});
