/** The thread that makes spans and sends them: a batch of them takes milliseconds, which no request must wait for. */
import { parentPort, workerData } from 'node:worker_threads';
import { nameThread } from '../process/thread-times.js';
import { openExporter } from './exporter.js';
import type { SpanMessage, SpanReport, SpanThreadData } from './span-thread.js';

const { url, service, instance } = workerData as SpanThreadData;
nameThread('traces');
const exporter = openExporter(url, service, instance);

function report(taken: number): void {
  const { overflowed, unsent } = exporter.lost;
  parentPort!.postMessage({ taken, overflowed, unsent } satisfies SpanReport);
}

/** A batch fails long after it was taken. */
let reported = 0;
const reportEveryMs = 1000;
setInterval(() => {
  const lost = exporter.lost.overflowed + exporter.lost.unsent;
  if (lost === reported) return;
  reported = lost;
  report(0);
}, reportEveryMs).unref();

parentPort!.on('message', async (spans: SpanMessage) => {
  if (spans === null) {
    await exporter.close().catch(() => undefined);
    parentPort!.close();
    return;
  }
  for (const [ids, span] of spans) exporter.add(ids, span);
  report(spans.length);
});
