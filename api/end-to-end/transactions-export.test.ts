/** Transactions as they leave: filters of the list, and the whole of them as CSV. */
import http from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import { createTestAccounts } from '../../deploy/testing/test-accounts.js';
import { runs } from '../../engine/testing/runs.js';
import { csvRow, decimalOf } from '../http/csv.js';
import { startTestApi } from '../testing/api-inside.js';
import { settleClearing, settleTransactions } from '../testing/settled-ledger.js';
import { createCompany } from '../testing/tenants.js';

t.setTimeout(120_000);

/** RFC 4180, written apart from csv.ts on purpose. */
function parse(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let field = '';
  let isQuoted = false;
  for (let index = 0; index < text.length; index++) {
    const character = text[index]!;
    if (isQuoted) {
      if (character !== '"') field += character;
      else if (text[index + 1] === '"') field += text[++index];
      else isQuoted = false;
    } else if (character === '"') isQuoted = true;
    else if (character === ',') {
      row.push(field);
      field = '';
    } else if (character === '\r' && text[index + 1] === '\n') {
      rows.push([...row, field]);
      row = [];
      field = '';
      index++;
    } else field += character;
  }
  return rows;
}

t.test('any text survives the CSV, and none becomes a formula', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' }), { minLength: 1, maxLength: 5 }), (texts) => {
      const [row] = parse(csvRow(texts));
      return row!.every((field, index) => {
        const text = texts[index]!;
        return (field === text || field === `'${text}`) && !/^\s*[=+\-@]/.test(field);
      });
    }),
    runs(1000),
  );
  t.same(parse(csvRow(['=1+1', '+1', '-1', '@A1', '\t=1', ' =1', null, 'a"b', 'a,b\r\nc']))[0], [
    "'=1+1",
    "'+1",
    "'-1",
    "'@A1",
    "'\t=1",
    "' =1",
    '',
    'a"b',
    'a,b\r\nc',
  ]);
  t.equal(csvRow(['＝1+1', '﹢1']), "'＝1+1,'﹢1\r\n", 'full-width signs are escaped');
  t.equal(csvRow([{ amount: -1250, currency: 'USD' }]), '-12.50\r\n', 'a minus in front of a number is no formula');
  t.equal(decimalOf(1250, 'JPY'), '1250');
  t.equal(decimalOf(5, 'BHD'), '0.005');
});

t.test('an export has every transaction once, follows the filters, and says where it continues', async (t) => {
  const api = await startTestApi(t);
  await createTestAccounts(api.sql, 2, 0);
  const count = 1300;
  await settleTransactions(
    api.sql,
    Array.from({ length: count }, (_, index) => ({
      id: `tx-${index}`,
      owner: 1,
      amount: 1000 + index,
      status: 1 + (index % 5),
      createdAt: new Date(Date.UTC(2026, 2, 1) + Math.floor(index / 3) * 1000).toISOString(),
      mcc: 5411,
      spendDay: 20_513,
      merchant: index % 10 === 0 ? '=cmd|"x",A1' : 'Corner Store',
    })),
  );
  const token = await api.tokenOf(1);
  const reply = await api.request('GET', '/api/transactions.csv', { token });
  t.equal(reply.status, 200);
  t.equal(reply.headers.get('content-type'), 'text/csv; charset=utf-8; header=present');
  t.equal(reply.headers.get('link'), null, 'the list has ended');
  const [header, ...rows] = parse(reply.text);
  t.match(header, ['id', 'created_at']);
  t.equal(rows.length, count);
  t.equal(new Set(rows.map(([id]) => id)).size, count);
  const of = (row: string[], name: string) => row[header!.indexOf(name)];
  const tenth = rows.find(([id]) => id === 'tx-10')!;
  t.equal(of(tenth, 'merchant_name'), `'=cmd|"x",A1`);
  t.equal(of(tenth, 'amount'), '10.10');
  const filtered = await api.request('GET', '/api/transactions.csv?merchant=CMD&status=completed&min=1100', { token });
  t.same(
    parse(filtered.text)
      .slice(1)
      .map(([id]) => id),
    rows
      .filter((row) => /cmd/.test(of(row, 'merchant_name')!) && of(row, 'status') === 'completed')
      .filter((row) => Number(of(row, 'amount')) >= 11)
      .map(([id]) => id),
  );
  const other = await api.request('GET', '/api/transactions.csv?account=acct_1', { token: await api.tokenOf(2) });
  t.equal(parse(other.text).length, 1, 'an export has nothing of another customer');
  t.equal((await api.request('GET', '/api/transactions.csv?limit=5', { token })).status, 400);
  t.equal((await api.request('GET', '/api/transactions.csv')).status, 401);

  t.test('a client that does not read stops the export, and one that leaves ends it', async (t) => {
    let lists = 0;
    const store = api.api.services.transactions.of({ kind: 'personal' } as never);
    const list = store.list.bind(store);
    store.list = async () => {
      lists++;
      // Full pages without end: the export goes on for as long as the client reads.
      return Array.from({ length: 500 }, () => ({ ...one!, transactionId: 'x'.repeat(64) }));
    };
    const [one] = await list(
      { userId: 1, publicId: 'usr_1', kind: 'personal', companyId: null, role: null } as never,
      {},
      {
        after: null,
        limit: 1,
      },
    );
    const request = http.get(`${api.url}/api/transactions.csv`, { headers: { authorization: `Bearer ${token}` } });
    const response = await new Promise<http.IncomingMessage>((resolve) => request.on('response', resolve));
    response.pause();
    const standsStill = async () => {
      for (let before = -1; before !== lists; await delay(700)) before = lists;
    };
    await standsStill();
    t.ok(lists < 500, `${lists} pages for a client that reads none`);
    const held = lists;
    response.destroy();
    await standsStill();
    t.ok(lists <= held + 1, 'no page is read once the client has gone');
    store.list = list;
  });
});

t.test('the events of a transaction continue where its first ones end', async (t) => {
  const api = await startTestApi(t);
  await createTestAccounts(api.sql, 2, 0);
  const createdAt = '2026-03-01T00:00:00.000Z';
  await settleTransactions(api.sql, [
    { id: 'tx-long', owner: 1, amount: 10, status: 1, createdAt, mcc: 5411, spendDay: 20_513 },
  ]);
  await settleClearing(api.sql, 'tx-long', 130);
  const token = await api.tokenOf(1);
  const { json } = await api.request('GET', '/api/transactions/tx-long', { token });
  t.match(json, {
    eventCount: 131,
    eventTotals: [{ count: 1 }, { type: 'clearing', count: 130, approvedAmount: 1300 }],
  });
  t.match(json.events[0], { type: 'authorization', requestId: 'tx-long' });
  const seen: { requestId: string }[] = json.events;
  for (let next = json.nextEvents; next !== null; ) {
    const page = await api.request('GET', `/api/transactions/tx-long/events?limit=33&cursor=${next}`, { token });
    t.equal(page.status, 200);
    seen.push(...page.json.data);
    next = page.json.next;
  }
  t.equal(seen.length, 131);
  t.equal(new Set(seen.map(({ requestId }) => requestId)).size, 131);
  const other = await api.request('GET', '/api/transactions/tx-long/events', { token: await api.tokenOf(2) });
  t.equal(other.status, 404);
});

t.test('a search of a company with several accounts finds every match and reads no more than its share', async (t) => {
  const api = await startTestApi(t);
  const company = await createCompany(api.sql, 'acme', 0);
  await api.sql`
    insert into accounts (public_id, kind, company_id, owner_key, currency)
    select 'acct_acme_' || n, kind, company_id, owner_key, currency from accounts, generate_series(2, 3) n
    where public_id = ${company.accountId}`;
  await api.sql`
    insert into transactions (id, account_id, card_id, user_id, amount, approved_amount, held_amount, posted_amount,
      refunded_amount, newest_spend_amount, created_at, updated_at, partition, spend_day, newest_spend_day, type,
      status,
      reason, detail, channel, forced, currency, merchant_id, merchant_name)
    select 'tx-' || n, a.id, c.id, c.user_id, 100, 100, 0, 100, 0, 0,
    timestamptz '2026-01-01' + n * interval '1 second', now(),
      0, 0, 0, 1, 2, 0, 0, 1, false, 'USD', 'm-1', case when n % 4000 = 7 then 'Rare find' else 'Corner Store' end
    from generate_series(1, 30000) n
    -- The second account has a hundredth of the third's.
    join lateral (
      select * from accounts where owner_key = (select owner_key from accounts where public_id = ${company.accountId})
      order by id offset case when n % 3 = 0 then 0 when n % 100 = 1 then 1 else 2 end limit 1) a on true
    join lateral (select * from cards order by id limit 1) c on true`;
  await api.sql`analyze transactions`;
  const owner = company.users[0]!;
  const token = await api.tokenOf(owner.id);
  const found: string[] = [];
  let pages = 0;
  for (let cursor = ''; ; pages++) {
    const reply = await api.request('GET', `/api/transactions?merchant=rare&limit=2${cursor}`, { token });
    t.equal(reply.status, 200);
    found.push(...reply.json.data.map(({ id }: { id: string }) => id));
    if (reply.json.next === null) break;
    cursor = `&cursor=${reply.json.next}`;
  }
  t.same(
    found,
    [28_007, 24_007, 20_007, 16_007, 12_007, 8_007, 4_007, 7].map((n) => `tx-${n}`),
  );
  t.ok(pages >= 4 && pages < 20, `${pages} pages`);
});
