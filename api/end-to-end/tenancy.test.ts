/**
 * The tenancy matrix, generated from the declared routes. Every kind of caller calls every route with the objects of
 * another company and of another person. Each call is refused with 403 or 404 and changes nothing. And nothing unlisted
 * goes in or comes out. A new route without a sample body here fails this test.
 */
import { Ajv } from 'ajv';
import t, { type Test } from 'tap';
import { type Caller, callersOf, keyScopes, operatorRoles } from '../auth/principal.js';
import type { Route, Target } from '../http/route.js';
import { allRoutes } from '../routes/all.js';
import { system } from '../stores/acting.js';
import { type Reply, startTestApi, type TestApi } from '../testing/api-inside.js';
import { barsOf } from '../testing/bars.js';
import { signedIn } from '../testing/operators.js';
import { createCompany, createPerson, type Tenant } from '../testing/tenants.js';

/** A valid body for every route that takes one. Functions refer to objects of a tenant. */
const bodies: Readonly<Record<string, (tenant: Tenant) => Record<string, unknown>>> = {
  'PATCH /api/companies/:id': () => ({ name: 'Renamed' }),
  'POST /api/companies/:id/invitations': ({ name }) => ({ email: `n@${name}.x`, name: 'N', role: 'member' }),
  'POST /api/auth/password': () => ({ password: 'not the password', newPassword: 'a-password-of-tests' }),
  'PATCH /api/customers/:id': () => ({ kycStatus: 'verified' }),
  'PATCH /api/me': () => ({ name: 'Renamed' }),
  'PATCH /api/users/:id': () => ({ name: 'Renamed' }),
  'POST /api/accounts/:id/deposits': () => ({ amount: 100 }),
  'POST /api/accounts/:id/withdrawals': () => ({ amount: 1 }),
  'POST /api/fundings/:id/reject': () => ({ reason: 'Not ours.' }),
  'POST /api/keys': () => ({ name: 'K', scopes: ['funding:write'] }),
  'POST /api/cards': ({ accountId }) => ({ accountId, name: 'New' }),
  'PATCH /api/cards/:id': () => ({ status: 'frozen' }),
  'POST /api/cards/:id/replace': () => ({ reason: 'lost' }),
  'PUT /api/cards/:id/limits': () => ({ perAuthorization: 1 }),
  'PUT /api/accounts/:id/limits': () => ({ perAuthorization: 1 }),
  'PUT /api/users/:id/status': () => ({ status: 'frozen' }),
  'POST /api/quarantine/retry': () => ({ partition: 0, sequence: 1 }),
  'PUT /api/users/:id/limits': () => ({ perAuthorization: 1 }),
  'POST /api/cards/:id/limits/effect': () => ({ perAuthorization: 1 }),
  'POST /api/accounts/:id/limits/effect': () => ({ perAuthorization: 1 }),
  'POST /api/users/:id/limits/effect': () => ({ perAuthorization: 1 }),
  'POST /api/transactions/:id/release': () => ({ reason: 'No clearing will come.' }),
};

/** Queries that name an object: another tenant's must give nothing away. */
const queries: Readonly<Record<string, (tenant: Tenant) => string>> = {
  'GET /api/transactions': ({ cardId }) => `?card=${cardId}`,
  'GET /api/transactions.csv': ({ accountId }) => `?account=${accountId}`,
};

const nameOf = ({ method, url }: Pick<Route, 'method' | 'url'>) => `${method} ${url}`;

/** Sign-in and operations are for everybody, and have tests of their own. */
const isTenants = ({ access }: Route) => access !== 'public';

function objectOf(tenant: Tenant, target: Target): string {
  switch (target) {
    case 'company':
      return tenant.companyId ?? 'co_none';
    case 'user':
      return tenant.users[0]!.publicId;
    case 'account':
      return tenant.accountId;
    case 'card':
      return tenant.cardId;
    case 'transaction':
    case 'decision':
      return `txn_${tenant.name}`;
    case 'session':
      return `ses_${tenant.name}`;
    case 'key':
      return 'key_none';
    case 'customer':
      return tenant.companyId ?? tenant.users[0]!.publicId;
    case 'funding':
      return `fund_${tenant.name}`;
    case 'invitation':
      return `inv_${tenant.name}`;
  }
}

interface World {
  readonly api: TestApi;
  readonly routes: readonly Route[];
  readonly tenants: readonly Tenant[];
  /** Users of the first company and the first person. */
  readonly callers: readonly TestCaller[];
  /** Operators of every role and API keys of every scope; their tenant is the first company. */
  readonly staff: readonly TestCaller[];
}

interface TestCaller {
  readonly caller: Caller;
  readonly tenant: Tenant;
  readonly token: string;
}

async function createStaff(world: TestApi, tenant: Tenant): Promise<TestCaller[]> {
  const staff: TestCaller[] = [];
  const { apiKeys } = world.api.services;
  let operatorId = 0;
  for (const role of operatorRoles) {
    const { number, token } = await signedIn(world, role);
    operatorId = number;
    staff.push({ caller: `operator:${role}`, tenant, token });
  }
  for (const scope of keyScopes) {
    const publicId = `key_${scope.replace(':', '_')}`;
    const added = await apiKeys.add(system('test'), {
      publicId,
      name: 'K',
      scopes: [scope],
      expiresAt: null,
      createdBy: operatorId,
    });
    staff.push({ caller: `key:${scope}`, tenant, token: added!.key });
  }
  return staff;
}

async function createWorld(t: Test, engine = true): Promise<World> {
  const api = await startTestApi(t, { engine });
  const tenants = [
    await createCompany(api.sql, 'acme', 10_000),
    await createCompany(api.sql, 'bolt', 10_000),
    await createPerson(api.sql, 'ada', 10_000),
    await createPerson(api.sql, 'bob', 10_000),
  ];
  for (const { name, accountId } of tenants) {
    await api.sql`
      insert into transactions (id, account_id, card_id, user_id, amount, approved_amount, held_amount, posted_amount,
        refunded_amount, newest_spend_amount, created_at, updated_at, partition, spend_day, newest_spend_day, type,
        status, reason, detail, channel, forced, currency, merchant_id, merchant_name)
      select ${`txn_${name}`}, a.id, c.id, c.user_id, 100, 100, 0, 100, 0, 0, now(), now(), 0, 0, 0, 1, 2, 0, 0, 1,
      false,
        'USD', 'm-1', ${`shop of ${name}`}
      from accounts a join cards c on c.account_id = a.id where a.public_id = ${accountId} order by c.id limit 1`;
  }
  for (const { name, users } of tenants) {
    await api.sql`
      insert into sessions (user_id, public_id, key, secret_hash, salt, expires_at)
      values (${users[0]!.id}, ${`ses_${name}`}, ${Buffer.from(name)}, '', '', now() + interval '1 day')`;
  }
  for (const { name, companyId, users } of tenants.filter(({ companyId }) => companyId !== null)) {
    await api.sql`
      insert into invitations (public_id, company_id, email, name, role, token_hash, invited_by, expires_at)
      select ${`inv_${name}`}, id, ${`guest@${name}.example`}, 'Guest', 'member', ${Buffer.from(name)}, ${users[0]!.id},
        now() + interval '1 day' from companies where public_id = ${companyId}`;
  }
  const asker = await signedIn(api, 'admin');
  for (const { name, accountId } of tenants) {
    await api.sql`
      insert into fundings (public_id, account_id, direction, amount, movement_id, requested_by, expires_at)
      select ${`fund_${name}`}, id, 'deposit', 5, ${`dep_${name}`}, ${asker.number}, now() + interval '1 day'
      from accounts where public_id = ${accountId}`;
  }
  const callers = [];
  for (const tenant of [tenants[0]!, tenants[2]!]) {
    for (const { caller, id } of tenant.users) callers.push({ caller, tenant, token: await api.tokenOf(id) });
  }
  const staff = await createStaff(api, tenants[0]!);
  return { api, routes: allRoutes(api.api.services).filter(isTenants), tenants, callers, staff };
}

/** Everything of a tenant that a request could change. */
async function snapshot({ api }: World, { name }: Tenant): Promise<string> {
  const like = `%${name}%`;
  const rows = await api.sql`
    select to_jsonb(c) as row from companies c where public_id like ${like}
    union all select to_jsonb(u) from users u where public_id like ${like}
    union all select to_jsonb(a) from accounts a where public_id like ${like}
    union all select to_jsonb(c) from cards c where public_id like ${like}
    union all select to_jsonb(c) from cards c join accounts a on a.id = c.account_id where a.public_id like ${like}
    union all select to_jsonb(s) from sessions s where public_id like ${like}
    union all select to_jsonb(i) from invitations i where public_id like ${like}
    union all select to_jsonb(l) from limits l
    union all select to_jsonb(a) from ledger_adjustments a`;
  return JSON.stringify(rows);
}

function urlOf({ url, target }: Route, tenant: Tenant): string {
  return target === undefined ? url : url.replace(':id', objectOf(tenant, target));
}

function bodyOf(route: Route, tenant: Tenant): Record<string, unknown> | undefined {
  return route.schemas.body === undefined ? undefined : bodies[nameOf(route)]!(tenant);
}

/** What a request of the route carries. */
function contentOf(route: Route, tenant: Tenant): { body?: unknown; raw?: Uint8Array<ArrayBuffer> } {
  if (route.upload !== undefined) return { raw: smallPng };
  const body = bodyOf(route, tenant);
  return body === undefined ? {} : { body };
}

/** One grey pixel. */
const smallPng = new Uint8Array(
  Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==', 'base64'),
);

const allowed = (route: Route, caller: Caller) => route.access !== 'public' && route.access.includes(caller);

t.test('every route that takes a body has a sample here', async (t) => {
  const { routes } = await createWorld(t, false);
  t.ok(routes.length >= 20, 'the walk finds the routes');
  for (const route of routes.filter(({ schemas }) => schemas.body !== undefined)) {
    t.ok(bodies[nameOf(route)], `add a sample body for ${nameOf(route)}`);
  }
});

t.test('an object of another tenant is 403 or 404 to every caller and stays unchanged', async (t) => {
  const world = await createWorld(t);
  const { api, routes, tenants, callers } = world;
  for (const other of [tenants[1]!, tenants[3]!]) {
    const before = await snapshot(world, other);
    for (const route of routes) {
      for (const { caller, token } of callers) {
        const content = contentOf(route, other);
        const path = `${urlOf(route, other)}${queries[nameOf(route)]?.(other) ?? ''}`;
        const reply = await api.request(route.method, path, { token, ...content });
        const what = `${caller}: ${route.method} ${path} → ${reply.status}`;
        const namesOther = route.target !== undefined || (content.body !== undefined && route.url !== '/api/me');
        if (namesOther || !allowed(route, caller)) {
          t.ok(reply.status === 403 || reply.status === 404, what);
        } else {
          // A list, or the caller: whatever it shows or changes is the caller's own.
          t.ok([200, 204, 404].includes(reply.status), what);
        }
        t.notMatch(reply.text, new RegExp(`(?<!by )${other.name}`), `${what} shows nothing of the other tenant`);
      }
    }
    t.equal(await snapshot(world, other), before, `the data of ${other.name} are unchanged`);
  }
});

t.test('within a tenant every caller is accepted or refused as declared', async (t) => {
  const { api, routes, callers } = await createWorld(t);
  for (const route of routes.filter(({ method }) => method === 'GET')) {
    for (const { caller, tenant, token } of callers) {
      const reply = await api.request('GET', urlOf(route, tenant), { token });
      const what = `${caller}: GET ${urlOf(route, tenant)} → ${reply.status}`;
      if (!allowed(route, caller)) t.equal(reply.status, 403, what);
      else if (caller === 'member') t.ok([200, 202, 404].includes(reply.status), what);
      else if (route.target === 'user' && caller === 'personal') t.ok([200, 404].includes(reply.status), what);
      else t.ok([200, 202].includes(reply.status), what);
    }
  }
  for (const route of routes.filter(({ method }) => method !== 'GET')) {
    for (const { caller, tenant, token } of callers) {
      if (allowed(route, caller)) continue;
      const body = bodyOf(route, tenant)!;
      t.equal(
        (await api.request(route.method, urlOf(route, tenant), { token, body })).status,
        403,
        `${caller}: ${nameOf(route)}`,
      );
    }
  }
});

t.test('operators and API keys are accepted only on routes that say so', async (t) => {
  const { api, routes, staff, tenants } = await createWorld(t);
  // These end the session that they are asked with.
  const endings = ['POST /api/operators/logout', 'DELETE /api/console/session'];
  for (const route of routes) {
    for (const { caller, token: usual } of staff) {
      const role = operatorRoles.find((name) => caller === `operator:${name}`);
      const isEnding = role !== undefined && endings.includes(nameOf(route));
      const token = isEnding ? (await signedIn(api, role)).token : usual;
      const content = contentOf(route, tenants[1]!);
      const path = urlOf(route, tenants[1]!);
      const { status } = await api.request(route.method, path, { token, ...content });
      const what = `${caller}: ${nameOf(route)} → ${status}`;
      if (allowed(route, caller)) t.ok(status < 500 && status !== 401 && status !== 403, what);
      else t.equal(status, 403, what);
    }
  }
});

/** Properties that an attacker would try to smuggle in. */
const smuggled = [
  'id',
  'ownerKey',
  'companyId',
  'userId',
  'version',
  'status',
  'role',
  'kind',
  'funds',
  'available',
  'token',
  '__proto__',
  'x',
];

t.test('a property that is not listed is refused by name and never written', async (t) => {
  const { api, routes, callers, staff } = await createWorld(t);
  for (const route of routes) {
    const { tenant, token } = [...callers, ...staff].find(({ caller }) => allowed(route, caller))!;
    const unknown = await api.request(route.method, `${urlOf(route, tenant)}?smuggled=1`, {
      token,
      ...(route.schemas.body === undefined ? {} : { body: bodyOf(route, tenant) }),
    });
    t.match(unknown.json, { status: 400, field: 'smuggled' }, `${nameOf(route)} refuses unknown query parameters`);
    if (route.schemas.body === undefined) continue;
    const listed = Object.keys((route.schemas.body as { properties?: object }).properties ?? {});
    for (const property of smuggled.filter((name) => !listed.includes(name))) {
      // Built as text: an object literal would set the prototype instead.
      const body = `${JSON.stringify(bodyOf(route, tenant)).slice(0, -1)},${JSON.stringify(property)}:1}`;
      const response = await fetch(api.url + urlOf(route, tenant), {
        method: route.method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body,
      });
      const problem = (await response.json()) as { status: number; field: string };
      t.equal(problem.status, 400, `${nameOf(route)} refuses ${property}`);
      if (property !== '__proto__') t.equal(problem.field, property);
    }
  }
});

t.test('no answer has a property that its schema does not list', async (t) => {
  const { api, routes, callers, staff } = await createWorld(t);
  const ajv = new Ajv({ strict: false, formats: { 'date-time': true, date: true, email: true } });
  for (const route of allRoutes(api.api.services)) {
    for (const [part, schema] of Object.entries({
      ...route.schemas.responses,
      body: route.schemas.body,
      query: route.schemas.query,
    })) {
      if (schema !== undefined) assertClosed(t, schema, `${nameOf(route)} ${part}`);
    }
  }
  for (const route of routes.filter(({ method }) => method === 'GET')) {
    for (const { tenant, token, caller } of [...callers, ...staff].filter(({ caller }) => allowed(route, caller))) {
      const reply = await api.request('GET', urlOf(route, tenant), { token });
      if (reply.status >= 300) continue;
      const validate = ajv.compile(route.schemas.responses[200]!);
      // A route that produces no JSON answers with a text.
      t.ok(
        validate(route.produces === undefined ? reply.json : reply.text),
        `${caller}: ${nameOf(route)} ${JSON.stringify(validate.errors)}`,
      );
    }
  }
});

/** Every object within a schema lists its properties; a map may only hold closed values. */
function assertClosed(t: Test, schema: unknown, path: string): void {
  if (typeof schema !== 'object' || schema === null) return;
  const { type, additionalProperties, patternProperties } = schema as Record<string, unknown>;
  if (type === 'object' && patternProperties === undefined) {
    // A map of texts has no properties of its own.
    if (typeof additionalProperties !== 'object') t.equal(additionalProperties, false, `${path} is closed`);
  }
  for (const [key, value] of Object.entries(schema)) assertClosed(t, value, `${path}.${key}`);
}

t.test('the rights of a caller come from the database, not from an older token', async (t) => {
  const { api, callers } = await createWorld(t, false);
  const admin = callers.find(({ caller }) => caller === 'admin')!;
  t.equal((await api.request('GET', '/api/companies/co_acme/users', { token: admin.token })).status, 200);
  const owner = callers.find(({ caller }) => caller === 'owner')!;
  await api.request('PATCH', '/api/users/usr_acme_admin', { token: owner.token, body: { role: 'member' } });
  t.equal((await api.request('GET', '/api/companies/co_acme/users', { token: admin.token })).status, 403);
  t.same(callersOf({ role: null } as never), ['personal']);
});

/** Bars the caller of one request between the last check in this process and the statement that writes. */
async function barredMeanwhile(
  { api }: World,
  raise: () => Promise<unknown>,
  send: () => Promise<Reply>,
): Promise<Reply> {
  const { actors } = api.api.services;
  const confirm = actors.confirm.bind(actors);
  actors.confirm = async (...asked) => {
    const actor = await confirm(...asked);
    await raise();
    return actor;
  };
  try {
    return await send();
  } finally {
    actors.confirm = confirm;
  }
}

const written = [
  'fundings',
  'images',
  'image_files',
  'companies',
  'users',
  'accounts',
  'cards',
  'limits',
  'sessions',
  'operator_sessions',
  'api_keys',
];

/** Every row that a route writes, without the notes of when sessions and keys were used. */
async function everything({ sql }: TestApi): Promise<string> {
  const parts = written.map(
    (table) => sql`select to_jsonb(r) - 'last_used_at' - 'last_seen_at' as row
    from ${sql(table)} r order by 1`,
  );
  return JSON.stringify(await Promise.all(parts));
}

t.test('a caller who loses a right after the last check in the process writes nothing', async (t) => {
  // Without an engine: the refusal comes before it is asked, so no money moves.
  const world = await createWorld(t, false);
  const { api, callers, staff } = world;
  // The one that the sample names, so that the statement is reached.
  await api.sql`update users set password_hash = ${await api.api.services.passwords.hash('not the password')}`;
  for (const route of world.routes.filter(({ method }) => method !== 'GET')) {
    for (const { caller, tenant, token: usual } of [...callers, ...staff].filter(({ caller }) =>
      allowed(route, caller),
    )) {
      const actor = await api.api.services.actors.authenticate(`Bearer ${usual}`);
      for (const { state, status, token, raise, lift } of await barsOf(api, actor, usual)) {
        // An admin may change members, and no owner.
        const path =
          route.target === 'user' ? route.url.replace(':id', tenant.users.at(-1)!.publicId) : urlOf(route, tenant);
        const options = { token, ...contentOf(route, tenant) };
        let before = '';
        const raised = async () => {
          await raise();
          before = await everything(api);
        };
        const reply = await barredMeanwhile(world, raised, () => api.request(route.method, path, options));
        const what = `${caller} ${state}: ${nameOf(route)} → ${reply.status}`;
        t.equal(reply.status, status, what);
        t.equal(await everything(api), before, `${what} writes nothing`);
        await lift();
      }
    }
  }
});
