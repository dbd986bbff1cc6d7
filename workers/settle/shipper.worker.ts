/**
 * Entry point of the shipper's thread (`new Worker`): the one worker with sockets and timers. Partitions begin paused;
 * the front sends `resume` for each once its worker has restored, and `pause` before it starts that worker again.
 */
import { setPriority } from 'node:os';
import { setDefaultHighWaterMark } from 'node:stream';
import { parentPort, workerData } from 'node:worker_threads';
import type { WriterFence } from '../../engine/core/writer-fence.js';
import { Progress } from '../../engine/exchange/progress.js';
import type {
  Quarantined,
  RetryOutcome,
  ShipperCommand,
  ShipperEvent,
  ShipperWorkerData,
} from '../../engine/exchange/shipper-messages.js';
import { BoundedConnections } from '../../platform/postgres/bounded-connections.js';
import { nameThread } from '../../platform/process/thread-times.js';
import { ScratchStorage } from '../journal/scratch-storage.js';
import { FileStorage } from '../journal/storage.js';
import { isDataError, plain, retryQuarantined, settleAround } from './quarantine.js';
import { readJournalPosition, retryConnection, settleConnectionOf, WriterFencedError } from './settle.js';
import { Shipper } from './shipper.js';
import type { ShipperTuning } from './shipper-tuning.js';

/**
 * Above the server's own limit on a statement: only a connection that hangs runs into it. The statement may yet commit,
 * which the position check allows for.
 */
const deadlineMs = 45_000;
/** A person waits, for no longer than the API waits for the engine. */
const retryMs = 4_000;
/** Of -20 (first) to 19 (last): what the embedded Postgres gets too. */
const threadPriority = 10;

/**
 * More than the largest statement, which has 4 MiB of records twice as hexadecimal digits, and their rows. The driver
 * sends nothing behind a statement that its socket has not taken whole, and folding would wait for Postgres. Two
 * statements are under way at most. This thread has no other sockets.
 */
const socketBytesMax = 16 * 1024 * 1024;

nameThread('shipper');
yieldToTheFront();
setDefaultHighWaterMark(false, socketBytesMax);

/** Tests settle small batches at once. */
export interface TunedWorkerData extends ShipperWorkerData {
  readonly tuning?: Partial<ShipperTuning>;
}

const data = workerData as TunedWorkerData;
const port = parentPort;
if (port === null) throw new Error('shipper.worker.js is started with new Worker, not by itself');
const send = (event: ShipperEvent): void => port.postMessage(event);

/** One connection per partition, so that a slow statement of one does not hold up the others. */
const connections = new Map<number, BoundedConnections>();

function connection(partition: number): BoundedConnections {
  const known = connections.get(partition);
  if (known !== undefined) return known;
  const opened = new BoundedConnections(data.databaseUrl, settleConnectionOf(partition));
  connections.set(partition, opened);
  return opened;
}

/** Of the partitions that were resumed. */
const fences = new Map<number, WriterFence>();

const shipper = new Shipper({
  storage: data.isScratch ? new ScratchStorage() : new FileStorage(),
  root: data.journalDirectory,
  progress: new Progress(data.progress),
  sizes: data.journalSizes,
  seenIds: data.seenIds,
  ...(data.tuning === undefined ? {} : { tuning: data.tuning }),
  settle: (partition, fromSequence, _toSequence, bytes, offsets) =>
    connection(partition).run(deadlineMs, async (sql) => {
      const batch = { partition, firstSequence: fromSequence, source: bytes, offsets };
      const apart = (record: Quarantined) => send({ kind: 'quarantined', ...record });
      const { applied } = await settleAround(sql, batch, apart, fences.get(partition)!);
      return applied;
    }),
  isFinal: (error) => error instanceof WriterFencedError,
  readPosition: (partition) => connection(partition).run(deadlineMs, (sql) => readJournalPosition(sql, partition)),
  onTrouble: (partition, error, attempt) => send({ kind: 'trouble', partition, message: text(error), attempt }),
  onFailed: (partition, error) => {
    const code = (error as { code?: unknown }).code;
    send({ kind: 'failed', partition, message: text(error), code: typeof code === 'string' ? code : 'UNKNOWN' });
  },
});

/** Of its own: a partition's connection is ended when another engine takes the partition. */
let retries: BoundedConnections | undefined;

async function retry(partition: number, sequence: number): Promise<RetryOutcome> {
  retries ??= new BoundedConnections(data.databaseUrl, retryConnection);
  try {
    const isSettled = await retries.run(retryMs, (sql) => retryQuarantined(sql, partition, sequence));
    return { status: isSettled ? 'settled' : 'absent', error: '' };
  } catch (error) {
    return { status: isDataError(error) ? 'refused' : 'unavailable', error: plain(text(error)) };
  }
}

async function run(command: ShipperCommand): Promise<boolean> {
  switch (command.kind) {
    case 'resume':
      fences.set(command.partition, command.fence);
      shipper.resume(command.partition);
      return true;
    case 'pause':
      await shipper.pause(command.partition);
      return true;
    case 'drain':
      return shipper.drain(command.timeoutMs, command.partition);
    case 'retry':
      send({ kind: 'retried', id: command.id, ...(await retry(command.partition, command.sequence)) });
      return true;
    case 'stop':
      await shipper.stop();
      await Promise.all([...connections.values(), retries].map((opened) => opened?.close()));
      return true;
  }
}

port.on('message', (command: ShipperCommand) => {
  run(command).then(
    (complete) => {
      send({ kind: 'done', id: command.id, complete });
      if (command.kind === 'stop') port.close();
    },
    (error: unknown) => {
      // Nothing above rejects unless there is a bug: end the thread so that the front sees it.
      throw error;
    },
  );
});

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Settling may wait, a terminal may not: this thread takes the processor only while no other thread wants it. Linux
 * numbers threads like processes and lets each have its own priority; elsewhere nothing changes.
 */
function yieldToTheFront(): void {
  const thread = new FileStorage().linkTarget('/proc/thread-self');
  const threadId = Number(thread.split('/').at(-1));
  if (!Number.isInteger(threadId) || threadId <= 0) return;
  try {
    setPriority(threadId, threadPriority);
  } catch {
    // A sandbox may forbid it: settling then competes like any other thread.
  }
}
