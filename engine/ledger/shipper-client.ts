/**
 * The front's side of the shipper's thread (workers/settle/shipper.worker.ts): pause and resume around the opening of a
 * journal, drain and stop at the end.
 */
import { Worker } from 'node:worker_threads';
import type { Log } from '../../platform/log.js';
import type { EngineConfig } from '../config.js';
import type { WriterFence } from '../core/writer-fence.js';
import type { Progress } from '../exchange/progress.js';
import {
  fencedCode,
  type RetryOutcome,
  type ShipperCommand,
  type ShipperEvent,
  type ShipperOrder,
  type ShipperWorkerData,
} from '../exchange/shipper-messages.js';
import type { ShipperControl } from './partition-host.js';
import type { JournalPlaces } from './threads.js';

export interface ShipperClientOptions {
  readonly config: EngineConfig;
  readonly progress: Progress;
  readonly journal: JournalPlaces;
  readonly log: Log;
  /** The settled position of a partition, opened when it is new. */
  openPosition(partition: number, fence: WriterFence): Promise<number>;
  /** Settling has set a record apart. */
  onQuarantined(): void;
  /** Ends settle statements that a thread has left running in Postgres when it died. */
  endSettlers(partition: number): Promise<void>;
  /** Postgres has refused the fence of a partition: another engine is the writer now. */
  fenced(partition: number, message: string): void;
}

/** The first messages after a start come first: what the thread loads takes a core from them. */
const startDelayMs = 250;
/** A thread that died is replaced after this long: its journal waits, nothing is lost. */
const restartDelayMs = 500;

export class ShipperClient implements ShipperControl {
  readonly #options: ShipperClientOptions;
  readonly #retries = new Map<number, RetryOutcome>();
  readonly #waiting = new Map<number, (complete: boolean) => void>();
  /** Partitions that settle, and their fences: they resume when the thread is replaced. */
  readonly #running = new Map<number, WriterFence>();
  /** Null before the first partition settles, and after a thread died until it is replaced. */
  #worker: Worker | null = null;
  #nextId = 1;
  /** By partition. */
  readonly #failures = new Map<number, string>();
  #trouble = '';
  #isStopping = false;
  /** Some thread may have left something running in Postgres when it died. */
  #hasStarted = false;

  constructor(options: ShipperClientOptions) {
    this.#options = options;
  }

  #start(): void {
    this.#hasStarted = true;
    const { config, progress, journal, log } = this.#options;
    const workerData: ShipperWorkerData = {
      journalDirectory: journal.directory,
      isScratch: journal.postgres !== null,
      journalSizes: config.journalSizes,
      progress: progress.buffer,
      databaseUrl: config.databaseUrl,
      seenIds: config.seenIdsMax,
    };
    const worker = new Worker(new URL('../../workers/settle/shipper.worker.js', import.meta.url), { workerData });
    this.#worker = worker;
    worker.on('message', (event: ShipperEvent) => this.#received(event));
    worker.on('error', (error) => log.error({ error: error.message }, 'the shipper thread died; replacing it'));
    worker.on('exit', () => this.#exited());
    for (const [partition, fence] of this.#running) void this.#ask({ kind: 'resume', partition, fence });
  }

  /** A thread that is gone settles nothing: a caller that waited for a pause has it, the next thread gets the rest. */
  #exited(): void {
    this.#worker = null;
    for (const done of this.#waiting.values()) done(false);
    this.#waiting.clear();
    this.#startIn(restartDelayMs);
  }

  #startIn(delayMs: number): void {
    setTimeout(() => {
      if (this.#worker === null && !this.#isStopping) this.#start();
    }, delayMs).unref();
  }

  /** Why settling of a partition has stopped until a restart; '' while no partition's has. */
  get failure(): string {
    return this.#failures.values().next().value ?? '';
  }

  /** What Postgres answered when it failed last; '' when it never did. */
  get trouble(): string {
    return this.#trouble;
  }

  position(partition: number, fence: WriterFence): Promise<number> {
    return this.#options.openPosition(partition, fence);
  }

  async pause(partition: number): Promise<void> {
    this.#running.delete(partition);
    this.#failures.delete(partition);
    // A thread that is gone stands still; its last statement may not.
    if (!(await this.#ask({ kind: 'pause', partition }))) await this.#options.endSettlers(partition);
  }

  /** No caller needs to wait for it. The first call starts the thread. */
  resume(partition: number, fence: WriterFence): void {
    this.#running.set(partition, fence);
    if (this.#worker === null) this.#startIn(startDelayMs);
    else void this.#ask({ kind: 'resume', partition, fence });
  }

  /** Settles what is in the journal. @returns false when that took longer than `timeoutMs` */
  drain(timeoutMs: number): Promise<boolean> {
    if (!this.#hasStarted && this.#running.size > 0) this.#start();
    return this.#ask({ kind: 'drain', timeoutMs });
  }

  settle(partition: number, timeoutMs: number): Promise<boolean> {
    if (!this.#hasStarted && this.#running.size > 0) this.#start();
    return this.#ask({ kind: 'drain', timeoutMs, partition });
  }

  /** Settles a quarantined record of any partition after all. */
  async retry(partition: number, sequence: number): Promise<RetryOutcome> {
    const away: RetryOutcome = { status: 'unavailable', error: 'settling does not run here: ask again' };
    if (this.#worker === null && !this.#isStopping) this.#start();
    const id = this.#nextId;
    await this.#ask({ kind: 'retry', partition, sequence });
    const outcome = this.#retries.get(id) ?? away;
    this.#retries.delete(id);
    return outcome;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#ask({ kind: 'stop' });
    await this.#worker?.terminate();
  }

  #ask(order: ShipperOrder): Promise<boolean> {
    const worker = this.#worker;
    // No thread is there to answer: neither a stop nor the start of a partition may wait for ever. Settling stands
    // still.
    if (worker === null) return Promise.resolve(!this.#hasStarted);
    const id = this.#nextId++;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      const command: ShipperCommand = { ...order, id };
      worker.postMessage(command);
    });
  }

  #received(event: ShipperEvent): void {
    const { log } = this.#options;
    if (event.kind === 'done') {
      this.#waiting.get(event.id)?.(event.complete);
      this.#waiting.delete(event.id);
      return;
    }
    if (event.kind === 'retried') {
      if (this.#waiting.has(event.id)) this.#retries.set(event.id, { status: event.status, error: event.error });
      return;
    }
    if (event.kind === 'failed') {
      this.#failed(event.partition, event.message, event.code === fencedCode);
      return;
    }
    if (event.kind === 'quarantined') {
      log.error({ ...event }, 'Postgres refuses a record: it is quarantined; see npm run quarantine');
      this.#options.onQuarantined();
      return;
    }
    const { message, attempt } = event;
    this.#trouble = message;
    // The first and every power of two: an outage of an hour is a dozen lines.
    if ((attempt & (attempt - 1)) === 0) log.warn({ ...event }, 'settling waits, and tries again');
  }

  #failed(partition: number, message: string, isFenced: boolean): void {
    const { log, fenced } = this.#options;
    if (isFenced) {
      this.#running.delete(partition);
      fenced(partition, message);
      return;
    }
    this.#failures.set(partition, message);
    log.error({ partition, error: message }, 'settling has stopped: the journal keeps what it has until a restart');
  }
}
