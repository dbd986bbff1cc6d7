/**
 * Carries the journals into Postgres: reads each partition's frames behind the worker, checks them, and settles them in
 * large batches. Runs in a thread of its own (shipper.worker.ts), one loop per partition; everything outside is
 * injected.
 *
 * Exactly once. A settle names the stretch from, to; Postgres applies it only when its position is from − 1, and moves
 * the position in the same statement. After any error the outcome is unknown, so the position is read again and the
 * journal is read again from there. No record is skipped or applied twice, whatever broke in between.
 */
import type { JournalSizes } from '../../engine/exchange/journal-sizes.js';
import type { PartitionProgress, Progress } from '../../engine/exchange/progress.js';
import { isOutOfDescriptors } from '../../platform/process/descriptors.js';
import { partitionDirectory } from '../journal/segment-files.js';
import { SegmentKeeper } from '../journal/segment-keeper.js';
import type { Storage } from '../journal/storage.js';
import { BacklogWatch } from './backlog-watch.js';
import { BatchReader, SettleBatch } from './settle-batch.js';
import { SettleTurns } from './settle-turns.js';
import { type ShipperTuning, shipperTuningDefault } from './shipper-tuning.js';

/**
 * Settles records `fromSequence` to `toSequence` in one go.
 * @param bytes the records end to end; good until the promise settles
 * @param offsets where each record begins in `bytes`
 * @returns false when Postgres stands elsewhere and nothing (more) was applied
 */
export type Settle = (
  partition: number,
  fromSequence: number,
  toSequence: number,
  bytes: Uint8Array,
  offsets: Uint32Array,
) => Promise<boolean>;

/** Calls back after a delay in milliseconds. @returns what cancels it */
export type Schedule = (callback: () => void, delayMs: number) => () => void;

export interface ShipperOptions {
  readonly storage: Storage;
  /** Folder that holds the folders of all partitions. */
  readonly root: string;
  readonly progress: Progress;
  readonly sizes: JournalSizes;
  readonly settle: Settle;
  /** The last record that Postgres has settled. */
  readonly readPosition: (partition: number) => Promise<number>;
  /** How many ids of settled messages are kept beside the journal; default 0. */
  readonly seenIds?: number;
  readonly tuning?: Partial<ShipperTuning>;
  /** Postgres failed, or there was no file descriptor, for the `attempt`-th time in a row; it is tried again. */
  readonly onTrouble?: (partition: number, error: unknown, attempt: number) => void;
  /** An error of Postgres that no later attempt can mend. */
  readonly isFinal?: (error: unknown) => boolean;
  /**
   * A partition settles nothing until it is resumed: its journal cannot be read or does not fit the position, or the
   * error was final.
   */
  readonly onFailed?: (partition: number, error: unknown) => void;
  readonly schedule?: Schedule;
  /** Monotonic milliseconds. */
  readonly nowMs?: () => number;
}

const positionUnknown = -1;

export class Shipper {
  readonly #partitions: readonly PartitionShipper[];
  readonly #schedule: Schedule;

  constructor(options: ShipperOptions) {
    this.#schedule = options.schedule ?? scheduleTimeout;
    const turns = new SettleTurns();
    const watch = new BacklogWatch(options.progress, { ...shipperTuningDefault, ...options.tuning });
    this.#partitions = options.progress.partitions.map(
      (_, partition) => new PartitionShipper(options, partition, turns, watch),
    );
  }

  /**
   * Begins a partition, or goes on with it after pause(). Only once its worker has restored: restoring reads Postgres
   * as of the position.
   */
  resume(partition: number): void {
    this.#partitions[partition]?.resume();
  }

  /**
   * Resolves when the partition's files are let go of and no settle is under way. Call before its journal is opened
   * again.
   */
  async pause(partition: number): Promise<void> {
    await this.#partitions[partition]?.pause();
  }

  /**
   * Settles without waiting for company until Postgres has what is durable now.
   * @param partition that one alone; default: all
   * @returns false when that took longer than `timeoutMs` or a partition cannot settle
   */
  async drain(timeoutMs: number, partition?: number): Promise<boolean> {
    let cancel = (): void => undefined;
    const late = new Promise<boolean>((resolve) => {
      cancel = this.#schedule(() => resolve(false), timeoutMs);
    });
    const asked = partition === undefined ? this.#partitions : [this.#partitions[partition]!];
    const drained = Promise.all(asked.map((one) => one.drain()));
    const done = await Promise.race([late, drained.then((all) => all.every(Boolean))]);
    cancel();
    return done;
  }

  /** Lets settles under way finish, then stops for good. */
  async stop(): Promise<void> {
    await Promise.all(this.#partitions.map((partition) => partition.stop()));
  }
}

interface DrainWaiter {
  readonly toSequence: number;
  readonly resolve: (complete: boolean) => void;
}

/** One partition's loops, settling and making spares: at rest (paused), stepping, or asleep between steps. */
class PartitionShipper {
  readonly #options: ShipperOptions;
  readonly #tuning: ShipperTuning;
  readonly #partition: number;
  readonly #progress: PartitionProgress;
  readonly #reader: BatchReader;
  readonly #keeper: SegmentKeeper;
  readonly #schedule: Schedule;

  /** One that Postgres works on, and one that is sent behind it: folding and sending take a tenth of the time. */
  #batch: SettleBatch;
  #spareBatch: SettleBatch;

  /** Last record known to be settled. */
  #position = positionUnknown;
  /** Everything up to here was considered for retirement. */
  #retired = positionUnknown;

  #running: Promise<void> | undefined;
  #halt = false;
  #attempt = 0;
  #heldBack = 0;
  #lastBacklog = 0;
  /** Steps since a record came. */
  #still = 0;
  readonly #turns: SettleTurns;
  readonly #watch: BacklogWatch;
  readonly #nowMs: () => number;
  #waiters: DrainWaiter[] = [];
  /** End the sleeps under way. */
  readonly #wakes = new Set<() => void>();

  constructor(options: ShipperOptions, partition: number, turns: SettleTurns, watch: BacklogWatch) {
    this.#options = options;
    this.#turns = turns;
    this.#watch = watch;
    this.#tuning = { ...shipperTuningDefault, ...options.tuning };
    this.#partition = partition;
    this.#progress = options.progress.partitions[partition]!;
    this.#schedule = options.schedule ?? scheduleTimeout;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    const { storage, sizes } = options;
    const directory = partitionDirectory(options.root, partition);
    const partitionCount = options.progress.partitions.length;
    this.#reader = new BatchReader({ storage, directory, partition, partitionCount });
    this.#keeper = new SegmentKeeper({
      storage,
      directory,
      sizes,
      spareCount: this.#tuning.spareCount,
      unhurriedMs: this.#tuning.spareUnhurriedMs,
      journaledBytes: () => this.#progress.bytes,
      nowMs: this.#nowMs,
      seenIds: options.seenIds ?? 0,
      onFiles: (segments, spares) => this.#progress.setFiles(segments, spares),
    });
    const { recordsMax, bytesMax } = this.#tuning;
    this.#batch = new SettleBatch(recordsMax, bytesMax);
    this.#spareBatch = new SettleBatch(recordsMax, bytesMax);
  }

  resume(): void {
    if (this.#running !== undefined) {
      // Still coming to rest: begin only after that, so that the files are opened again.
      if (this.#halt) void this.#running.then(() => this.resume());
      return;
    }
    this.#halt = false;
    this.#running = this.#run();
  }

  async pause(): Promise<void> {
    this.#halt = true;
    this.#wake();
    await this.#running;
  }

  stop(): Promise<void> {
    return this.pause();
  }

  drain(): Promise<boolean> {
    const toSequence = this.#progress.durableSequence;
    if (toSequence <= Math.max(0, this.#position)) return Promise.resolve(true);
    if (this.#running === undefined) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#waiters.push({ toSequence, resolve });
      this.#wake();
    });
  }

  async #run(): Promise<void> {
    const loops = [this.#settleAll(), this.#keepSpares()];
    await Promise.all(loops.map((loop) => loop.catch((error: unknown) => this.#fail(error))));
    this.#turns.leave(this);
    this.#reader.close();
    this.#keeper.close();
    this.#position = positionUnknown;
    this.#retired = positionUnknown;
    this.#running = undefined;
    for (const { resolve } of this.#waiters) resolve(false);
    this.#waiters = [];
  }

  /** Not Postgres: the journal itself. Trying again would read the same bytes. */
  #fail(error: unknown): void {
    this.#halt = true;
    this.#wake();
    this.#options.onFailed?.(this.#partition, error);
  }

  async #settleAll(): Promise<void> {
    while (!this.#halt) {
      const delayMs = await this.#tryStep();
      this.#answerWaiters();
      if (!this.#halt) await this.#sleep(delayMs);
    }
  }

  /** Beside the settling: that may wait for Postgres for long, and the worker shall find a spare all the same. */
  async #keepSpares(): Promise<void> {
    const { delayMs, spareStepMs, spareLookMs } = this.#tuning;
    while (!this.#halt) {
      const isOpen = this.#progress.durableSequence >= 0;
      const isMaking = isOpen && this.#keeper.step();
      await this.#sleep(isMaking ? spareStepMs : isOpen ? spareLookMs : delayMs);
    }
  }

  /** Without a file descriptor neither the journal nor Postgres can be read: both are asked again, later. */
  async #tryStep(): Promise<number> {
    try {
      return await this.#step();
    } catch (error) {
      if (!isOutOfDescriptors(error)) throw error;
      // The reader may have stopped inside a batch.
      this.#position = positionUnknown;
      this.#trouble(error);
      return this.#backoffMs();
    }
  }

  /** Does what there is to do. @returns how long to wait before the next step, in milliseconds */
  async #step(): Promise<number> {
    const { delayMs } = this.#tuning;
    if (this.#progress.durableSequence < 0) return delayMs;
    if (this.#position === positionUnknown && !(await this.#findPosition())) return this.#backoffMs();
    const backlog = this.#progress.durableSequence - this.#position;
    if (backlog === 0) this.#retire();
    if (backlog === 0 || this.#holdsBack(backlog)) return delayMs;
    const isSettled = await this.#settleNext().finally(() => this.#turns.leave(this));
    if (!isSettled) return this.#backoffMs();
    // A full batch means that more is waiting; a drain waits for nothing.
    const more = this.#progress.durableSequence > this.#position;
    if (more && (this.#waiters.length > 0 || this.#progress.backlogRecords >= this.#recordsMax)) return this.#paceMs();
    return delayMs;
  }

  /**
   * Settles a batch. Full batches follow each other while no authorization waits for a core, and while settling must
   * keep up. Each is folded and sent while Postgres works on the one before it.
   * @returns false when Postgres failed and is to be asked again, later
   */
  async #settleNext(): Promise<boolean> {
    const { restShare, restMsMax } = this.#tuning;
    let batch = this.#send(this.#position + 1);
    for (;;) {
      const next = await this.#sendBehind(batch);
      const isSettled = await this.#settled(batch);
      const settledAtMs = this.#nowMs();
      if (!isSettled) {
        // What was sent behind it finds another position than its own; but nothing may be under way from here on.
        await next?.outcome.catch(() => undefined);
        return false;
      }
      const restMs =
        restShare * this.#options.progress.engines * (1 - this.#hurry()) * (settledAtMs - batch.startedAtMs);
      this.#turns.rest(settledAtMs + Math.min(restMsMax, restMs));
      try {
        this.#retire();
      } catch (error) {
        await next?.outcome.catch(() => undefined);
        throw error;
      }
      if (next === undefined) return true;
      if ((await next.outcome.catch(() => true)) === false) {
        // The batch before it took two statements (see SettleFold), and this one came in between: once more, later.
        this.#reader.seek(this.#position + 1, this.#progress.durableSequence);
        return true;
      }
      this.#answerWaiters();
      next.startedAtMs = settledAtMs;
      batch = next;
    }
  }

  /** Sends the next full batch while Postgres has `batch` to work on, when there is a hurry. */
  async #sendBehind(batch: SettleBatch): Promise<SettleBatch | undefined> {
    if (!batch.isFull || !this.#hurries()) return undefined;
    const { sendBehindMs } = this.#tuning;
    if (sendBehindMs > 0) await this.#sleep(sendBehindMs);
    if (!this.#hurries()) return undefined;
    try {
      return this.#send(batch.lastSequence + 1);
    } catch (error) {
      // The journal itself: it ends this loop, and nothing may be under way then.
      await batch.outcome.catch(() => undefined);
      throw error;
    }
  }

  /** Whether full batches follow each other without a pause. */
  #hurries(): boolean {
    if (this.#halt || this.#progress.backlogRecords < 2 * this.#recordsMax) return false;
    return this.#mayHurry || this.#mustKeepUp;
  }

  /** Whether no message waits for the core that settling takes, or the journal or a drain cannot wait. */
  get #mayHurry(): boolean {
    const { waitingForRoom, requestsInFlight } = this.#options.progress;
    return waitingForRoom > 0 || requestsInFlight === 0 || this.#hurry() === 1 || this.#waiters.length > 0;
  }

  /**
   * Milliseconds until the next statement while catching up: a statement's records in as long as so many come, or are
   * due of the backlog.
   */
  #paceMs(): number {
    if (this.#mayHurry) return 0;
    const { catchUpMs, catchUpPerSecond, restMsMax } = this.#tuning;
    const { durableSequence } = this.#progress;
    const elapsedMs = this.#nowMs() - this.#batch.startedAtMs;
    if (elapsedMs <= 0) return 0;
    const came = (durableSequence - this.#batch.durableSequence) / elapsedMs;
    const caughtUp = Math.max((durableSequence - this.#position) / catchUpMs, catchUpPerSecond / 1000);
    return Math.min(restMsMax, Math.max(0, this.#batch.recordCount / (came + caughtUp) - elapsedMs));
  }

  /** Most records of the next batch. */
  get #recordsMax(): number {
    const { recordsMax, recordsBusyMax } = this.#tuning;
    return this.#yields && !this.#mayHurry ? Math.min(recordsMax, recordsBusyMax) : recordsMax;
  }

  /** Whether the front has the cores first. */
  get #yields(): boolean {
    return this.#isFrontBusy && !this.#mustKeepUp;
  }

  get #mustKeepUp(): boolean {
    return this.#watch.mustKeepUp(this.#nowMs());
  }

  /** By the requests of this engine, and as many of each other one. */
  get #isFrontBusy(): boolean {
    const { requestsInFlight, engines } = this.#options.progress;
    return requestsInFlight * engines >= this.#tuning.busyRequests;
  }

  /** From 0 up to 1, where everything that the engine has not settled is as much as it may become. */
  #hurry(): number {
    const { partitions } = this.#options.progress;
    const backlog = partitions.reduce((sum, { backlogRecords }) => sum + backlogRecords, 0);
    return Math.min(1, backlog / this.#tuning.backlogRecordsMax);
  }

  async #findPosition(): Promise<boolean> {
    let position: number;
    try {
      position = await this.#options.readPosition(this.#partition);
    } catch (error) {
      this.#trouble(error);
      return false;
    }
    this.#reader.seek(position + 1, this.#progress.durableSequence);
    this.#position = position;
    this.#progress.publishSettled(position, 0);
    this.#retire();
    return true;
  }

  /**
   * Retires segments that Postgres has wholly and of which nothing can be revoked any more. The latter may come
   * after the last record was settled, so it is tried again while there is nothing to settle.
   */
  #retire(): void {
    const sequence = Math.min(this.#position, this.#progress.finalSequence);
    if (sequence <= this.#retired) return;
    this.#keeper.retire(sequence);
    this.#retired = sequence;
  }

  /** Standing back a few delays makes batches larger; resting while the front is busy leaves it the cores. */
  #holdsBack(backlog: number): boolean {
    const { holdBackMax, holdBackFewMax, fewRecords, stillMin } = this.#tuning;
    this.#still = backlog === this.#lastBacklog ? this.#still + 1 : 0;
    this.#lastBacklog = backlog;
    const isFew = backlog < fewRecords;
    const isIdle = this.#options.progress.requestsInFlight === 0 && (!isFew || this.#still >= stillMin);
    const waitsMax = isFew ? Math.max(holdBackMax, holdBackFewMax) : holdBackMax;
    const gathered = isIdle || backlog >= this.#recordsMax || this.#heldBack >= waitsMax;
    const hasTurn = () => !this.#yields || this.#hurry() === 1 || this.#turns.take(this, this.#nowMs());
    const isWanted = this.#waiters.length > 0 || this.#options.progress.waitingForRoom > 0;
    if (isWanted || (gathered && hasTurn())) {
      this.#heldBack = 0;
      return false;
    }
    this.#heldBack++;
    return true;
  }

  /** Gathers the records from `firstSequence` on and hands them to Postgres; there must be one. */
  #send(firstSequence: number): SettleBatch {
    const batch = this.#spareBatch;
    this.#spareBatch = this.#batch;
    this.#batch = batch;
    const { durableSequence } = this.#progress;
    batch.empty(firstSequence, this.#recordsMax);
    batch.durableSequence = durableSequence;
    this.#reader.fill(batch, durableSequence);
    batch.startedAtMs = this.#nowMs();
    const bytes = batch.bytes.subarray(0, batch.byteCount);
    const offsets = batch.offsets.subarray(0, batch.recordCount);
    batch.outcome = this.#options.settle(this.#partition, firstSequence, batch.lastSequence, bytes, offsets);
    // It is awaited when its turn comes: until then no caller would see a failure.
    batch.outcome.catch(() => undefined);
    return batch;
  }

  async #settled(batch: SettleBatch): Promise<boolean> {
    try {
      const applied = await batch.outcome;
      if (!applied) throw new Error(`Postgres does not stand before record ${batch.firstSequence}`);
    } catch (error) {
      if (this.#options.isFinal?.(error) === true) throw error;
      // Whether it was committed is unknown: ask Postgres where it stands.
      this.#position = positionUnknown;
      this.#trouble(error);
      return false;
    }
    this.#attempt = 0;
    this.#position = batch.lastSequence;
    this.#progress.publishSettled(batch.lastSequence, batch.atMs);
    this.#progress.countSettled(batch.recordCount, this.#nowMs() - batch.startedAtMs);
    return true;
  }

  #trouble(error: unknown): void {
    this.#attempt++;
    this.#progress.countSettleFailure();
    this.#options.onTrouble?.(this.#partition, error, this.#attempt);
  }

  #backoffMs(): number {
    const { retryMsMin, retryMsMax } = this.#tuning;
    return Math.min(retryMsMax, retryMsMin * 2 ** Math.min(this.#attempt - 1, 20));
  }

  #answerWaiters(): void {
    if (this.#waiters.length === 0) return;
    const waiting = this.#waiters;
    this.#waiters = waiting.filter(({ toSequence }) => this.#position < toSequence);
    for (const { toSequence, resolve } of waiting) if (this.#position >= toSequence) resolve(true);
  }

  /** Sleeps until the delay is over or another thread wakes the loop. */
  async #sleep(delayMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const end = (): void => {
        cancel();
        this.#wakes.delete(end);
        resolve();
      };
      const cancel = this.#schedule(end, delayMs);
      this.#wakes.add(end);
    });
  }

  #wake(): void {
    for (const end of this.#wakes) end();
  }
}

function scheduleTimeout(callback: () => void, delayMs: number): () => void {
  const timer = setTimeout(callback, delayMs);
  return () => clearTimeout(timer);
}
