/**
 * Every operation of the OpenAPI document, called by every kind of caller with requests made of its own schemas, good
 * and broken ones. No answer is a fault of ours, has an undocumented status, or is outside its schema. TEST_SEED
 * repeats a run.
 */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { seedDemo } from '../../deploy/demo.js';
import { testSeed } from '../../engine/testing/runs.js';
import { keyScopes, operatorRoles } from '../auth/principal.js';
import { system } from '../stores/acting.js';
import { addOperator } from '../stores/operators.js';
import { type Reply, request, startTestApi, type TestApi } from '../testing/api-inside.js';
import { noLimits } from '../testing/no-limits.js';
import { type GeneratedRequest, type Json, RequestArbitraries } from '../testing/request-arbitraries.js';
import { createCompany, createPerson } from '../testing/tenants.js';

/** After the first round, in which every caller tries every operation, as many more as fit into this time. */
const budgetMs = 15_000;
const roundsMax = 20;
const methods = ['get', 'post', 'put', 'patch', 'delete'] as const;
/** A caller whom an operation has refused this often may not call it at all. */
const refusalsMax = 2;

interface Operation {
  readonly method: string;
  readonly path: string;
  readonly operation: Json;
}

function operationsOf(document: Json): Operation[] {
  return Object.entries<Json>(document.paths).flatMap(([path, item]) =>
    methods
      .filter((method) => item[method] !== undefined)
      .map((method) => ({ method: method.toUpperCase(), path, operation: item[method] })),
  );
}

/** Holds answers against the document. */
class Documented {
  readonly #document: Json;
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false });
  readonly #compiled = new Map<string, ValidateFunction>();

  constructor(document: Json) {
    this.#document = document;
    this.#ajv.addSchema(document, 'document');
  }

  /** What is wrong with an answer; null when nothing is. */
  fault({ operation }: Operation, { status, headers, text, json }: Reply): string | null {
    const declared = operation.responses[status];
    if (declared === undefined) return `status ${status} is not documented: ${text.slice(0, 300)}`;
    // 503 says that the caller comes back; with every part running none is due.
    if (status >= 500) return `status ${status}: ${text.slice(0, 300)}`;
    if (headers.get('request-id') === null) return 'the answer has no Request-Id';
    const response =
      declared.$ref === undefined ? declared : this.#document.components.responses[declared.$ref.split('/').pop()];
    if (response.content === undefined) return text === '' ? null : `an empty answer has a body: ${text.slice(0, 300)}`;
    const type = (headers.get('content-type') ?? '').split(';')[0]!;
    const schema = response.content[type]?.schema;
    if (schema === undefined) return `content type ${type} is not documented for ${status}`;
    if (schema.$ref === undefined) return null;
    const validate = this.#validator(schema.$ref);
    return validate(json) ? null : `${schema.$ref}: ${this.#ajv.errorsText(validate.errors)}: ${text.slice(0, 300)}`;
  }

  #validator(ref: string): ValidateFunction {
    let validate = this.#compiled.get(ref);
    if (validate === undefined) {
      validate = this.#ajv.compile({ $ref: `document${ref}` });
      this.#compiled.set(ref, validate);
    }
    return validate;
  }
}

interface Caller {
  readonly name: string;
  token: string | undefined;
  /** A new token, once a request has ended the session of the one before or blocked its user. */
  renew(): Promise<string | undefined>;
}

/** Two tenants and every kind of caller; ids of all of them, so that requests find their own and others' objects. */
async function createWorld(t: Test): Promise<{ api: TestApi; callers: Caller[]; ids: string[] }> {
  const api = await startTestApi(t, { engine: true, env: noLimits });
  await seedDemo(api.sql);
  const acme = await createCompany(api.sql, 'acme', 10_000);
  const ada = await createPerson(api.sql, 'ada', 10_000);
  const callers: Caller[] = [{ name: 'anonymous', token: undefined, renew: async () => undefined }];
  for (const tenant of [acme, ada]) {
    for (const { caller, id } of tenant.users) {
      const renew = async () => {
        await api.sql`update users set status = 'active' where id = ${id}`;
        api.api.services.access.forget(id);
        return api.tokenOf(id);
      };
      callers.push({ name: caller, token: await renew(), renew });
    }
  }
  const { operators, apiKeys } = api.api.services;
  for (const role of operatorRoles) {
    const email = `${role}@example.com`;
    await addOperator(api.sql, { email, name: role, role, passwordHash: 'none', totpSecret: null });
    const { operator } = await operators.byEmail(email);
    const device = { address: '127.0.0.1', network: '127.0.0.1', userAgent: '', requestId: '' };
    const renew = () => operators.open(operator!.id, device);
    callers.push({ name: `operator:${role}`, token: await renew(), renew });
    if (role !== 'admin') continue;
    const added = await apiKeys.add(system('test'), {
      publicId: 'key_fuzz',
      name: 'K',
      scopes: [...keyScopes],
      expiresAt: null,
      createdBy: operator!.id,
    });
    callers.push({ name: 'key', token: added!.key, renew: async () => added!.key });
  }
  const tenantIds = [acme, ada].flatMap(({ companyId, accountId, cardId, users }) => [
    ...(companyId === null ? [] : [companyId]),
    accountId,
    cardId,
    ...users.map(({ publicId }) => publicId),
  ]);
  return { api, callers, ids: [...tenantIds, 'acct_demo', 'card_demo', 'key_fuzz'] };
}

t.test('every answer to a request generated from the OpenAPI document is in the document', async (t) => {
  const { api, callers, ids } = await createWorld(t);
  const document = (await api.request('GET', '/api/openapi.json')).json;
  const documented = new Documented(document);
  const startingWith = (prefix: string) => ids.filter((id) => id.startsWith(prefix));
  const arbitraries = new RequestArbitraries(document, {
    accountId: startingWith('acct_'),
    userId: startingWith('usr_'),
    card: startingWith('card_'),
    account: startingWith('acct_'),
    currency: ['USD', 'EUR', 'ZZZ'],
    timeZone: ['UTC', 'Europe/Berlin', 'Nowhere/Land'],
  });
  const operations = operationsOf(document);
  t.comment(`${operations.length} operations, ${callers.length} callers`);
  const statuses = new Map<number, number>();
  const refusals = new Map<string, number>();
  const untilMs = performance.now() + budgetMs;
  let requests = 0;
  for (let round = 0; round < roundsMax; round++) {
    for (const operation of operations) {
      for (const caller of callers) {
        if (round > 0 && performance.now() > untilMs) break;
        const pair = `${operation.operation.operationId} ${caller.name}`;
        if ((refusals.get(pair) ?? 0) >= refusalsMax) continue;
        const arbitrary = arbitraries.of(operation.path, operation.operation, ids);
        const [generated] = fc.sample(arbitrary, { seed: testSeed + requests, numRuns: 1 });
        requests++;
        const reply = await send(api, operation, caller, generated!);
        statuses.set(reply.status, (statuses.get(reply.status) ?? 0) + 1);
        if (reply.status === 403) refusals.set(pair, (refusals.get(pair) ?? 0) + 1);
        if (reply.status === 401) caller.token = await caller.renew();
        const fault = documented.fault(operation, reply);
        if (fault === null) continue;
        const { path, headers, body } = generated!;
        const sent = `${operation.method} ${path} ${JSON.stringify(headers)} ${JSON.stringify(body)}`;
        t.fail(`as ${caller.name}, request ${requests - 1}: ${fault}`, { sent });
      }
    }
  }
  t.comment(
    `${requests} requests: ${[...statuses]
      .sort()
      .map(([status, count]) => `${status} ${count}×`)
      .join(', ')}`,
  );
  t.ok(requests >= operations.length * callers.length, 'every caller tried every operation');
  for (const status of [200, 400, 401, 403, 404]) t.ok(statuses.has(status), `some answers are ${status}`);
});

function send(api: TestApi, { method }: Operation, caller: Caller, generated: GeneratedRequest): Promise<Reply> {
  return request(api.url, method, generated.path, {
    ...(caller.token === undefined ? {} : { token: caller.token }),
    headers: generated.headers,
    ...(generated.body === undefined ? {} : { body: generated.body }),
  });
}
