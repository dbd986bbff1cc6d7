/** CPU time of real threads, as Linux counts it. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { until } from '../../engine/testing/engine-process.js';
import { Metrics } from '../metrics/metrics.js';
import { measureThreads, readThreadTimes } from './thread-times.js';

const modulePath = new URL('./thread-times.js', import.meta.url).href;

/** A thread that has a name, and works without an end. */
async function busyThread(name: string): Promise<Worker> {
  const code = `import(${JSON.stringify(modulePath)}).then(({ nameThread }) => {
    nameThread(${JSON.stringify(name)});
    require('node:worker_threads').parentPort.postMessage(null);
    for (;;);
  });`;
  const worker = new Worker(code, { eval: true });
  await once(worker, 'message');
  return worker;
}

if (process.platform === 'linux') {
  t.test('the time of a thread is counted under its name, and beside that of the main thread', async (t) => {
    const worker = await busyThread('busy-1');
    t.teardown(() => worker.terminate());
    await until('the thread has worked', () => (readThreadTimes()?.get('busy-1') ?? 0) >= 0.2);
    const metrics = new Metrics();
    measureThreads(metrics, 'front');
    const { text } = await metrics.scrape();
    const seconds = (thread: string) =>
      Number(new RegExp(`^thread_cpu_seconds_total\\{thread="${thread}"\\} (\\S+)$`, 'm').exec(text)?.[1]);
    t.ok(seconds('busy-1') >= 0.2);
    t.ok(seconds('front') > 0);
    const { user, system } = process.cpuUsage();
    const sum = seconds('busy-1') + seconds('front') + seconds('other');
    t.ok(sum > 0.2 && sum <= (user + system) / 1e6 + 0.1, 'together they are the time of the process');
  });

  t.test('the time of a thread that has ended is not lost', async (t) => {
    const worker = await busyThread('busy-2');
    await until('the thread has worked', () => (readThreadTimes()?.get('busy-2') ?? 0) >= 0.2);
    const metrics = new Metrics();
    measureThreads(metrics, 'front');
    const other = async () =>
      Number(/^thread_cpu_seconds_total\{thread="other"\} (\S+)$/m.exec((await metrics.scrape()).text)?.[1]);
    const before = await other();
    await worker.terminate();
    await until('its time is among the others', async () => (await other()) >= before + 0.15);
    t.notOk(readThreadTimes()?.has('busy-2'));
  });

  t.test('a long name is cut, and a name with parentheses is read', async (t) => {
    const worker = await busyThread('a) b (c');
    const other = await busyThread('longer-than-the-kernel-keeps');
    t.teardown(() => Promise.all([worker.terminate(), other.terminate()]));
    const names = [...readThreadTimes()!.keys()];
    t.ok(names.includes('a) b (c'));
    t.ok(names.includes('longer-than'));
  });
} else {
  t.test('a system without the files has no times of threads', async (t) => {
    t.equal(readThreadTimes(), null);
  });
}
