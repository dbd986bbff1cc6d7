/** The way of slabs to a thread and back, with a real thread at the other end. */
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { nextCount, SlabOutcome, SlabQueue } from './slab-queue.js';

/** Runs what the queue brings: an even number is decided, an odd one threw. */
const serving = `
  const { workerData, parentPort } = require('node:worker_threads');
  import(workerData.module).then(({ SlabQueue, SlabOutcome }) => {
    const queue = new SlabQueue(workerData.buffer);
    const order = [];
    for (;;) {
      const { rings } = queue;
      const count = queue.waitingCount;
      if (count > 0) {
        for (let index = 0; index < count; index++) {
          const task = queue.task(index);
          order.push(task);
          queue.setOutcome(index, task % 2 === 0 ? SlabOutcome.decided : SlabOutcome.threw);
        }
        queue.finish(count);
      } else if (queue.hasEnded) break;
      else queue.wait(rings);
    }
    parentPort.postMessage(order);
  });
`;

t.test('a thread serves what is given, in order, and ends behind it', async (t) => {
  const queue = new SlabQueue(8);
  queue.begin();
  const worker = new Worker(serving, {
    eval: true,
    workerData: { module: new URL('./slab-queue.js', import.meta.url).href, buffer: queue.buffer },
  });
  const ended = new Promise<number[]>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  const count = 5_000;
  const outcomes: number[] = [];
  let taken = 0;
  const take = () => {
    for (const { doneCount } = queue; taken !== doneCount; taken = nextCount(taken))
      outcomes.push(queue.outcome(taken));
  };
  for (let task = 0; task < count; task++) {
    while (task - outcomes.length >= 8) {
      take();
      await new Promise(setImmediate);
    }
    queue.give(task);
    queue.ring();
  }
  queue.end();
  const order = await ended;
  take();
  t.same(
    order,
    Array.from({ length: count }, (_, task) => task),
  );
  t.same(
    outcomes,
    order.map((task) => (task % 2 === 0 ? SlabOutcome.decided : SlabOutcome.threw)),
  );
  await worker.terminate();
});

t.test('a queue that is full says so before anything is overwritten', async (t) => {
  const queue = new SlabQueue(2);
  queue.give(1);
  queue.give(2);
  t.throws(() => queue.give(3), /more slabs are away than lanes have/);
});

t.test('serving ends where the front ended it, and begins again', async (t) => {
  const queue = new SlabQueue(4);
  queue.begin();
  t.notOk(queue.hasEnded, 'nothing was given, and more may come');
  queue.give(1);
  queue.end();
  t.notOk(queue.hasEnded, 'a slab waits');
  queue.finish(1);
  t.ok(queue.hasEnded);
  queue.begin();
  t.notOk(queue.hasEnded);
});
