/**
 * The syncer's side of frame-exchange.test.ts, on a thread of its own. It takes frames, looks at every byte twice with
 * a pause in between, and reports what it saw. Ends with the frame whose last record is the one asked for.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { FrameExchange, type FramePlan } from '../../engine/exchange/frame-exchange.js';

const { buffer, lastSequence } = workerData as { buffer: SharedArrayBuffer; lastSequence: number };
const exchange = new FrameExchange(buffer);
const plan: FramePlan = {
  segmentNumber: 0,
  offset: 0,
  recordsEnd: 0,
  recordCount: 0,
  firstSequence: 0,
  atMs: 0,
  epoch: 0,
};

let expected = 1;
let frames = 0;
let shared = 0;
const wrong: string[] = [];

/** Records are single bytes: the low byte of their sequence. */
function look(frame: Uint8Array): void {
  for (let index = 0; index < plan.recordCount; index++) {
    const value = (plan.firstSequence + index) & 255;
    if (frame[index] !== value && wrong.length < 5) {
      wrong.push(`record ${plan.firstSequence + index} holds ${frame[index]}`);
    }
  }
}

while (expected <= lastSequence) {
  const index = exchange.next();
  exchange.readPlan(index, plan);
  if (plan.firstSequence !== expected) wrong.push(`frame begins at ${plan.firstSequence}, not ${expected}`);
  look(exchange.frames[index]);
  for (let spin = frames % 500; spin > 0; spin--) Atomics.load(new Int32Array(buffer, 0, 1), 0);
  look(exchange.frames[index]);
  if (plan.atMs > 1) shared++;
  expected = plan.firstSequence + plan.recordCount;
  exchange.chain = expected;
  frames++;
  exchange.finish();
  if (wrong.length > 4) break;
}
parentPort?.postMessage({ frames, shared, wrong, expected });
