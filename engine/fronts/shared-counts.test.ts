/** What front threads share: bounds, steps of a stop and the clock. Each end is an object of its own. */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { SharedClock, SystemClock } from '../clock.js';
import { MessageCounts } from '../ops/message-counts.js';
import { SharedAdmission } from './shared-admission.js';
import { SharedClosing } from './shared-closing.js';
import { SharedGate } from './shared-gate.js';

const log = { warn: () => undefined };

t.test('the bound on messages in flight holds over all threads', async (t) => {
  const main = new SharedAdmission(3);
  const fronts = [new SharedAdmission(3, main.memory), new SharedAdmission(3, main.memory)] as const;
  t.same([main.enter(), fronts[0].enter(), fronts[1].enter()], [true, true, true]);
  t.same([main.enter(), fronts[0].enter(), fronts[1].enter()], [false, false, false]);
  t.equal(main.count, 3, 'a refused message is not counted');
  fronts[0].leave();
  t.equal(fronts[1].enter(), true, 'a place that one thread leaves is free for another');
});

t.test('the recent peak fades as it does in one thread', async (t) => {
  const main = new SharedAdmission(100);
  const front = new SharedAdmission(100, main.memory);
  for (let index = 0; index < 20; index++) front.enter();
  for (let index = 0; index < 20; index++) front.leave();
  t.same([main.recentPeak(), main.recentPeak(), main.recentPeak()], [20, 18, 16]);
});

t.test('the bounds on connections hold over all threads', async (t) => {
  const memory = SharedGate.create();
  const bounds = { max: 4, perAddressMax: 2 };
  const [main, first, second] = [1, 2, 3].map(() => new SharedGate('auth', bounds, log, memory)) as [
    SharedGate,
    SharedGate,
    SharedGate,
  ];
  t.same([first.enter('10.0.0.1'), second.enter('10.0.0.1')], [true, true]);
  t.equal(first.enter('10.0.0.1'), false, 'the third connection of the address');
  first.leave();
  second.forgetAddress('10.0.0.1');
  t.equal(first.enter('10.0.0.1'), true, 'a connection that has proved itself leaves its place');
  t.equal(second.enter('10.0.0.2'), true);
  t.equal(second.enter('10.0.0.3'), false, 'the fifth connection of the port');
  t.same([main.open, main.refusedByPort, main.refusedByAddress], [5, 1, 1]);
});

t.test('what the main thread says of a stop is so in the front threads at once', async (t) => {
  const main = new SharedClosing();
  const front = new SharedClosing(main.memory);
  t.same([front.isLeaving, front.isRefusing], [false, false]);
  main.isLeaving = true;
  t.same([front.isLeaving, front.isRefusing], [true, false]);
  main.isRefusing = true;
  t.same([front.isLeaving, front.isRefusing], [true, true]);
});

t.test('the clock of another thread reads the same time', async (t) => {
  const clock = new SystemClock();
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(workerData.module).then(({ SharedClock }) => {
      const clock = new SharedClock(workerData.share);
      parentPort.on('message', () => parentPort.postMessage(clock.nowMs()));
      parentPort.postMessage(0);
    });`;
  const workerData = { module: new URL('../clock.js', import.meta.url).href, share: clock.share() };
  const worker = new Worker(code, { eval: true, workerData });
  t.teardown(() => worker.terminate());
  await once(worker, 'message');
  for (let round = 0; round < 20; round++) {
    const beforeMs = clock.nowMs();
    worker.postMessage(null);
    const [theirsMs] = (await once(worker, 'message')) as [number];
    // Between the two readings here, but for what two origins were read apart.
    const roundingMs = 0.2;
    t.ok(theirsMs >= beforeMs - roundingMs && theirsMs <= clock.nowMs() + roundingMs);
  }
  t.ok(new SharedClock(clock.share()).nowMs() >= clock.nowMs() - 1, 'also in the same thread');
});

t.test('counts of another thread are read where it counts', async (t) => {
  const front = new MessageCounts();
  const main = new MessageCounts(front.memory);
  front.decided(0, 3);
  front.refused(1);
  front.called(1, 200);
  front.add(0);
  t.same([main.decisions[0], main.refusals[1], main.singles[0], main.total.count, main.total.sum], [1, 1, 1, 1, 3]);
});
