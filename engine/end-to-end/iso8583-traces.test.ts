/** Messages on a link of ISO 8583 have spans, whether their engine decides them or refuses them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { findFreePort } from '../../deploy/free-port.js';
import { folderFor } from '../../deploy/testing/for-test.js';
import { OtlpReceiver } from '../../deploy/testing/otlp-receiver.js';
import { startTestEngine } from '../testing/engine-inside.js';
import { until } from '../testing/engine-process.js';
import { IsoClient, testFraming, testPackager } from '../testing/iso-client.js';
import { addCard, isoMessage as message, panOf, reversalOf } from '../testing/iso-messages.js';

t.test('a message of ISO 8583 has a span with its link, its reason and its hops', async (t) => {
  const receiver = await OtlpReceiver.start();
  t.teardown(() => receiver.stop());
  const port = await findFreePort();
  const file = join(folderFor(t), 'links.json');
  writeFileSync(file, JSON.stringify([{ name: 'network', port, packager: testPackager, framing: testFraming }]));
  const changes = {
    ...{ ISO8583_LINKS: file, DEADLINE_MS: '1500', SLOW_AUTHORIZATION_MS: '1500' },
    ...{ TRACE_URL: receiver.url, TRACE_EVERY: '1' },
  };
  const engine = await startTestEngine(t, { accounts: 1, cardsPerAccount: 1, balanceMinor: 10_000, changes });
  const pan = panOf(1);
  await addCard(engine.sql, 1, pan);
  const client = await IsoClient.open({ port });
  t.teardown(() => client.close());
  const asked = message('0100', pan, 8000);
  const answer = await client.ask(asked);
  t.equal(answer[39], '00');
  t.equal((await client.ask(message('0100', pan, 8000)))[39], '51');
  t.equal((await client.ask(reversalOf('0400', asked)))[39], '00');

  const wholes = () => receiver.spans.filter(({ name }) => name.startsWith('iso8583 '));
  await until('the spans arrive', () => wholes().length === 3);
  t.match(
    wholes().map(({ name, attributes: { reason } }) => `${name} ${reason}`),
    ['iso8583 authorization approved', 'iso8583 authorization insufficient_funds', 'iso8583 reversal approved'],
  );
  for (const whole of wholes()) {
    t.match(whole, { service: 'engine', kind: 2, parentId: '', attributes: { protocol: 'iso8583', link: 'network' } });
    t.notOk(whole.isError);
    const parts = receiver.spans.filter(({ parentId }) => parentId === whole.spanId);
    t.same(parts.map(({ name }) => name).sort(), ['answer', 'decide', 'wait']);
    t.ok(parts.every(({ startNs, endNs }) => whole.startNs <= startNs && startNs <= endNs && endNs <= whole.endNs));
  }
  t.notMatch(JSON.stringify(receiver.spans.map(({ attributes }) => attributes)), new RegExp(pan), 'no card number');
});
