/** Two threads and two frames: nothing is lost, announced twice, or changed while the other side has it. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { ExchangeFailedError, FrameExchange, type FramePlan } from './frame-exchange.js';

const frameBytes = 1024;
const emptyPlan: FramePlan = {
  ...{ segmentNumber: 1, offset: 0, recordsEnd: 0, recordCount: 1, firstSequence: 1, atMs: 0, epoch: 1 },
};

t.test('the worker and the syncer exchange one frame at a time', async (t) => {
  const exchange = new FrameExchange(FrameExchange.create(frameBytes));
  t.equal(exchange.begin(false), true, 'an empty frame is open');
  exchange.commit(0, emptyPlan);
  t.equal(exchange.next(), 0, 'the syncer has the first frame');
  t.equal(exchange.begin(true), false, 'the second frame is open');
  exchange.commit(1, { ...emptyPlan, firstSequence: 2 });
  t.equal(exchange.begin(true), true, 'the second frame waits and takes more batches');
  exchange.release(1, true);
  const plan = { ...emptyPlan };
  exchange.finish();
  t.equal(exchange.next(), 1, 'the second frame leaves once the syncer is free');
  exchange.readPlan(1, plan);
  t.equal(plan.firstSequence, 2);
  t.equal(exchange.begin(true), false);
  exchange.finish();
  exchange.release(0, false);
  exchange.drain();
  t.equal(exchange.begin(false), true);
  exchange.release(0, false);
  t.throws(() => exchange.commit(0, emptyPlan), 'a frame that is not being filled cannot be given away');
});

t.test('a frame that fills while the disk becomes free leaves with its last batch', async (t) => {
  const exchange = new FrameExchange(FrameExchange.create(frameBytes));
  exchange.begin(false);
  exchange.commit(0, emptyPlan);
  exchange.begin(true);
  exchange.commit(1, emptyPlan);
  t.equal(exchange.begin(true), true);
  exchange.finish();
  exchange.commit(1, { ...emptyPlan, recordCount: 7 });
  const index = exchange.next();
  const plan = { ...emptyPlan };
  exchange.readPlan(index, plan);
  t.same([index, plan.recordCount], [1, 7]);
});

t.test('after a failure neither thread continues', async (t) => {
  const exchange = new FrameExchange(FrameExchange.create(frameBytes));
  exchange.begin(false);
  exchange.commit(0, emptyPlan);
  exchange.fail();
  t.throws(() => exchange.begin(true), ExchangeFailedError);
  t.throws(() => exchange.drain(), ExchangeFailedError);
});

t.test('the front gets one message until it acknowledges', async (t) => {
  const exchange = new FrameExchange(FrameExchange.create(frameBytes));
  t.same([exchange.takeNotice(), exchange.takeNotice()], [true, false]);
  exchange.acknowledge();
  t.equal(exchange.takeNotice(), true);
});

t.test('two threads at full speed exchange every frame in order', async (t) => {
  const batches = 20_000;
  const exchange = new FrameExchange(FrameExchange.create(frameBytes));
  // Batches of one to three records: the last sequence is known in advance.
  const sizes = Array.from({ length: batches }, (_, number) => 1 + (number % 3));
  const lastSequence = sizes.reduce((sum, size) => sum + size, 0);
  const worker = new Worker(new URL('../../workers/testing/exchange-syncer.js', import.meta.url), {
    workerData: { buffer: exchange.buffer, lastSequence },
  });
  const reported = once(worker, 'message');
  await once(worker, 'online');
  let open: 0 | 1 = 0;
  let count = 0;
  let inFrame = 0;
  let sequence = 0;
  for (const [number, size] of sizes.entries()) {
    let kept = exchange.begin(count > 0);
    if (kept && count + size > frameBytes) {
      exchange.release(open, true);
      exchange.drain();
      kept = false;
      exchange.begin(false);
    }
    if (!kept && count > 0) {
      open = open === 0 ? 1 : 0;
      count = 0;
      inFrame = 0;
    }
    // Some batches leave nothing behind.
    if (number % 17 === 0) {
      exchange.release(open, count > 0);
      kept = exchange.begin(count > 0);
      if (!kept && count > 0) {
        open = open === 0 ? 1 : 0;
        count = 0;
        inFrame = 0;
      }
    }
    for (let index = 0; index < size; index++) exchange.frames[open][count + index] = (sequence + index + 1) & 255;
    count += size;
    sequence += size;
    inFrame++;
    exchange.commit(open, {
      ...emptyPlan,
      recordCount: count,
      firstSequence: sequence - count + 1,
      atMs: inFrame,
    });
  }
  exchange.drain();
  const [report] = (await reported) as [{ frames: number; shared: number; wrong: string[]; expected: number }];
  await worker.terminate();
  t.same(report.wrong, []);
  t.equal(report.expected, lastSequence + 1);
  t.equal(exchange.chain, lastSequence + 1);
  t.ok(report.shared > 0, `${report.shared} of ${report.frames} frames held more than one batch`);
});
