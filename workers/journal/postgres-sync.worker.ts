/**
 * Entry point of the syncer's thread with JOURNAL=postgres (`new Worker`), one per engine. For each partition that it
 * is given it makes this process the owner, and its copy of the journal. Then it takes the frames that are ready, of
 * all partitions at once, and commits them in one statement. A frame that has not got its place is looked at alone,
 * beside the next commit, and so is what else a single partition waits for.
 *
 * With nothing under way the thread sleeps in Atomics.wait: its sockets and its timers only run while Postgres is
 * asked. The front ends it with terminate().
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { Doorbell, Notices } from '../../engine/exchange/doorbell.js';
import { Progress } from '../../engine/exchange/progress.js';
import type { SharedSyncerEvent, SharedSyncerWorkerData, SyncerOrder } from '../../engine/exchange/syncer-messages.js';
import { nameThread } from '../../platform/process/thread-times.js';
import { FrameDatabase, isStaleEpoch, type PlacedFrame } from './frame-database.js';
import { newestFrames, PartitionFencedError } from './frame-log.js';
import { openStorage } from './storage-module.js';
import { SyncedPartition } from './synced-partition.js';

/** Frames of one commit: a statement for each number of them is prepared. */
const framesMax = 16;
/** They stand in memory as text meanwhile. */
const recordBytesMax = 4 * 1024 * 1024;
/** Before a frame whose place was said to be taken, and is free, is placed again. */
const againPauseMs = 20;

const data = workerData as SharedSyncerWorkerData;
nameThread('syncer');
const port = parentPort!;
const bell = new Doorbell(data.bell);
const notices = new Notices(data.notices);
const progress = new Progress(data.progress);
const storage = await openStorage(true, data.storageModule, data.storageControl);
const database = new FrameDatabase({
  databaseUrl: data.postgresJournal.databaseUrl,
  onTrouble: (message, attempt) => say({ kind: 'trouble', message, attempt }),
});
const durable: SharedSyncerEvent = { kind: 'durable' };
/** By the number of their place, in the order in which their turn comes. */
const partitions = new Map<number, SyncedPartition>();
/** Work of single partitions that is under way beside the commits. */
let besides = 0;

function say(event: SharedSyncerEvent): void {
  port.postMessage(event);
}

function take(order: SyncerOrder): void {
  if (order.kind === 'prepare') {
    const { partition } = order;
    besides++;
    void database
      .prepare((sql) => newestFrames(sql, partition, Number.MAX_SAFE_INTEGER), partitions.size === 0)
      .finally(() => {
        besides--;
        bell.ring();
      });
    return;
  }
  const { place } = order;
  if (order.kind === 'leave') {
    partitions.get(place)?.end();
    partitions.delete(place);
    say({ kind: 'left', place });
    return;
  }
  const synced = new SyncedPartition({
    data,
    storage,
    database,
    progress: progress.partitions[order.partition]!,
    bell,
    order,
  });
  partitions.set(place, synced);
  beside(place, synced, async () => {
    const frames = await synced.takeOver();
    if (!synced.hasEnded) say({ kind: 'tookOver', place, frames });
  });
}

/** Does something that one partition alone waits for. */
function beside(place: number, synced: SyncedPartition, work: () => Promise<void>): void {
  synced.isBusy = true;
  besides++;
  work()
    .catch((error: unknown) => fail(place, synced, error))
    .finally(() => {
      synced.isBusy = false;
      besides--;
      bell.ring();
    });
}

function fail(place: number, synced: SyncedPartition, error: unknown): void {
  if (synced.hasEnded) return;
  synced.end();
  const message = error instanceof Error ? error.message : String(error);
  const fenced = error instanceof PartitionFencedError || isStaleEpoch(error);
  say({ kind: 'failed', place, message, fenced });
}

/** The frame has its place. */
function finish(place: number, synced: SyncedPartition, committedMs: number): void {
  // It left meanwhile: what it decided belongs to the next owner.
  if (synced.hasEnded) return;
  try {
    synced.finish(committedMs);
  } catch (error) {
    fail(place, synced, error);
  }
}

interface Turn {
  readonly place: number;
  readonly synced: SyncedPartition;
  readonly frame: PlacedFrame;
}

function ready(): Turn[] {
  const turns: Turn[] = [];
  let bytes = 0;
  for (const [place, synced] of partitions) {
    if (!synced.isReady) continue;
    if (synced.isUpkeepDue) beside(place, synced, () => synced.upkeep());
    else {
      const frame = synced.placed();
      turns.push({ place, synced, frame });
      bytes += frame.records.length;
    }
    if (turns.length === framesMax || bytes >= recordBytesMax) break;
  }
  // Others may be waiting behind these: theirs is the next turn.
  for (const { place, synced } of turns) {
    partitions.delete(place);
    partitions.set(place, synced);
  }
  return turns;
}

async function commit(turns: readonly Turn[]): Promise<void> {
  const startedAtMs = performance.now();
  const appended = await database.append(turns.map(({ frame }) => frame));
  const committedMs = performance.now() - startedAtMs;
  for (const { place, synced, frame } of turns) {
    if (synced.hasEnded) continue;
    if (appended.has(synced.partition)) {
      synced.appended();
      finish(place, synced, committedMs);
    } else {
      beside(place, synced, async () => {
        if (!(await synced.resolve(frame))) return delay(againPauseMs);
        finish(place, synced, performance.now() - startedAtMs);
        notify();
      });
    }
  }
  notify();
}

function notify(): void {
  if (notices.take()) say(durable);
}

port.on('message', take);
for (;;) {
  const { rings } = bell;
  // While nothing is under way no event comes in by itself.
  for (let received = receiveMessageOnPort(port); received !== undefined; received = receiveMessageOnPort(port)) {
    take(received.message as SyncerOrder);
  }
  const turns = ready();
  if (turns.length > 0) await commit(turns);
  else if (besides > 0) await bell.waitAsync(rings);
  else bell.wait(rings);
}
