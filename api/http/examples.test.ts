/** The examples of the OpenAPI document: each works when it is sent as it is. */
import t from 'tap';
import { seedDemo } from '../../deploy/demo.js';
import { startTestApi } from '../testing/api-inside.js';
import { Customer } from '../testing/customer.js';

// biome-ignore lint/suspicious/noExplicitAny: the document has the shape of the specification
type Json = any;

/** Their one field is a secret of one person: no example could work. */
const withoutExample = ['acceptInvitation', 'refresh', 'signOut'];
/** They end what other examples use. */
const last = ['replaceCard', 'changePassword'];

interface Example {
  readonly operationId: string;
  readonly method: string;
  readonly path: string;
  readonly body: Json;
}

/** They need a funding that waits, a hold or a record set apart, which the tests of these routes have. */
const ofNothing = new Set(['rejectFunding', 'releaseHold', 'retryQuarantined']);

function examplesOf(document: Json): { readonly examples: Example[]; readonly missing: string[] } {
  const examples: Example[] = [];
  const missing: string[] = [];
  for (const [path, item] of Object.entries<Json>(document.paths)) {
    for (const [method, operation] of Object.entries<Json>(item)) {
      const schema = operation.requestBody?.content['application/json']?.schema;
      if (schema === undefined) continue;
      const { operationId } = operation;
      const [body] = document.components.schemas[schema.$ref.split('/').pop()].examples ?? [];
      if (body === undefined) missing.push(operationId);
      else examples.push({ operationId, method: method.toUpperCase(), path, body });
    }
  }
  const rank = ({ operationId }: Example) => last.indexOf(operationId);
  return { examples: examples.sort((one, other) => rank(one) - rank(other)), missing };
}

t.test('every example of a body is accepted as it is', async (t) => {
  const api = await startTestApi(t, { engine: true, env: { SELF_FUNDING: 'true' } });
  await seedDemo(api.sql);
  const { examples, missing } = examplesOf((await api.request('GET', '/api/openapi.json')).json);
  t.same(missing.sort(), withoutExample, 'only the listed operations have no example');
  t.ok(examples.length > 15);
  const signIn = async (path: string, email: string): Promise<string> =>
    (await api.request('POST', path, { body: { email, password: 'password123' } })).json['token'] as string;
  const person = await signIn('/api/auth/login', 'test@example.com');
  const operator = await signIn('/api/operators/login', 'operator@example.com');
  const owner = await Customer.register(api, 'business');
  const { user } = (await api.request('GET', '/api/me', { token: owner.token })).json as { user?: Json };
  const companyId = user?.companyId ?? (await api.request('GET', '/api/me', { token: owner.token })).json['companyId'];
  const [member] = await api.sql<{ id: string }[]>`
    insert into users (public_id, company_id, role, email, name, kind, password_hash)
    select 'usr_member', company_id, 'member', 'member@example.com', 'A Member', 'business', 'none'
    from users where public_id = ${owner.userId} returning public_id as id`;
  for (const { operationId, method, path, body } of examples) {
    const isCompany = path.startsWith('/api/companies') || path === '/api/users/{id}' || path.startsWith('/api/users/');
    const isOperators =
      operationId === 'setUserStatus' || /^\/api\/(customers|keys|fundings|transactions|quarantine)/.test(path);
    const token = isOperators ? operator : isCompany ? owner.token : person;
    const id = path.startsWith('/api/companies')
      ? String(companyId)
      : isCompany
        ? member!.id
        : path.startsWith('/api/accounts')
          ? 'acct_demo'
          : path.startsWith('/api/customers')
            ? 'usr_demo'
            : 'card_demo';
    const reply = await api.request(method, path.replace('{id}', id), { token, body });
    // Of something that is not there: the body was read, and accepted, before anything was looked for.
    if (ofNothing.has(operationId)) t.equal(reply.status, 404, `${operationId}: ${reply.text}`);
    else t.ok(reply.status < 300, `${operationId}: ${reply.status} ${reply.status < 300 ? '' : reply.text}`);
  }
});
