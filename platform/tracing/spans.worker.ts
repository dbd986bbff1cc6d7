/** The thread that makes spans and sends them: a batch of them takes milliseconds, which no request must wait for. */
import { parentPort, workerData } from 'node:worker_threads';
import { openExporter } from './exporter.js';
import type { SpanMessage, SpanThreadData } from './span-thread.js';

const { url, service } = workerData as SpanThreadData;
const exporter = openExporter(url, service);

parentPort!.on('message', async (spans: SpanMessage) => {
  if (spans === null) {
    await exporter.close().catch(() => undefined);
    parentPort!.close();
    return;
  }
  for (const [ids, span] of spans) exporter.add(ids, span);
  parentPort!.postMessage(spans.length);
});
