/** Money in and out through the ops port: real server, real worker, real Postgres. */
import t from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import { answerOf } from '../testing/client.js';
import { startTestEngine } from '../testing/engine-inside.js';
import { engineBooks, opsCommand, opsGet, testToken, until } from '../testing/engine-process.js';

// One engine for most tests. A long deadline: a busy machine must not refuse what is tested here.
const main = await startTestEngine(t, { accounts: 40, balanceMinor: 1000 });
const { client, place, sql } = main;

let accountsUsed = 0;
function freshAccount(): { account: string; card: string } {
  const number = String(++accountsUsed).padStart(6, '0');
  return { account: `acct_${number}`, card: `card_${number}_1` };
}
let commands = 0;
const nextId = () => `command-${++commands}`;

const deposit = (account: string, body: object | string) => opsCommand(place, 'deposits', account, body);
const withdraw = (account: string, body: object | string) => opsCommand(place, 'withdrawals', account, body);

t.test('a deposit is booked before it is answered, and the answer shows the whole books', async (t) => {
  const { account, card } = freshAccount();
  const id = nextId();
  const reply = await deposit(account, { id, amount: 500 });
  t.equal(reply.status, 200);
  const books = { id: account, currency: 'USD', funds: 1500, available: 1500, held: 0, posted: 0 };
  t.same(JSON.parse(reply.text), { id, approved: true, reason: 'approved', amount: 500, account: books });
  t.same(await engineBooks(place, account), books);
  t.equal(answerOf(await client.authorize(nextId(), card, 1200)).reason, 'approved', 'the deposit can be spent');
  t.same((await engineBooks(place, account)).available, 300);
});

t.test('a withdrawal takes no more than the available money', async (t) => {
  const { account, card } = freshAccount();
  await client.authorize(nextId(), card, 300);
  const tooMuch = await withdraw(account, { id: nextId(), amount: 701 });
  t.equal(tooMuch.status, 200, 'a declined withdrawal keeps its answer');
  const before = { id: account, currency: 'USD', funds: 1000, available: 700, held: 300, posted: 0 };
  t.match(JSON.parse(tooMuch.text), { approved: false, reason: 'insufficient_funds', amount: 701, account: before });
  const all = await withdraw(account, { id: nextId(), amount: 700 });
  t.match(JSON.parse(all.text), { approved: true, account: { funds: 300, available: 0, held: 300 } });
  const declined = await client.authorize(nextId(), card);
  t.equal(answerOf(declined).reason, 'insufficient_funds');
});

t.test('a repeated command receives its first answer byte for byte, and other content is a conflict', async (t) => {
  const [one, other] = [freshAccount().account, freshAccount().account];
  const id = nextId();
  const first = await deposit(one, { id, amount: 500 });
  await deposit(one, { id: nextId(), amount: 1 });
  const again = await Promise.all(Array.from({ length: 20 }, () => deposit(one, { amount: 500, id })));
  for (const reply of again)
    t.same(reply, first, 'the repeat shows the books of the first answer, not the current ones');
  for (const [name, conflicting] of [
    ['amount', await deposit(one, { id, amount: 501 })],
    ['type', await withdraw(one, { id, amount: 500 })],
    ['account', await deposit(other, { id, amount: 500 })],
  ] as const) {
    t.equal(conflicting.status, 409, name);
    t.match(JSON.parse(conflicting.text), { title: 'duplicate_conflict', status: 409, id, approved: false }, name);
  }
  t.equal((await engineBooks(place, one)).funds, 1501);
  t.equal((await engineBooks(place, other)).funds, 1000);
});

t.test('a command and a card message may use the same id without affecting each other', async (t) => {
  const { account, card } = freshAccount();
  const id = nextId();
  const authorization = { id, type: 'authorization', card, amount: 100, currency: 'USD' };
  t.equal(answerOf(await client.native(authorization)).reason, 'approved');
  t.match(JSON.parse((await deposit(account, { id, amount: 5 })).text), { id, approved: true });
  t.equal(answerOf(await client.native(authorization)).reason, 'approved', 'the command still has its own answer');
  const forged = await client.native({ ...authorization, id: `\u0001ledger:${id}` });
  t.match(
    [forged.status, JSON.parse(forged.body).field],
    [400, 'id'],
    'no client can send an id in the namespace of commands',
  );
  const forgedOriginal = { ...authorization, id: nextId(), type: 'reversal', original: `\u0001ledger:${id}` };
  t.equal((await client.native(forgedOriginal)).status, 400);
});

t.test('a frozen account accepts deposits and no withdrawals, and a closed account accepts neither', async (t) => {
  for (const [status, takes] of [
    ['frozen', true],
    ['closed', false],
  ] as const) {
    const { account } = freshAccount();
    await sql`update accounts set status = ${status}, version = version + 1 where public_id = ${account}`;
    const paidIn = JSON.parse((await deposit(account, { id: nextId(), amount: 10 })).text);
    t.match(paidIn, { approved: takes, reason: takes ? 'approved' : 'account_inactive' }, `${status} deposit`);
    const paidOut = JSON.parse((await withdraw(account, { id: nextId(), amount: 10 })).text);
    t.match(paidOut, { approved: false, reason: 'account_inactive' }, `${status} withdrawal`);
  }
});

t.test('an invalid amount is declined by name, and its repeat receives the same answer', async (t) => {
  const { account } = freshAccount();
  for (const amount of [0, -0, 100_000_000_000_001, Number.MAX_SAFE_INTEGER]) {
    const id = nextId();
    const reply = await deposit(account, { id, amount });
    t.match([reply.status, JSON.parse(reply.text).reason], [200, 'amount_invalid'], String(amount));
    t.same(await deposit(account, { id, amount }), reply);
  }
  t.equal((await engineBooks(place, account)).funds, 1000);
});

t.test('a malformed command gets a 400 that names the field, and never a 5xx', async (t) => {
  const { account } = freshAccount();
  const good = { id: 'bad-input', amount: 10 };
  const cases: readonly (readonly [name: string, body: object | string, field: string])[] = [
    ['nothing', '', ''],
    ['no JSON', '{', ''],
    ['an array', '[]', ''],
    ['a text', '"deposit"', ''],
    ['null', 'null', ''],
    ['not UTF-8 would be replaced on its way; a lone surrogate is not', '{"id":"\\ud800","amount":1}', 'id'],
    ['no id', { amount: 10 }, 'id'],
    ['empty id', { ...good, id: '' }, 'id'],
    ['long id', { ...good, id: 'x'.repeat(65) }, 'id'],
    ['number as id', { ...good, id: 7 }, 'id'],
    ['null as id', { ...good, id: null }, 'id'],
    ['control character in id', { ...good, id: 'a\nb' }, 'id'],
    ['an amount twice', '{"id":"bad-input","amount":10,"amount":999}', 'amount'],
    ['no amount', { id: 'bad-input' }, 'amount'],
    ['text as amount', { ...good, amount: '10' }, 'amount'],
    ['a fraction', { ...good, amount: 10.5 }, 'amount'],
    ['negative', { ...good, amount: -1 }, 'amount'],
    ['more than is exact', '{"id":"bad-input","amount":9007199254740993}', 'amount'],
    ['much too much', '{"id":"bad-input","amount":1e999}', 'amount'],
    ['a list', { ...good, amount: [10] }, 'amount'],
    ['true', { ...good, amount: true }, 'amount'],
  ];
  for (const [name, body, field] of cases) {
    for (const kind of ['deposits', 'withdrawals'] as const) {
      const { status, text } = await opsCommand(place, kind, account, body);
      t.match([status, JSON.parse(text).field], [400, field], `${kind}: ${name}`);
      t.notMatch(text, /4111/, 'the answer shows no card number');
    }
  }
  t.match(JSON.parse((await deposit(account, good)).text), { approved: true }, 'the id is still free');
  const longest = { id: '💳'.repeat(64), amount: 1 };
  t.match(JSON.parse((await deposit(account, longest)).text), { id: longest.id, approved: true });
  const awkward = { id: '"\\'.repeat(32), amount: 1 };
  t.match(JSON.parse((await deposit(account, awkward)).text), { id: awkward.id, approved: true });
});

t.test('an unknown account gets a 404, and its id stays free', async (t) => {
  const id = nextId();
  for (const account of ['missing', '%00', 'a'.repeat(500), '4111111111111111', '%01', "'%20or%20''='", '..%2f']) {
    const { status, text } = await deposit(account, { id, amount: 10 });
    t.match([status, JSON.parse(text).title], [404, 'not_found'], account);
  }
  t.equal((await deposit('%E0%A4%A', { id, amount: 10 })).status, 400);
  const { account } = freshAccount();
  t.match(JSON.parse((await deposit(account, { id, amount: 10 })).text), { approved: true });
});

t.test('commands with a wrong token, method, media type or size are refused', async (t) => {
  const { account } = freshAccount();
  const path = `/admin/accounts/${account}/deposits`;
  const url = `http://127.0.0.1:${place.opsPort}${path}`;
  const body = JSON.stringify({ id: nextId(), amount: 10 });
  const authorization = `Bearer ${testToken}`;
  for (const headers of [{}, { authorization: 'Bearer nonsense' }, { authorization: `${authorization}x` }]) {
    t.equal((await fetch(url, { method: 'POST', headers, body })).status, 401);
  }
  for (const method of ['GET', 'PUT', 'DELETE']) {
    const reply = await fetch(url, { method, headers: { authorization } });
    t.match([reply.status, reply.headers.get('allow')], [405, 'POST'], method);
  }
  const asText = await fetch(url, { method: 'POST', headers: { authorization, 'content-type': 'text/plain' }, body });
  t.equal(asText.status, 415);
  for (const more of [{ 'content-encoding': 'gzip' }, { 'content-type': 'application/json; charset=latin1' }]) {
    t.equal((await fetch(url, { method: 'POST', headers: { authorization, ...more }, body })).status, 415);
  }
  const padded = JSON.stringify({ id: nextId(), amount: 10, note: 'x'.repeat(5000) });
  t.equal((await deposit(account, padded)).status, 413);
  t.equal((await engineBooks(place, account)).funds, 1000);
  t.equal((await opsGet(place, `/admin/accounts/${account}/nothing`)).status, 404);
});

t.test('the ops port lists the engines of the database with their partitions', async (t) => {
  const { status, text } = await opsGet(place, '/admin/engines');
  t.equal(status, 200);
  const { data } = JSON.parse(text);
  t.equal(data.length, 1);
  const [engine] = data;
  t.match(engine, { authUrl: `http://127.0.0.1:${place.authPort}`, opsUrl: `http://127.0.0.1:${place.opsPort}` });
  t.ok(engine.epoch >= 1 && engine.leaseMsLeft > 0 && engine.partitions.includes(0), JSON.stringify(engine));
});

t.test('one request returns the books of many accounts', async (t) => {
  const [live, settled] = [freshAccount().account, freshAccount().account];
  await deposit(live, { id: nextId(), amount: 7 });
  const { status, text } = await opsGet(place, `/admin/accounts?ids=${settled},missing,${live},%00,${settled},`);
  t.equal(status, 200);
  const books = { currency: 'USD', held: 0, posted: 0 };
  t.same(JSON.parse(text), {
    accounts: [
      { id: settled, ...books, funds: 1000, available: 1000 },
      { id: live, ...books, funds: 1007, available: 1007 },
    ],
  });
  const ids = Array.from({ length: 200 }, (_, index) => `acct_${String(index + 1).padStart(6, '0')}`);
  t.equal(
    JSON.parse((await opsGet(place, `/admin/accounts?ids=${ids}`)).text).accounts.length,
    40,
    'the answer has the known accounts',
  );
  for (const query of ['', '?ids=', '?ids=,', `?ids=${ids},one-more`]) {
    const refused = await opsGet(place, `/admin/accounts${query}`);
    t.match([refused.status, JSON.parse(refused.text).field], [400, 'ids'], query.slice(0, 20));
  }
  t.equal((await opsGet(place, `/admin/accounts?ids=${'x'.repeat(14_000)}`)).status, 414);
});

t.test('one request returns the spend windows of a card, a user and an account', async (t) => {
  const { account, card } = freshAccount();
  await sql`update accounts set time_zone = 'Pacific/Kiritimati' where public_id = ${account}`;
  // The warm start may have brought the account before. Its day there is another one from 10:00 UTC on.
  await main.restart();
  const [row] = await sql<{ card: number; user: number; account: number }[]>`
    select id::integer as card, user_id::integer as user, account_id::integer as account from cards
    where token = ${card}`;
  const query = `/admin/windows?card=${row!.card}&user=${row!.user}&account=${row!.account}`;
  const zeros = [0, 0, 0, 0, 0];
  // Kiritimati is 14 hours ahead of UTC, all year.
  const today = () => Math.floor((Date.now() + 14 * 3_600_000) / 86_400_000);
  const [from, unused, to] = [today(), JSON.parse((await opsGet(place, query)).text), today()];
  t.ok(unused.card.day >= from && unused.card.day <= to, 'the day is that of the account’s time zone');
  for (const level of ['card', 'user', 'account']) {
    t.match(unused[level], { day: unused.card.day, amounts: zeros, counts: zeros }, level);
  }
  for (const amount of [100, 23]) {
    await client.authorize(nextId(), card, amount);
  }
  const used = JSON.parse((await opsGet(place, query)).text);
  for (const level of ['card', 'user', 'account']) {
    t.same([used[level].amounts, used[level].counts], [Array(5).fill(123), Array(5).fill(2)], level);
  }
  const onlyUser = JSON.parse((await opsGet(place, `/admin/windows?user=${row!.user}`)).text);
  t.same(onlyUser, { card: null, user: used.user, account: null }, 'each level may be requested alone');
  t.same(JSON.parse((await opsGet(place, '/admin/windows?card=999999')).text), {
    card: null,
    user: null,
    account: null,
  });
  for (const query of ['', '?', '?other=1']) {
    const refused = await opsGet(place, `/admin/windows${query}`);
    t.equal(refused.status, 400);
    t.match(JSON.parse(refused.text).detail, /card, user and account by its internal number: .*\?card=1/);
  }
  for (const text of ['0', '-1', '1.5', 'x', '99999999999999999999', '', '9999999999999999']) {
    const refused = await opsGet(place, `/admin/windows?account=${text}`);
    t.match([refused.status, JSON.parse(refused.text).field], [400, 'account'], text);
  }
});

t.test('answers, books and windows are the same after a restart, settled or not', async (t) => {
  const { account, card } = freshAccount();
  const id = nextId();
  const first = await deposit(account, { id, amount: 500 });
  const refusedId = nextId();
  const refused = await withdraw(account, { id: refusedId, amount: 5000 });
  await client.authorize(nextId(), card, 200);
  await until('the deposit is settled', async () => {
    const rows = await sql`select 1 from transaction_events where request_id = ${`\u0001ledger:${id}`}`;
    return rows.length === 1;
  });
  await main.restart();
  t.same(await deposit(account, { id, amount: 500 }), first);
  t.same(await withdraw(account, { id: refusedId, amount: 5000 }), refused);
  t.equal((await deposit(account, { id, amount: 501 })).status, 409);
  t.match(await engineBooks(place, account), { funds: 1500, available: 1300, held: 200 });
  const [row] = await sql<{ id: number }[]>`select id::integer from cards where token = ${card}`;
  const { card: windows } = JSON.parse((await opsGet(place, `/admin/windows?card=${row!.id}`)).text);
  t.same(windows.amounts, [200, 200, 200, 200, 200]);
});

t.test('the books balance in Postgres', async (t) => {
  await main.stop();
  t.same((await auditBooks(sql)).findings, []);
  const [transactions] = await sql<{ count: number }[]>`
    select count(*)::integer from transactions where id like ${'\u0001%'}`;
  t.equal(transactions!.count, 0, 'a command opens no transaction');
  const [event] = await sql`
    select type, card_id, user_id, available_delta, held_delta, posted_delta, external_delta,
    transaction_id = request_id
      as is_alone from transaction_events where request_id = ${'\u0001ledger:command-1'}`;
  t.match(event, {
    type: 11,
    card_id: null,
    user_id: null,
    available_delta: '500',
    held_delta: '0',
    posted_delta: '0',
    external_delta: '-500',
    is_alone: true,
  });
});
