/**
 * Entry point of a thread that hosts partitions: a Piscina pool of one thread runs this file. With a local journal it
 * hosts one.
 *
 * The thread owns no socket and no timer: between slabs and tasks it sleeps in Atomics.wait, where neither would run.
 * It writes small frames of a local journal itself, see ThreadFrameSink.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Doorbell } from '../../engine/exchange/doorbell.js';
import {
  type PartitionEvent,
  type PartitionResult,
  type PartitionTask,
  type PartitionThreadData,
  partitionOfTask,
  type SlabResult,
  slabOfTask,
} from '../../engine/exchange/partition-task.js';
import { Progress } from '../../engine/exchange/progress.js';
import { SlabOutcome, SlabQueue } from '../../engine/exchange/slab-queue.js';
import { loadSchemaCompiler } from '../../engine/protocols/reading/schema.js';
import { createCodecs } from '../../engine/protocols/registry.js';
import { nameThread } from '../../platform/process/thread-times.js';
import { openStorage } from '../journal/storage-module.js';
import { HostedPartition, type PartitionThread } from './hosted-partition.js';
import { WarmUp } from './warm-up.js';

const data = workerData as PartitionThreadData;
nameThread(`worker-${data.threadNumber}`);
const thread: PartitionThread = {
  data,
  storage: await openStorage(data.bell !== null, data.storageModule, data.storageControl),
  bell: data.bell === null ? null : new Doorbell(data.bell),
  codecs: createCodecs(data.wire),
  progress: new Progress(data.progress),
  journalFailed: (partition, message) => say({ kind: 'journalFailed', partition, message }),
};
const partitions = new Map<number, HostedPartition>();
let warming: WarmUp | null = null;

/** Piscina's entry. */
export default function run(task: PartitionTask): PartitionResult {
  if (!('kind' in task)) return runSlabs(task);
  if (task.kind === 'warmUp') return warmUp();
  if (task.kind === 'serve') return serve(new SlabQueue(task.queue));
  const { partition } = task;
  switch (task.kind) {
    case 'make':
      partitions.get(partition)?.close();
      partitions.set(partition, new HostedPartition(thread, task));
      loadSchemaCompiler();
      return true;
    case 'drop':
      partitions.get(partition)?.close();
      return partitions.delete(partition);
    default:
      return hosted(partition).run(task);
  }
}

function warmUp(): boolean {
  warming ??= new WarmUp(data, thread.codecs);
  const isWarm = warming.step();
  if (isWarm) warming = null;
  return isWarm;
}

/** Runs what is in the queue until the front ends it. */
function serve(queue: SlabQueue): true {
  for (;;) {
    const { rings } = queue;
    if (queue.waitingCount > 0) serveWaiting(queue);
    else if (queue.hasEnded) return true;
    else queue.wait(rings);
  }
}

/** The syncer hears of their frames at once. The front hears of them here, or behind the syncer's message. */
function serveWaiting(queue: SlabQueue): void {
  const count = queue.waitingCount;
  let isNews = false;
  served.length = 0;
  thread.bell?.hold();
  try {
    for (let index = 0; index < count; index++) {
      const task = queue.task(index);
      const result = runSlab(task, index + 1 < count);
      queue.setOutcome(index, result === true ? SlabOutcome.decided : failedOutcome(result));
      if (result === true) served.push(task);
      else isNews = true;
      if (typeof result !== 'boolean') say({ kind: 'threw', message: result.message });
    }
  } finally {
    thread.bell?.release();
  }
  queue.finish(count);
  // Behind finish(): what becomes durable from here on, the syncer says to a front that finds the slab done.
  for (const task of served) isNews ||= hosted(partitionOfTask(task)).isNews(slabOfTask(task));
  if (isNews) say(null);
}

function say(event: PartitionEvent): void {
  parentPort!.postMessage(event);
}

const served: number[] = [];

function failedOutcome(result: false | Error): SlabOutcome {
  return result === false ? SlabOutcome.journalFailed : SlabOutcome.threw;
}

/** The syncer hears of the frames of all of them at once, and commits them together. */
function runSlabs(tasks: readonly number[]): SlabResult[] {
  thread.bell?.hold();
  try {
    return tasks.map((task, index) => runSlab(task, index + 1 < tasks.length));
  } finally {
    thread.bell?.release();
  }
}

/** Other partitions go on when one throws. */
function runSlab(task: number, isAwaited: boolean): SlabResult {
  try {
    return hosted(partitionOfTask(task)).runSlab(slabOfTask(task), isAwaited);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** @throws where the partition was on a thread that ended, and this one is its successor */
function hosted(partition: number): HostedPartition {
  const found = partitions.get(partition);
  if (found === undefined) throw new Error(`partition ${partition} is not on this thread: the one before it ended`);
  return found;
}
