/** A message that hops between two engines has one trace, with the spans of both. */
import t from 'tap';
import { OtlpReceiver } from '../../deploy/testing/otlp-receiver.js';
import { nativePath } from '../testing/client.js';
import { until } from '../testing/engine-process.js';
import { accounts, card, type Engine, severalEngines, untilSpread } from '../testing/several-engines.js';

t.setTimeout(120_000);

const parentId = '00f067aa0ba902b7';
const traceOf = (number: number) => number.toString(16).padStart(32, 'a');

/** A busy machine refuses a message that waited too long: it is sent again, as a processor does. */
const approveTraced = (engine: Engine, number: number) =>
  until(`message ${number} is approved`, async () => (await ask(engine, number)) === 200);

async function ask({ client }: Engine, number: number): Promise<number> {
  const { status } = await client.ask({
    path: nativePath,
    body: JSON.stringify({
      ...{
        id: `hop-${number}`,
        type: 'authorization',
        card: card(number),
        amount: 1,
        currency: 'USD',
        channel: 'chip',
      },
      merchant: { id: 'm-1', name: 'Corner Store', mcc: '5411', country: 'US' },
    }),
    headers: { traceparent: `00-${traceOf(number)}-${parentId}-01` },
  });
  return status;
}

t.test('the spans of the owner hang below those of the engine that was asked', async (t) => {
  const receiver = await OtlpReceiver.start();
  t.teardown(() => receiver.stop());
  const { start } = await severalEngines(t);
  // On a busy machine a hop takes longer than the usual deadline.
  const env = { TRACE_URL: receiver.url, TRACE_EVERY: '1', DEADLINE_MS: '3000', SLOW_AUTHORIZATION_MS: '3000' };
  const engines = await Promise.all([start(env), start(env)]);
  await untilSpread(engines);
  for (let number = 1; number <= accounts; number++) await approveTraced(engines[0]!, number);
  const wholes = () =>
    receiver.spans.filter(
      ({ name, attributes }) => name === `POST ${nativePath}` && attributes['reason'] === 'approved',
    );
  await until('the engine that was asked has sent its spans', () => wholes().length === accounts);
  const isHop = ({ spanId }: { readonly spanId: string }) =>
    receiver.spans.some((span) => span.parentId === spanId && span.name === 'hop');
  const hopped = wholes().filter(isHop);
  t.ok(hopped.length > 0 && hopped.length < accounts, `${hopped.length} messages hop`);
  const owners = () =>
    receiver.spans.filter(({ name, attributes }) => name === 'peer native' && attributes['reason'] === 'approved');
  await until('the owner has sent its spans', () => owners().length >= hopped.length);
  for (const whole of hopped) {
    const [owner, ...more] = receiver.spans.filter(
      (span) => span.parentId === whole.spanId && span.name === 'peer native',
    );
    t.same(more, [], 'one owner');
    t.equal(owner!.traceId, whole.traceId);
    t.not(owner!.instance, whole.instance, 'another engine');
    t.match(owner, { service: 'engine', kind: 2, attributes: { protocol: 'native', reason: 'approved' } });
    const parts = receiver.spans.filter((span) => span.parentId === owner!.spanId);
    t.same(parts.map(({ name }) => name).sort(), ['answer', 'decide', 'wait']);
    t.equal(whole.parentId, parentId, 'the client began the trace');
  }
  t.equal(owners().length, hopped.length, 'a message that does not hop has no span of another engine');
});

t.test('an engine without traces answers messages of one that has them', async (t) => {
  const receiver = await OtlpReceiver.start();
  t.teardown(() => receiver.stop());
  const { start } = await severalEngines(t);
  const deadline = { DEADLINE_MS: '3000', SLOW_AUTHORIZATION_MS: '3000' };
  const engines = await Promise.all([
    start({ ...deadline, TRACE_URL: receiver.url, TRACE_EVERY: '1' }),
    start(deadline),
  ]);
  await untilSpread(engines);
  for (let number = 1; number <= accounts; number++) await approveTraced(engines[0]!, number);
  await until('the spans arrive', () => receiver.spans.some(({ name }) => name === 'hop'));
  t.same(
    receiver.spans.filter(({ name }) => name === 'peer native'),
    [],
  );
});
