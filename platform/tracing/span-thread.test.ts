/** What becomes of spans that no receiver takes, with a real thread and a real receiver. */
import t from 'tap';
import { OtlpReceiver } from '../../deploy/testing/otlp-receiver.js';
import { until } from '../../engine/testing/engine-process.js';
import { openExporter } from './exporter.js';
import { SpanThread } from './span-thread.js';
import type { SpanTimes } from './traces.js';

t.setTimeout(60_000);

const ids = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', parentId: '' };
const span: SpanTimes = {
  ...{ name: 'a', kind: 'server', startMs: 1000, endMs: 1001, attributes: {}, failure: '' },
};

t.test('spans that the receiver refuses are counted', async (t) => {
  const receiver = await OtlpReceiver.start(400);
  t.teardown(() => receiver.stop());
  const thread = new SpanThread({ url: receiver.url, service: 'test', instance: 'one' });
  t.teardown(() => thread.close());
  for (let count = 0; count < 3; count++) thread.add(ids, span);
  await until('the refusal is known', () => thread.dropped.receiver === 3);
  t.same(thread.dropped, { thread: 0, queue: 0, receiver: 3 });
});

t.test('spans beyond the queue of the exporter are counted, and those before them arrive', async (t) => {
  const receiver = await OtlpReceiver.start();
  t.teardown(() => receiver.stop());
  const exporter = openExporter(receiver.url, 'test', 'one');
  // A batch of 512 is on its way at once, and 8192 wait.
  for (let count = 0; count < 9000; count++) exporter.add(ids, span);
  t.same(exporter.lost, { overflowed: 9000 - 8192 - 512, unsent: 0 });
  await exporter.close();
  t.equal(receiver.spans.length + exporter.lost.unsent, 8192 + 512, 'every span arrives or is counted');
});
