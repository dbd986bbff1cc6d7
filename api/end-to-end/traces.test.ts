/** Traces of a real engine and a real API, as a receiver of OTLP decodes them. */
import t, { type Test } from 'tap';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { databaseFor } from '../../deploy/testing/for-test.js';
import { OtlpReceiver } from '../../deploy/testing/otlp-receiver.js';
import { Client, nativePath } from '../../engine/testing/client.js';
import { until } from '../../engine/testing/engine-process.js';
import { Customer } from '../testing/customer.js';
import { startProcesses } from '../testing/engine-and-api.js';

t.setTimeout(120_000);

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';
const traceparent = `00-${traceId}-${spanId}-01`;

async function deployment(t: Test, changes: Readonly<Record<string, string>>) {
  const receiver = await OtlpReceiver.start();
  t.teardown(() => receiver.stop());
  const { url, sql } = await databaseFor(t);
  await seedAccounts(sql, { accounts: 4, cardsPerAccount: 1, balanceMinor: 100_000 });
  const env = { TRACE_URL: receiver.url, ...changes };
  const { place, engine, api } = await startProcesses(t, url, env, env);
  const client = new Client(place.authPort);
  t.teardown(() => client.close());
  const authorize = (id: string, header?: string) =>
    client.ask({
      path: nativePath,
      body: JSON.stringify({
        ...{ id, type: 'authorization', card: 'card_000001_1', amount: 1, currency: 'USD', channel: 'chip' },
        merchant: { id: 'm-1', name: 'Corner Store', mcc: '5411', country: 'US' },
      }),
      headers: { traceparent: header },
    });
  return { receiver, engine, api, authorize };
}

t.test('a message and a request are traced hop by hop, and continue the traces of their clients', async (t) => {
  const { receiver, api, authorize } = await deployment(t, { TRACE_EVERY: '1' });
  t.equal((await authorize('traced', traceparent)).status, 200);
  await until('the message arrives', () => receiver.spans.some(({ traceId: of }) => of === traceId));
  const ofMessage = receiver.spans.filter(({ traceId: of }) => of === traceId);
  const whole = ofMessage.find(({ parentId }) => parentId === spanId)!;
  t.match(whole, {
    service: 'engine',
    name: 'POST /v1/authorizations',
    kind: 2,
    attributes: { reason: 'approved', repeated: false },
    isError: false,
  });
  const parts = ofMessage.filter(({ parentId }) => parentId === whole.spanId);
  t.same(parts.map(({ name }) => name).sort(), ['answer', 'decide', 'wait']);
  for (const { name, startNs, endNs } of parts) {
    t.ok(startNs <= endNs && startNs >= whole.startNs && endNs <= whole.endNs, `${name} lies within the message`);
  }
  const now = BigInt(Date.now()) * 1_000_000n;
  t.ok(now - whole.startNs < 60_000_000_000n && whole.startNs <= now, 'its times are those of a wall clock');

  const customer = await Customer.register(api, 'personal');
  const account = await customer.accountId();
  receiver.spans.length = 0;
  const reply = await api.request('GET', `/api/accounts/${account}`, {
    token: customer.token,
    headers: { traceparent },
  });
  t.equal(reply.status, 200);
  await until(
    'API and engine have sent',
    () => new Set(receiver.spans.filter((of) => of.traceId === traceId).map(({ service }) => service)).size === 2,
  );
  const request = receiver.spans.find(({ parentId, service }) => parentId === spanId && service === 'api')!;
  t.match(request, { name: 'GET /api/accounts/:id', attributes: { 'http.response.status_code': 200 } });
  const below = receiver.spans.filter(({ parentId }) => parentId === request.spanId);
  t.ok(
    below.some(({ service, name }) => service === 'api' && name === 'engine'),
    'the API waited for the engine',
  );
  t.match(
    below.find(({ service }) => service === 'engine'),
    { name: 'GET /admin/accounts', kind: 2 },
  );
});

t.test('of requests that are not drawn those that fail are traced, and the others are not', async (t) => {
  const { receiver, engine, api, authorize } = await deployment(t, {
    TRACE_EVERY: '1000000',
    // On a busy machine nothing is slow.
    ...{ DEADLINE_MS: '3000', SLOW_AUTHORIZATION_MS: '3000', SLOW_RESPONSE_MS: '60000' },
  });
  for (let index = 0; index < 20; index++) t.equal((await authorize(`plain-${index}`, traceparent)).status, 200);
  const customer = await Customer.register(api, 'personal');
  // A stop sends what waits.
  await engine.kill('SIGTERM');
  t.equal((await api.request('GET', '/api/accounts', { token: customer.token })).status, 503);
  await until('the failure arrives', () => receiver.spans.some(({ name }) => name === 'GET /api/accounts'));
  const whole = receiver.spans.find(({ name }) => name === 'GET /api/accounts')!;
  t.match(whole, { service: 'api', isError: true, attributes: { 'http.response.status_code': 503 } });
  const parts = receiver.spans.filter(({ parentId }) => parentId === whole.spanId);
  t.ok(
    parts.some(({ name }) => name === 'engine'),
    'it waited for the engine',
  );
  t.same(
    receiver.spans.filter(({ traceId: of }) => of !== whole.traceId),
    [],
    'nothing else',
  );
});

t.test('every slow message is traced', async (t) => {
  const { receiver, authorize } = await deployment(t, { TRACE_EVERY: '1000000', SLOW_AUTHORIZATION_MS: '0.001' });
  for (let index = 0; index < 20; index++) await authorize(`slow-${index}`);
  const whole = () => receiver.spans.filter(({ name }) => name === 'POST /v1/authorizations');
  await until('all arrive', () => whole().length === 20);
  t.equal(new Set(whole().map(({ traceId: of }) => of)).size, 20, 'each has a trace of its own');
});
