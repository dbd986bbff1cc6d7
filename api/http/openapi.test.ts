/** The OpenAPI document: what it promises of every route, and the rules that it keeps. */
import { createConfig, lintFromString } from '@redocly/openapi-core';
import t from 'tap';
import { startTestApi } from '../testing/api-inside.js';
import { openApiOf } from './openapi.js';
import { route } from './route.js';
import { closed, Type } from './schemas.js';

const methods = ['get', 'post', 'put', 'patch', 'delete'];

// biome-ignore lint/suspicious/noExplicitAny: the document has the shape of the specification
type Json = any;

function operationsOf(document: Json): { name: string; operation: Json }[] {
  return Object.entries<Json>(document.paths).flatMap(([path, item]) =>
    methods
      .filter((method) => item[method] !== undefined)
      .map((method) => ({ name: `${method} ${path}`, operation: item[method] })),
  );
}

/** Every object within a value. */
function* objectsOf(value: Json): Generator<Json> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield value;
  for (const inner of Object.values(value)) yield* objectsOf(inner);
}

t.test('every operation has an id, named bodies and answers, and its errors as problems', async (t) => {
  const api = await startTestApi(t);
  const { status, headers, json } = await api.request('GET', '/api/openapi.json');
  t.equal(status, 200);
  t.match(headers.get('content-type'), /^application\/json/);
  t.match(json, { openapi: '3.1.0', servers: [{ url: '/' }] });
  for (const name of ['Card', 'Transaction', 'Limits', 'Problem', 'Account', 'CardList']) {
    t.equal(json.components.schemas[name]?.type, 'object', name);
  }
  const operations = operationsOf(json);
  t.ok(operations.length > 30);
  for (const { name, operation } of operations) {
    t.match(operation.operationId, /^[a-z][A-Za-z]+$/, name);
    const body = operation.requestBody?.content['application/json'];
    if (body !== undefined) t.match(body.schema.$ref, /^#\/components\/schemas\/\w+$/, `${name}: body`);
    for (const [code, answer] of Object.entries<Json>(operation.responses)) {
      if (answer.$ref !== undefined) {
        const component = json.components.responses[answer.$ref.split('/').pop()];
        if (code !== '304') t.ok(component.content['application/problem+json'], `${name}: ${code}`);
        continue;
      }
      t.ok(answer.headers['Request-Id'], `${name}: ${code} carries the request's id`);
      const schema = answer.content?.['application/json']?.schema;
      if (schema !== undefined) t.match(schema.$ref, /^#\/components\/schemas\/\w+$/, `${name}: ${code}`);
    }
    for (const parameter of operation.parameters) {
      if (parameter.schema?.default !== undefined) t.equal(parameter.required, false, `${name}: ${parameter.name}`);
    }
  }
  for (const object of objectsOf(json.components.schemas)) {
    if (Array.isArray(object.enum)) t.equal(object.type, 'string', `enum ${object.enum.join(', ')} has a type`);
  }
  t.ok(json.paths['/api/cards/{id}'].patch.parameters.some(({ $ref = '' }: Json) => $ref.endsWith('/IfMatch')));
  t.ok(json.paths['/api/cards'].post.parameters.some(({ $ref = '' }: Json) => $ref.endsWith('/IdempotencyKey')));
  t.ok(json.components.responses.TooManyRequests.headers['Retry-After']);
  t.ok(json.paths['/api/cards/{id}'].get.responses['200'].headers.ETag);
});

t.test('the page of the documentation works over plain HTTP, shows our name and starts with signing in', async (t) => {
  const api = await startTestApi(t);
  const page = await api.request('GET', '/api/docs/');
  t.equal(page.status, 200);
  t.match(page.text, /<title>Atlanticfrewaycard account API<\/title>/);
  const policy = page.headers.get('content-security-policy') ?? '';
  t.match(policy, /script-src/);
  t.notMatch(policy, /upgrade-insecure-requests/);
  const { json } = await api.request('GET', '/api/openapi.json');
  t.match(json['info'], { title: 'Atlanticfrewaycard account API', description: /^## Sign in/ });
});

t.test("the document keeps Redocly's recommended rules", async (t) => {
  const api = await startTestApi(t);
  const { text } = await api.request('GET', '/api/openapi.json');
  t.same(await redoclyProblems(text), []);
});

t.test('two schemas of one name, a name given twice, and schemas without one stop the start', async (t) => {
  const declared = (operationId: string, schema = closed({ a: Type.String() }, { title: 'Thing' })) =>
    route({
      method: 'GET',
      url: `/${operationId}`,
      access: 'public',
      tag: 'test',
      operationId,
      summary: 'test',
      schemas: { responses: { 200: schema } },
      handler: async () => ({ a: '' }),
    });
  const document = (...routes: ReturnType<typeof declared>[]) =>
    openApiOf(routes, { title: 'T', version: '1', description: '', tags: [] });
  t.ok(document(declared('one'), declared('other')));
  t.throws(() => document(declared('one'), declared('one')), /operationId one/);
  const other = closed({ a: Type.String({ maxLength: 3 }) }, { title: 'Thing' });
  t.throws(() => document(declared('one'), declared('other', other)), /title Thing/);
  t.throws(() => declared('one', closed({ a: Type.String() })), /a title such as Card/);
});

async function redoclyProblems(document: string): Promise<string[]> {
  const config = await createConfig({ extends: ['recommended'] });
  const problems = await lintFromString({ source: document, config });
  return problems.map(({ ruleId, message, location }) => `${ruleId}: ${message} ${location[0]?.pointer ?? ''}`);
}
