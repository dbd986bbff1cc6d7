/**
 * Entry point of a syncer's thread with JOURNAL=postgres (`new Worker`), one per partition. First it makes this process
 * the partition's owner and its copy of the journal; then it takes the frames that the partition fills, and commits
 * one after the other. Between frames it sleeps in Atomics.wait: its socket and its timers only run while Postgres is
 * asked. The front ends it with terminate().
 */
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { FrameExchange, type FramePlan } from '../../engine/exchange/frame-exchange.js';
import { Progress } from '../../engine/exchange/progress.js';
import type { SyncerEvent, SyncerWorkerData, TakeOver } from '../../engine/exchange/syncer-messages.js';
import { FrameLog, PartitionFencedError } from './frame-log.js';
import { type FrameTarget, writeFrame } from './frame-sink.js';
import { copyJournal } from './journal-copy.js';
import { frameHeaderBytes } from './segment.js';
import { segmentName } from './segment-files.js';
import type { FileId } from './storage.js';
import { openStorage } from './storage-module.js';

const data = workerData as SyncerWorkerData;
const { partition, partitionCount, postgresJournal } = data;
if (postgresJournal === null) throw new Error('postgres-sync.worker.js is for JOURNAL=postgres');
const exchange = new FrameExchange(data.exchange);
const progress = new Progress(data.progress).partitions[partition]!;
const directory = join(data.journalDirectory, `p${partition}`);
const storage = await openStorage(true, data.storageModule, data.storageControl);
const target: FrameTarget = { storage, partition, progress, nowMs: () => performance.now() };
const log = new FrameLog({
  ...postgresJournal,
  partition,
  onTrouble: (message, attempt) => say({ kind: 'trouble', message, attempt }),
  settledSequence: () => Math.min(progress.settledSequence, progress.finalSequence),
});

async function takeOver({ epoch, settledSequence }: TakeOver): Promise<void> {
  const nextSequence = await log.takeOver(epoch, Date.now());
  const place = { storage, directory, partition, partitionCount };
  const options = { ...place, sizes: data.journalSizes, progress, settledSequence, epoch };
  const frames = await copyJournal(options, log, nextSequence);
  say({ kind: 'tookOver', position: log.position, frames });
}

async function commitFrames(): Promise<never> {
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
  let file: FileId = -1;
  let fileNumber = 0;
  for (;;) {
    const index = exchange.next();
    exchange.readPlan(index, plan);
    const frame = exchange.frames[index];
    const startedAtMs = performance.now();
    await log.append(plan, frame.subarray(frameHeaderBytes, plan.recordsEnd));
    const committedMs = performance.now() - startedAtMs;
    if (plan.segmentNumber !== fileNumber) {
      if (file >= 0) storage.close(file);
      file = storage.open(join(directory, segmentName(plan.segmentNumber)));
      fileNumber = plan.segmentNumber;
    }
    exchange.chain = writeFrame(target, file, frame, views[index]!, plan, exchange.chain, committedMs);
    exchange.finish();
    if (exchange.takeNotice()) say(durable);
  }
}

function say(event: SyncerEvent): void {
  parentPort?.postMessage(event);
}

parentPort?.once('message', (order: TakeOver) => {
  takeOver(order)
    .then(commitFrames)
    .catch((error: unknown) => {
      exchange.fail();
      const message = error instanceof Error ? error.message : String(error);
      say({ kind: 'failed', message, fenced: error instanceof PartitionFencedError });
    });
});
