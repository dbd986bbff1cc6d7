/** One line a request: what it says, and what it must never say. */
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { until } from '../../engine/testing/engine-process.js';
import { startTestApi } from '../testing/api-inside.js';
import { createPerson } from '../testing/tenants.js';

async function fixture(t: Test, env: Record<string, string> = {}) {
  let output = '';
  const api = await startTestApi(t, {
    env: { LOG_LEVEL: 'info', ...env },
    onLog: (line) => {
      output += line;
    },
  });
  const ada = await createPerson(api.sql, 'ada', 0);
  const token = await api.tokenOf(ada.users[0]!.id);
  const lines = () =>
    output
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  /** The lines of one request, once there is one and those after it would be there too. */
  const linesOf = async (requestId: string) => {
    await until('it is logged', () => output.includes(requestId));
    await turn();
    return lines().filter((line) => line['requestId'] === requestId);
  };
  return { api, ada, token, lines, linesOf, output: () => output };
}

t.test('each request is one line with route, status, duration, caller, address and id', async (t) => {
  const { api, ada, token, linesOf, output } = await fixture(t);
  const { services } = api.api;
  const { publicId } = ada.users[0]!;
  const secrets = ['hunter2-the-password', 'a-token-in-a-body', 'someone-private@example.com', token, ada.cardId];
  const bug = async () => {
    // An error may quote what was sent. The user is looked up before the body is read, and again behind it.
    const byNumber = services.users.byNumber.bind(services.users);
    let lookups = 0;
    services.users.byNumber = async (id) => {
      if (++lookups === 1) return byNumber(id);
      throw new Error(`it failed for ${token} and hunter2-the-password`);
    };
    services.access.forget(ada.users[0]!.id);
    const path = `/api/cards/${ada.cardId}`;
    return api.request('PATCH', path, { token, body: { name: 'hunter2-the-password' } });
  };
  const login = { email: 'someone-private@example.com', password: 'hunter2-the-password' };
  const cases = [
    {
      send: () => api.request('GET', `/api/cards/${ada.cardId}`, { token }),
      line: { method: 'GET', route: '/api/cards/:id', status: 200, principal: `personal:${publicId}`, level: 30 },
    },
    {
      send: () => api.request('GET', `/api/cards/${ada.cardId}?email=someone-private@example.com`, { token }),
      line: { route: '/api/cards/:id', status: 400, principal: `personal:${publicId}` },
    },
    {
      send: () => api.request('GET', '/api/nothing/hunter2-the-password', { token }),
      line: { route: 'unknown', status: 404, principal: 'anonymous' },
    },
    {
      send: () => api.request('GET', '/api/me', { token: 'a-token-in-a-body' }),
      line: { route: '/api/me', status: 401, principal: 'anonymous' },
    },
    {
      send: () => api.request('POST', '/api/auth/login', { body: login }),
      line: { route: '/api/auth/login', status: 401, principal: 'anonymous' },
    },
    {
      send: () => api.request('POST', '/api/auth/refresh', { body: { refreshToken: 'a-token-in-a-body' } }),
      line: { route: '/api/auth/refresh', status: 401 },
    },
    { send: bug, line: { status: 500, level: 50, error: /it failed for \[masked\]/, msg: /^bug:/ } },
  ];
  for (const { send, line } of cases) {
    const reply = await send();
    const id = reply.headers.get('request-id')!;
    t.match(id, /^req_[0-9a-f-]{36}$/);
    const found = await linesOf(id);
    t.equal(found.length, 1, JSON.stringify(found));
    t.match(found[0], { requestId: id, address: '127.0.0.1', ms: /^[\d.]+$/, ...line });
    if (line.status === 500) t.match(reply.json.detail, id);
  }
  for (const secret of secrets) t.notOk(output().includes(secret), secret);
});

t.test('a valid request id of the client is kept, and any other is replaced', async (t) => {
  const { api, linesOf } = await fixture(t);
  const ask = async (headers: Record<string, string>) =>
    (await api.request('GET', '/api/me', { headers })).headers.get('request-id')!;
  for (const name of ['request-id', 'x-request-id']) {
    for (const id of [
      `${name}-1`,
      '01ARZ3NDEKTSV4RRFFQ69G5FAV',
      '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    ]) {
      t.equal(await ask({ [name]: id }), id);
      t.match(await linesOf(id), [{ requestId: id }]);
    }
    for (const id of ['', 'a b', 'a"b', 'x'.repeat(65), '4111111111111111', 'ä']) {
      t.match(await ask({ [name]: id }), /^req_/, id);
    }
  }
  const twice = await new Promise<unknown>((resolve) => {
    const request = httpRequest(`${api.url}/api/me`, { headers: { 'request-id': ['one', 'two'] } }, (response) => {
      response.resume();
      resolve(response.headers['request-id']);
    });
    request.end();
  });
  t.match(twice, /^req_/);
});

t.test('successes may be sampled, failures are all logged, and refusals up to a bound', async (t) => {
  const { api, token, lines } = await fixture(t, { REQUEST_LOG_SAMPLE: '0.25', RATE_LIMIT_ANONYMOUS_PER_MINUTE: '5' });
  const times = async (count: number, path: string, by?: string) => {
    for (let index = 0; index < count; index++) await api.request('GET', path, by === undefined ? {} : { token: by });
  };
  await times(40, '/api/me', token);
  await times(3, '/api/nothing', token);
  await until('all are logged', () => lines().filter(({ status }) => status === 404).length === 3);
  t.equal(lines().filter(({ status }) => status === 200).length, 10);
  await Promise.all(Array.from({ length: 300 }, () => times(1, '/api/me')));
  await times(1, '/api/nothing', token);
  await until('all are logged', () => lines().filter(({ status }) => status === 404).length === 4);
  const refused = lines().filter(({ status }) => status === 429).length;
  t.ok(refused >= 50 && refused < 290, `${refused} of more than 290`);
});

t.test('the level of successful requests can be set', async (t) => {
  const { api, token, lines } = await fixture(t, { REQUEST_LOG_LEVEL: 'debug' });
  await api.request('GET', '/api/me', { token });
  await api.request('GET', '/readyz');
  t.same(
    lines().filter(({ requestId }) => requestId !== undefined),
    [],
  );
});

t.test('a request whose client disconnects is logged as aborted', async (t) => {
  const { api, token, lines } = await fixture(t);
  const lock = await api.sql.reserve();
  await lock`begin`;
  await lock`lock table accounts in access exclusive mode`;
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
  socket.write(`GET /api/accounts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n\r\n`);
  await until('it is under way', () => api.api.services.tenants.tenants === 1);
  socket.destroy();
  await until('it is logged', () => lines().some(({ aborted }) => aborted === true));
  await lock`rollback`;
  lock.release();
  t.match(
    lines().filter(({ aborted }) => aborted === true),
    [{ route: '/api/accounts', method: 'GET', principal: /^personal:/ }],
  );
});
