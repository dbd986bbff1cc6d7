/** Lists of cards narrowed by filters: exactly what matches, a page at a time, and a bounded look each. */
import t from 'tap';
import { Random } from '../../engine/testing/generator.js';
import { startTestApi, type TestApi } from '../testing/api-inside.js';
import { createCompany, createPerson } from '../testing/tenants.js';

interface Listed {
  readonly id: string;
  readonly status: string;
  readonly type: string;
  readonly name: string;
  readonly userId: string;
  readonly accountId: string;
}

/** All pages of a list. */
async function walk(
  api: TestApi,
  token: string,
  query: string,
  limit = 50,
): Promise<{ cards: Listed[]; pages: number }> {
  const cards: Listed[] = [];
  for (let next: string | null = '', pages = 0; ; ) {
    const from = next === '' ? '' : `&cursor=${next}`;
    const reply = await api.request('GET', `/api/cards?limit=${limit}${query}${from}`, { token });
    if (reply.status !== 200) throw new Error(reply.text);
    cards.push(...reply.json.data);
    pages++;
    next = reply.json.next;
    if (next === null) return { cards, pages };
  }
}

t.test('any filters together list exactly the cards that match, newest first', async (t) => {
  const api = await startTestApi(t);
  const acme = await createCompany(api.sql, 'acme');
  const bolt = await createCompany(api.sql, 'bolt');
  const random = new Random(5);
  for (const tenant of [acme, bolt]) {
    await api.sql`
      insert into accounts (public_id, kind, company_id, owner_key, currency)
      select public_id || '_2', kind, company_id, owner_key, 'EUR' from accounts where public_id = ${tenant.accountId}`;
    const accounts = [tenant.accountId, `${tenant.accountId}_2`];
    for (let n = 0; n < 60; n++) {
      await api.sql`
        insert into cards (public_id, token, account_id, user_id, name, expires, status, type, created_at)
        select ${`${tenant.name}_${n}`}, ${`${tenant.name}_${n}`}, a.id, ${random.pick(tenant.users).id},
          ${random.pick(['Ads 100%', 'ads', 'Travel_EU', 'Öl'])}, date '2099-12-31',
          ${random.pick(['active', 'frozen', 'closed'])}, ${random.pick(['virtual', 'single_use', 'merchant_locked'])},
          now() - ${random.below(20)} * interval '1 hour'
        from accounts a where a.public_id = ${random.pick(accounts)}`;
    }
  }
  const owner = await api.tokenOf(acme.user('owner').id);
  const { cards: all } = await walk(api, owner, '', 200);
  t.ok(all.length >= 60);
  const member = acme.user('member').publicId;
  const filters: [string, (card: Listed) => boolean][] = [
    ['status=frozen', ({ status }) => status === 'frozen'],
    ['type=single_use', ({ type }) => type === 'single_use'],
    ['type=virtual&status=active', ({ type, status }) => type === 'virtual' && status === 'active'],
    [`account=${acme.accountId}`, ({ accountId }) => accountId === acme.accountId],
    [
      `account=${acme.accountId}_2&status=closed`,
      (card) => card.accountId !== acme.accountId && card.status === 'closed',
    ],
    [`user=${member}`, ({ userId }) => userId === member],
    [
      `user=${member}&account=${acme.accountId}&name=ADS`,
      (card) => card.userId === member && card.accountId === acme.accountId && card.name.toLowerCase().includes('ads'),
    ],
    ['name=ads', ({ name }) => name.toLowerCase().includes('ads')],
    ['name=100%25', ({ name }) => name === 'Ads 100%'],
    ['name=_', ({ name }) => name.includes('_')],
    [`name=${encodeURIComponent('öL')}`, ({ name }) => name === 'Öl'],
    ['name=none', () => false],
  ];
  for (const [query, matches] of filters) {
    for (const limit of [3, 50]) {
      const { cards } = await walk(api, owner, `&${query}`, limit);
      const expected = all.filter(matches).map(({ id }) => id);
      t.same(
        cards.map(({ id }) => id),
        expected,
        `${query}, ${limit} a page`,
      );
    }
  }
  const asMember = await api.tokenOf(acme.user('member').id);
  const { cards: own } = await walk(api, asMember, '&status=active');
  t.same(
    own.map(({ id }) => id),
    all.filter((card) => card.userId === member && card.status === 'active').map(({ id }) => id),
  );
  t.same((await walk(api, asMember, `&user=${acme.user('owner').publicId}`)).cards, []);
  for (const query of [`account=${bolt.accountId}`, `user=${bolt.user('owner').publicId}`, 'user=usr_none']) {
    t.same((await walk(api, owner, `&${query}`)).cards, [], `${query} lists none of theirs`);
  }
  for (const query of ['status=lost', 'type=x', 'name=', `name=${'x'.repeat(101)}`, 'account=a%20b', 'colour=red']) {
    t.equal((await api.request('GET', `/api/cards?${query}`, { token: owner })).status, 400, query);
  }
});

t.test('a page looks at a bounded number of cards, and the next page continues after them', async (t) => {
  const api = await startTestApi(t);
  const ada = await createPerson(api.sql, 'ada');
  const bob = await createPerson(api.sql, 'bob');
  const add = (user: number, account: string) => api.sql`
    insert into cards (public_id, token, account_id, user_id, name, expires, status, created_at)
    select ${account} || n, ${account} || n, a.id, ${user}, 'Card ' || n, date '2099-12-31',
      case when n in (100, 4400) then 'frozen' else 'active' end, now() - n * interval '1 second'
    from accounts a, generate_series(1, 4500) n where a.public_id = ${account}`;
  await add(ada.user('personal').id, ada.accountId);
  await add(bob.user('personal').id, bob.accountId);
  const token = await api.tokenOf(ada.user('personal').id);
  const { cards, pages } = await walk(api, token, '&status=frozen');
  t.same(
    cards.map(({ name }) => name),
    ['Card 100', 'Card 4400'],
  );
  t.equal(pages, 3);
  const first = await api.request('GET', '/api/cards?name=Card%204400', { token });
  t.match(first.json, { data: [], next: /./ }, 'a page may be empty while more cards follow');
  // Not even the place where a look ended tells of another customer's cards.
  const others = await api.request('GET', `/api/cards?user=${bob.user('personal').publicId}`, { token });
  t.same(others.json, { data: [], next: null });
  const theirs = await api.request('GET', `/api/cards?account=${bob.accountId}`, { token });
  t.same(theirs.json, { data: [], next: null });
});
