/**
 * Entry point of a syncer's thread (`new Worker`), one per partition. It takes the frames that the partition fills,
 * writes and syncs one after the other, and notifies the front when more is durable. It owns no socket and no timer,
 * and sleeps in Atomics.wait. The front ends it with terminate().
 *
 * It opens the segments itself: a file number of the partition's thread would be closed, and reused for another
 * file, when that thread dies.
 */
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { FrameExchange, type FramePlan } from '../../engine/exchange/frame-exchange.js';
import { Progress } from '../../engine/exchange/progress.js';
import type { SyncerEvent, SyncerWorkerData } from '../../engine/exchange/syncer-messages.js';
import { isOutOfDescriptors } from '../../platform/process/descriptors.js';
import { nameThread } from '../../platform/process/thread-times.js';
import { type FrameTarget, writeFrame } from './frame-sink.js';
import { segmentName } from './segment-files.js';
import type { FileId } from './storage.js';
import { openStorage } from './storage-module.js';

const data = workerData as SyncerWorkerData;
nameThread(`syncer-${data.partition}`);
const exchange = new FrameExchange(data.exchange);
const directory = join(data.journalDirectory, `p${data.partition}`);
const target: FrameTarget = {
  storage: await openStorage(false, data.storageModule, data.storageControl),
  partition: data.partition,
  progress: new Progress(data.progress).partitions[data.partition]!,
  nowMs: () => performance.now(),
};
const views = exchange.frames.map((frame) => new DataView(frame.buffer, frame.byteOffset, frame.byteLength));
const plan: FramePlan = {
  segmentNumber: 0,
  offset: 0,
  recordsEnd: 0,
  recordCount: 0,
  firstSequence: 0,
  atMs: 0,
  epoch: 0,
};
const durable: SyncerEvent = { kind: 'durable' };

/** Longest pause between two tries to open a segment without a free file descriptor. */
const openRetryMsMax = 50;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

let file: FileId = -1;
let fileNumber = 0;

function fileOf(segmentNumber: number): FileId {
  if (segmentNumber === fileNumber) return file;
  if (file >= 0) target.storage.close(file);
  file = -1;
  file = openSegment(join(directory, segmentName(segmentNumber)));
  fileNumber = segmentNumber;
  return file;
}

/** Waits for a free file descriptor: nothing was written, and what waits for this frame has a deadline at the front. */
function openSegment(path: string): FileId {
  for (let attempt = 1; ; attempt++) {
    try {
      return target.storage.open(path);
    } catch (error) {
      if (!isOutOfDescriptors(error)) throw error;
      say({ kind: 'trouble', message: (error as Error).message, attempt });
      Atomics.wait(sleeper, 0, 0, Math.min(openRetryMsMax, attempt));
    }
  }
}

function say(event: SyncerEvent): void {
  parentPort?.postMessage(event);
}

try {
  for (;;) {
    const index = exchange.next();
    exchange.readPlan(index, plan);
    exchange.chain = writeFrame(
      target,
      fileOf(plan.segmentNumber),
      exchange.frames[index],
      views[index]!,
      plan,
      exchange.chain,
    );
    exchange.finish();
    if (exchange.takeNotice()) say(durable);
  }
} catch (error) {
  // A failed sync is never tried again: what is on the disk is unknown, and only a start that reads it may go on.
  exchange.fail();
  say({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
}
