/** The frame around every route: validation, problems, authorization, serialization, operations. */

import { fastify } from 'fastify';
import t from 'tap';
import { createTestAccounts } from '../deploy/testing/test-accounts.js';
import { Connection } from '../engine/testing/client.js';
import { registerProblems } from './http/problem.js';
import { registerRoutes } from './http/register-routes.js';
import { route } from './http/route.js';
import { Count, closed, IdParams, Name, page, pageQuery, Type } from './http/schemas.js';
import { registerValidation } from './http/validation.js';
import { startTestApi } from './testing/api-inside.js';

t.test('the public port shows liveness and readiness, and nothing about its surroundings', async (t) => {
  const { request } = await startTestApi(t);
  t.same((await request('GET', '/livez')).json, { status: 'alive' });
  t.same((await request('GET', '/readyz')).json, { status: 'ready' });
  for (const path of ['/health', '/metrics']) t.equal((await request('GET', path)).status, 404, path);
});

t.test('a body that is encoded, not in UTF-8, or of two lengths is refused', async (t) => {
  const { url } = await startTestApi(t);
  const body = JSON.stringify({ email: 'someone@example.com', password: 'password-of-tests' });
  const login = (headers: Record<string, string>) =>
    fetch(`${url}/api/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
    });
  for (const [headers, status] of [
    [{}, 401],
    [{ 'content-type': 'application/json; charset=UTF-8' }, 401],
    [{ 'content-encoding': 'identity' }, 401],
    [{ 'content-encoding': 'gzip' }, 415],
    [{ 'content-encoding': 'br' }, 415],
    [{ 'content-type': 'application/json; charset=iso-8859-1' }, 415],
  ] as const) {
    const reply = await login(headers);
    t.equal(reply.status, status, JSON.stringify(headers));
    if (status === 415) t.match(await reply.json(), { title: 'unsupported_media_type' });
  }
  const connection = new Connection(Number(new URL(url).port));
  const headers = { 'content-length': `${body.length}\r\ncontent-length: ${body.length + 5}` };
  t.equal((await connection.ask({ path: '/api/auth/login', body, headers })).status, 400);
  connection.close();
});

t.test('a request needs a valid token of an active user', async (t) => {
  const { request, sql, tokenOf, api } = await startTestApi(t);
  await createTestAccounts(sql, 2, 0);
  const anonymous = await request('GET', '/api/me');
  t.equal(anonymous.status, 401);
  t.equal(anonymous.headers.get('www-authenticate'), 'Bearer');
  t.match(anonymous.headers.get('content-type'), /application\/problem\+json/);
  for (const token of ['', 'x', 'a.b.c', `${await tokenOf(1)}x`]) {
    t.equal((await request('GET', '/api/me', { token })).status, 401);
  }
  t.equal((await request('GET', '/api/me', { token: await tokenOf(77) })).status, 401, 'the user does not exist');
  const token = await tokenOf(1);
  const me = await request('GET', '/api/me', { token });
  t.same(me.json, {
    id: 'usr_1',
    email: 'user1@example.com',
    name: 'User 1',
    kind: 'personal',
    kycStatus: 'pending',
    metadata: {},
  });
  await sql`update users set status = 'frozen' where id = 1`;
  api.services.access.forget(1);
  t.equal((await request('GET', '/api/me', { token })).status, 401, 'the user is frozen');
});

t.test('an undeclared property is refused by name', async (t) => {
  const { request, sql, tokenOf } = await startTestApi(t);
  await createTestAccounts(sql, 1, 0);
  const unknown = await request('GET', '/api/me?admin=true', { token: await tokenOf(1) });
  t.equal(unknown.status, 400);
  t.match(unknown.json, { title: 'invalid_request', field: 'admin', errors: [{ pointer: '/admin' }] });
  t.equal((await request('GET', '/api/nothing')).status, 404);
  t.equal((await request('GET', '/api/nothing')).json.title, 'not_found');
  t.equal((await request('PUT', '/api/me')).status, 405);
});

t.test('inputs are read as declared, and answers have only declared properties', async (t) => {
  const app = fastify({ bodyLimit: 1024 });
  t.teardown(() => app.close());
  registerProblems(app, () => []);
  registerValidation(app);
  const Body = closed(
    { name: Name, count: Count, inner: Type.Optional(closed({ deep: Type.Integer() })) },
    { title: 'Body' },
  );
  const routes = [
    route({
      method: 'POST',
      url: '/things/:id',
      access: 'public',
      target: 'card',
      tag: 'test',
      operationId: 'addThing',
      summary: 'test',
      schemas: {
        params: IdParams,
        query: pageQuery({ by: Type.Optional(Type.Enum(['day', 'card'])) }),
        body: Body,
        responses: { 201: closed({ id: Type.String(), limit: Count }, { title: 'Thing' }) },
      },
      handler: async (request) => ({ id: request.params.id, limit: request.query.limit, secret: 'x' }),
    }),
    route({
      method: 'GET',
      url: '/list',
      access: 'public',
      tag: 'test',
      operationId: 'listThings',
      summary: 'test',
      schemas: { responses: { 200: page(closed({ id: Type.String() }, { title: 'Item' })) } },
      handler: async () => ({ data: [{ id: 'a', hash: 'secret' } as { id: string }], next: null }),
    }),
  ];
  registerRoutes(
    app,
    routes,
    {
      authenticate: () => {
        throw new Error('not asked');
      },
      confirm: () => {
        throw new Error('not asked');
      },
    },
    { record: async () => undefined },
  );
  const post = async (payload: unknown, query = '') => {
    const reply = await app.inject({ method: 'POST', url: `/things/c1${query}`, payload: payload as object });
    return { status: reply.statusCode, json: reply.json() };
  };
  t.same(
    await post({ name: 'x', count: 1 }, '?limit=7'),
    { status: 201, json: { id: 'c1', limit: 7 } },
    'the answer has no secret',
  );
  t.same((await post({ name: 'x', count: 1 })).json.limit, 50);
  const refused: [unknown, string, string][] = [
    [{ name: 'x', count: '1' }, '', 'count'],
    [{ name: 'x', count: 1, admin: true }, '', 'admin'],
    [{ name: 'x', count: 1, inner: { deep: 1, other: 2 } }, '', 'inner.other'],
    [{ count: 1 }, '', 'name'],
    [{ name: '  ', count: 1 }, '', 'name'],
    [{ name: 'x', count: 1.5 }, '', 'count'],
    [[], '', ''],
    [{ name: 'x', count: 1 }, '?limit=0', 'limit'],
    [{ name: 'x', count: 1 }, '?limit=201', 'limit'],
    [{ name: 'x', count: 1 }, '?by=week', 'by'],
    [{ name: 'x', count: 1 }, '?limit=1&limit=2', 'limit'],
  ];
  for (const [body, query, field] of refused) {
    t.match(
      await post(body, query),
      { status: 400, json: { title: 'invalid_request', field } },
      JSON.stringify(body) + query,
    );
  }
  t.same((await app.inject('/list')).json(), { data: [{ id: 'a' }], next: null });
  const raw = (payload: string, type: string) =>
    app.inject({ method: 'POST', url: '/things/c1', payload, headers: { 'content-type': type } });
  t.equal((await raw('{', 'application/json')).statusCode, 400);
  t.match((await raw('{"__proto__":{}}', 'application/json')).statusCode, 400);
  t.equal((await raw('', 'application/json')).statusCode, 400);
  t.equal((await raw('x', 'text/plain')).statusCode, 415);
  t.equal((await raw(JSON.stringify({ name: 'x'.repeat(2000), count: 1 }), 'application/json')).statusCode, 413);
});

t.test('a bug is a 500 that shows only where to ask', async (t) => {
  const app = fastify();
  t.teardown(() => app.close());
  registerProblems(app, () => []);
  app.get('/bug', async () => {
    throw new Error('the password is hunter2');
  });
  const reply = await app.inject('/bug');
  t.equal(reply.statusCode, 500);
  t.notMatch(reply.body, 'hunter2');
  t.match(reply.json(), { title: 'internal_error', detail: /request req-/ });
});
