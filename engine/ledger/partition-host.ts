/**
 * One partition as the front sees it: its lane, and its place on the threads. The worker decides, and the syncer makes
 * durable. Where one of them dies the partition gets another place and replays the journal; meanwhile messages about
 * its accounts get explicit declines. A failed journal is final: what the disk did with the last batch is unknown, so
 * nothing is approved until the process starts again.
 *
 * With JOURNAL=postgres a host is away until its engine owns the partition, and again after that (OwnedPartition).
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '../../platform/log.js';
import { withDeadline } from '../../platform/process/deadline.js';
import { type EngineConfig, frontKnowsIds } from '../config.js';
import type { PartitionRows } from '../core/partition-rows.js';
import type { WindowUse } from '../core/spend.js';
import type { WriterFence } from '../core/writer-fence.js';
import type {
  AccountBooks,
  HostedTask,
  PartitionResult,
  PartitionStats,
  StoredDecision,
  TailKeys,
  WindowEntity,
} from '../exchange/partition-task.js';
import type { PartitionProgress, Progress } from '../exchange/progress.js';
import type { Slab } from '../exchange/slab.js';
import { EntryKind } from '../exchange/slab.js';
import type { Database } from '../lookups/database.js';
import { StartTimes } from '../ops/start-times.js';
import { BatchTimes, type Hops } from './batch-times.js';
import { Lane, type Lookup, type Reentry } from './lane.js';
import type { LapseClock } from './lapse-clock.js';
import { LapseSweep } from './lapse-sweep.js';
import type { OwnedPartition, PartitionState } from './owned-partition.js';
import { type JournalPlaces, type PartitionPlace, type PartitionThreads, slabSize } from './threads.js';

export interface FoundDecision extends StoredDecision {
  readonly hopsMs: Hops | null;
}

/** What the host needs of the shipper: it must stand still while a journal is opened. */
export interface ShipperControl {
  pause(partition: number): Promise<void>;
  resume(partition: number, fence: WriterFence): void;
  /** The settled position, from Postgres. */
  position(partition: number, fence: WriterFence): Promise<number>;
  /** Settles what is durable now. @returns false when that took longer than `timeoutMs` */
  settle(partition: number, timeoutMs: number): Promise<boolean>;
}

export interface HostEvents {
  lookUp(host: PartitionHost, lookup: Lookup, again: Reentry): void;
  batch(host: PartitionHost, slab: Slab, waitedMs: number, ranMs: number, nowMs: number): void;
  revoking(count: number): void;
  isStale(): boolean;
  /** The partition is about to read what it starts with. */
  restoring(host: PartitionHost): void;
  /** @returns what it has read, as a partition takes it over */
  restored(message: PartitionRows): PartitionRows;
  /** The state is another one. */
  changed(host: PartitionHost): void;
  /** With JOURNAL=postgres: another engine is the owner of the partition now, and the host drops it. */
  fenced(host: PartitionHost, message: string): void;
  /** The lane has opened, and no message has been claimed yet. @returns false when changes overtook what was read */
  opened(host: PartitionHost): boolean;
  /** The partition has answered an id with that hash. Called while the host starts, with several partitions only. */
  knows(host: PartitionHost, low: number, high: number, sequence: number): void;
}

/** How long to wait before replacing a worker that died again: doubles up to the maximum. */
const restartDelayMsMin = 50;
const restartDelayMsMax = 5000;
/** Longest that a thread may take to load its modules and to take its memory. */
const threadStartMsMax = 60_000;
/** Longest that a thread may take to read, open or replay a journal: above what the largest one takes. */
const journalStepMsMax = 600_000;
/** Ids taken into memory at once: two milliseconds, after a pause that leaves the worker to the messages. */
const idsAtOnce = 10_000;
const idsPauseMs = 5;
/** A handover first settles most of the tail while messages are still taken: a settle lasts as long at most as this. */
const settleOpenMsMax = 1000;
/** A statement that takes longer is ended by the next owner's claim, and settled there. */
const settlePauseMsMax = 1000;
/** Where no other engine waits: what came meanwhile is a few batches. What is not settled then is replayed later. */
const settleRestMsMax = 150;
/** How often a lane that leaves is looked at; its last message is answered at its deadline at the latest. */
const idleLookMs = 1;

export class PartitionHost implements OwnedPartition {
  readonly partition: number;
  readonly lane: Lane;
  readonly progress: PartitionProgress;
  readonly times = new BatchTimes();
  readonly #config: EngineConfig;
  readonly #journal: JournalPlaces;
  readonly #database: Database;
  readonly #shipper: ShipperControl;
  readonly #log: Log;
  readonly #events: HostEvents;
  readonly #threads: PartitionThreads;
  readonly #nowMs: () => number;
  #place: PartitionPlace | null = null;
  #state: PartitionState;
  #fence: WriterFence = { scope: '', epoch: 0, holder: '' };
  /** Rises with every start, drop and stop: what belongs to an earlier one ends at its next step. */
  #run = 0;
  /** Earlier places on the threads are given back. */
  #ended: Promise<unknown> = Promise.resolve();
  /** Nothing of an earlier start is left. */
  #cleared: Promise<void> = Promise.resolve();
  #resolveIdsKnown: () => void = () => undefined;
  /** After the first worker the front knows every id that comes: a worker that is replaced has nothing to add. */
  #areIdsKnown = false;
  /** Resolves when the front has every id that is remembered: only then may several partitions share the questions. */
  readonly idsKnown = new Promise<void>((resolve) => {
    this.#resolveIdsKnown = resolve;
  });
  readonly #lapses: LapseSweep;
  #restarts = 0;
  #failure = '';
  /** Of the last start. */
  startTimes = new StartTimes(0);
  /** The id table of settled questions is being filled; bumped to stop a filler whose worker has died. */
  #epoch = 0;
  /** Settles when the looks asked for so far have been answered. */
  #looks: Promise<unknown> = Promise.resolve();

  constructor(
    partition: number,
    config: EngineConfig,
    progress: Progress,
    database: Database,
    shipper: ShipperControl,
    nowMs: () => number,
    events: HostEvents,
    log: Log,
    journal: JournalPlaces,
    threads: PartitionThreads,
  ) {
    this.partition = partition;
    this.progress = progress.partitions[partition]!;
    this.#config = config;
    this.#journal = journal;
    this.#threads = threads;
    this.#state = journal.postgres === null ? 'starting' : 'away';
    this.#nowMs = nowMs;
    this.#database = database;
    this.#shipper = shipper;
    this.#events = events;
    this.#log = log.child({ partition });
    this.lane = new Lane(slabSize, config.partitionDeadlineMs, nowMs, threads.laneGroup(), {
      run: (slab) => this.#place?.runSlab(slab) ?? Promise.reject(new Error('there is no thread')),
      durableSequence: () => this.progress.durableSequence,
      lookUp: (lookup, again) => events.lookUp(this, lookup, again),
      batch: (slab, waitedMs, ranMs, atMs) => events.batch(this, slab, waitedMs, ranMs, atMs),
      failed: (error, isFinal) => this.#workerFailed(error, isFinal),
      revoking: (count) => events.revoking(count),
      final: (sequence) => this.progress.publishFinal(sequence),
      isStale: () => events.isStale(),
    });
    const { lane } = this;
    this.#lapses = new LapseSweep({ partition, database, lane, progress: this.progress, log: this.#log, pause });
  }

  get state(): PartitionState {
    return this.#state;
  }
  /** The partition is here, if not ready now, and the front knows each id that it remembers. */
  get knowsNewIds(): boolean {
    return this.#state !== 'away' && this.#state !== 'starting' && this.#areIdsKnown;
  }
  /** Why the state is `failed`; '' otherwise. */
  get failure(): string {
    return this.#failure;
  }
  get restarts(): number {
    return this.#restarts;
  }

  /** Takes a place on the threads, which write nothing yet. */
  #takePlace(): PartitionPlace {
    const slabs = this.lane.slabs.map((slab) => slab.buffer);
    return this.#threads.open(this.partition, slabs, {
      durable: () => this.lane.synced(),
      trouble: (message, attempt) => {
        // The first and every power of two.
        if ((attempt & (attempt - 1)) === 0) {
          this.#log.warn({ error: message, attempt }, 'the journal waits, and tries again');
        }
      },
      failed: (message, fenced) => {
        if (fenced) this.fenced(message);
        else {
          this.#log.error({ error: message }, 'the journal could not be written');
          this.lane.journalFailed();
        }
      },
      died: (error) => this.lane.fail(error),
    });
  }

  #setState(state: PartitionState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#events.changed(this);
  }

  async prepare(): Promise<void> {
    await this.#cleared;
    if (this.#state !== 'away') return;
    this.#place ??= this.#takePlace();
    const place = this.#place;
    await Promise.all([this.#made(place), this.#database.prepareRestore(this.partition)]);
    await place.prepare();
  }

  /** The partition's memory is there. A place without it is given back. */
  async #made(place: PartitionPlace): Promise<void> {
    try {
      await within(threadStartMsMax, 'the partition thread to start', place.made);
    } catch (error) {
      if (place === this.#place) await this.#leavePlace();
      throw error;
    }
  }

  /** Opens the journal, restores what its tail touches, replays, and takes messages. Throws when any of it fails. */
  async start(fence: WriterFence, settledSequence?: number): Promise<void> {
    const run = ++this.#run;
    this.#fence = fence;
    this.#areIdsKnown = false;
    // Before anything is read: changes that come from here on are kept for it.
    this.#setState('starting');
    try {
      await this.#cleared;
      await this.#open(run, settledSequence);
    } catch (error) {
      if (run === this.#run) await this.drop();
      throw error;
    }
  }

  async release(closed?: () => void): Promise<void> {
    if (this.#state === 'ready') await this.#leave(this.#run, closed !== undefined);
    closed?.();
    await this.drop();
  }

  /** @param isAwaited another engine waits: it replays a few records sooner than this one settles them */
  async #leave(run: number, isAwaited: boolean): Promise<void> {
    await this.#shipper.settle(this.partition, settleOpenMsMax);
    // While messages are still taken: the next owner's claim would wait for a settle that is under way.
    if (isAwaited) await Promise.race([this.#shipper.pause(this.partition), pause(settlePauseMsMax)]);
    if (run !== this.#run || this.#state !== 'ready') return;
    this.#setState('leaving');
    this.lane.close();
    const closedAtMs = performance.now();
    // What hangs is refused at its deadline.
    const untilMs = this.#nowMs() + 2 * this.#config.deadlineMs;
    while (run === this.#run && !this.lane.isIdle && this.#nowMs() < untilMs) await pause(idleLookMs);
    if (run === this.#run && !isAwaited) await this.#shipper.settle(this.partition, settleRestMsMax);
    this.#log.info({ drainMs: Math.round(performance.now() - closedAtMs) }, 'partition closed');
  }

  async drop(): Promise<void> {
    if (this.#state === 'stopped') return;
    if (this.#state !== 'away' || this.#place !== null) {
      this.#run++;
      this.#epoch++;
      this.#state = 'away';
      this.lane.fail(new Error(`partition ${this.partition} is another engine's`));
      this.#cleared = this.#clear();
      this.#events.changed(this);
    }
    await this.#cleared;
  }

  /** Another engine is the owner now. */
  fenced(message: string): void {
    this.#log.warn({ error: message }, 'another engine has the partition');
    void this.drop();
    this.#events.fenced(this, message);
  }

  /** Nothing of the partition is left in this process, but for what it counted. Never rejects. */
  async #clear(): Promise<void> {
    await this.#leavePlace();
    try {
      await this.#shipper.pause(this.partition);
    } catch (error) {
      this.#log.warn({ error: (error as Error).message }, 'the shipper did not let go of the partition');
    }
    this.progress.clear();
    if (this.#journal.postgres === null) return;
    const copy = join(this.#journal.directory, `p${this.partition}`);
    await rm(copy, { recursive: true, force: true }).catch((error: Error) =>
      this.#log.warn({ error: error.message }, "the copy of the partition's journal could not be removed"),
    );
  }

  /** @throws when the partition was dropped or stopped meanwhile */
  #assertRun(run: number): void {
    if (run !== this.#run) throw new Error(`partition ${this.partition} is ${this.#state}`);
  }

  /** @param settled the settled position, where the shipper has stood still since it was read */
  async #open(run: number, settled?: number): Promise<void> {
    const times = new StartTimes(performance.now());
    this.startTimes = times;
    this.#place ??= this.#takePlace();
    const place = this.#place;
    const settledSequence = settled ?? (await this.#findPosition());
    this.#assertRun(run);
    times.ended('position');
    const readRecord = this.#database.settledRecord(this.partition, settledSequence);
    // It is awaited below; until then no caller would see a failure.
    readRecord.catch(() => undefined);
    if (this.#journal.postgres !== null) {
      await within(journalStepMsMax, 'the takeover', place.takeOver(this.#fence, settledSequence));
      this.#assertRun(run);
      times.ended('takeover');
    }
    await this.#made(place);
    const settledRecord = await readRecord;
    const tail = (await this.#runStep({
      kind: 'open',
      settledSequence,
      settledRecord,
      epoch: this.#fence.epoch,
    })) as TailKeys;
    if (tail.cut !== '') this.#log.warn({ cut: tail.cut }, 'cut a half-written last frame off the journal');
    for (const note of tail.notes) this.#log.warn({ note }, 'journal');
    times.ended('open', { phase: 'keys', ms: tail.keysMs });
    this.#assertRun(run);
    this.#events.restoring(this);
    const message = await this.#database.restore({
      ...tail,
      partition: this.partition,
      holdMs: this.#config.policy.holdLongMs,
    });
    times.ended('restore');
    this.#assertRun(run);
    await this.#runStep({ kind: 'restore', message: this.#events.restored(message) });
    times.ended('replay');
    this.#assertRun(run);
    // If the syncer exited during startup, no handler was attached yet; without this check every answer would wait
    // forever.
    if (!place.isSyncing) throw new Error('the syncer thread ended while its partition was starting');
    // What the worker before it approved too late stays: the lane has dropped those revocations.
    this.progress.publishFinal(this.progress.durableSequence);
    this.#state = 'ready';
    this.times.begin();
    this.lane.open();
    // What the feed has kept goes first: a message that waits comes in by changed().
    if (!this.#events.opened(this)) {
      this.lane.fail(new Error('more changed while the partition was restored than can be kept: restoring it again'));
      return;
    }
    this.#shipper.resume(this.partition, this.#fence);
    this.#events.changed(this);
    const idsFrom = tail.idsKnown ? 'journal' : 'postgres';
    this.#log.info({ replayed: tail.records, settledSequence, idsFrom, ...times.summary() }, 'partition ready');
    this.#tellIds(tail.idHashes, settledSequence + 1);
    const epoch = ++this.#epoch;
    void (tail.idsKnown ? this.#takeIds(epoch) : this.#fillSeen(epoch, settledSequence + 1));
  }

  async #findPosition(): Promise<number> {
    await this.#shipper.pause(this.partition);
    return this.#shipper.position(this.partition, this.#fence);
  }

  /** A step of the start, which the thread may take long for, but not for ever. */
  #runStep(task: HostedTask): Promise<PartitionResult> {
    if (this.#place === null) return Promise.reject(new Error(`partition is ${this.#state}`));
    return within(journalStepMsMax, `the partition thread to ${task.kind}`, this.#place.run(task));
  }

  /** @param first sequence of the first hash; a record without an id has zeros */
  #tellIds(hashes: Uint32Array, first: number): void {
    if (this.#areIdsKnown) return;
    // The newest first: what revoked an approval comes behind the record that has the same id.
    for (let index = hashes.length - 2; index >= 0; index -= 2) {
      const [low, high] = [hashes[index]!, hashes[index + 1]!];
      if (low !== 0 || high !== 0) this.#events.knows(this, low, high, first + index / 2);
    }
  }

  #tellSettledIds({ seen }: PartitionRows): void {
    if (seen === undefined || !frontKnowsIds(this.#config) || this.#areIdsKnown) return;
    const sequences = Buffer.from(seen.sequences, 'base64');
    const hashes = Buffer.from(seen.hashes, 'base64');
    for (let offset = 0; offset < hashes.length; offset += 8) {
      const [low, high] = [hashes.readUInt32BE(offset + 4), hashes.readUInt32BE(offset)];
      if (low !== 0 || high !== 0) this.#events.knows(this, low, high, sequences.readDoubleBE(offset));
    }
  }

  /** Has the ids that were found beside the journal taken over, a few milliseconds of the worker's time at once. */
  async #takeIds(epoch: number): Promise<void> {
    try {
      while (epoch === this.#epoch && !(await this.#look({ kind: 'ids', count: idsAtOnce }))) await pause(idsPauseMs);
      this.#areIdsKnown = true;
      this.#resolveIdsKnown();
    } catch {
      // The worker has gone, and the next one begins again.
    }
  }

  /**
   * Brings the ids of settled questions in the background, newest first; until it is done unknown ids are looked up.
   */
  async #fillSeen(epoch: number, beforeSequence: number): Promise<void> {
    let before = beforeSequence;
    let remembered = 0;
    while (epoch === this.#epoch && this.#state === 'ready') {
      try {
        const chunk = await this.#database.seenBefore(this.partition, before);
        if (epoch !== this.#epoch) return;
        remembered += chunk.count;
        this.#tellSettledIds(chunk.message);
        const isLast = chunk.count === 0 || chunk.oldestSequence <= 1 || remembered >= this.#config.seenIdsMax;
        const bytes = Buffer.from(JSON.stringify({ ...chunk.message, seenComplete: isLast }));
        while (!this.lane.claim(EntryKind.rows, 0, Date.now(), bytes, null)) {
          if (epoch !== this.#epoch || this.#state !== 'ready') return;
          await pause(5);
        }
        if (isLast) {
          this.#areIdsKnown = true;
          this.#resolveIdsKnown();
          return;
        }
        before = chunk.oldestSequence;
      } catch {
        // Postgres is away: unknown ids go on being looked up (and declined while it is away), and we try again.
        await pause(500);
      }
    }
  }

  #workerFailed(error: unknown, isFinal: boolean): void {
    if (this.#state !== 'ready') return;
    this.#epoch++;
    const message = error instanceof Error ? error.message : String(error);
    if (isFinal) {
      this.#failure = message;
      this.#setState('failed');
      this.#log.fatal({ error: message }, 'partition stopped approving');
      return;
    }
    this.#setState('restarting');
    this.#restarts++;
    this.#log.error({ error: message }, 'worker died; replacing it');
    void this.#restart(this.#run, restartDelayMsMin);
  }

  async #restart(run: number, delayMs: number): Promise<void> {
    await this.#leavePlace();
    await pause(delayMs);
    if (run !== this.#run) return;
    try {
      await this.#open(run);
    } catch (error) {
      if (run !== this.#run) return;
      const message = error instanceof Error ? error.message : String(error);
      this.#log.error({ error: message }, 'worker could not be replaced; trying again');
      void this.#restart(run, Math.min(delayMs * 2, restartDelayMsMax));
    }
  }

  /** Ends the lifetimes that are over. Throws when Postgres does not answer. */
  async lapse(clock: LapseClock): Promise<void> {
    if (this.#state === 'ready') await this.#lapses.run(clock);
  }

  /** Sizes of the partition's memory; null while it is not ready. */
  async stats(): Promise<PartitionStats | null> {
    if (this.#state !== 'ready' || this.#place === null) return null;
    return (await this.#look({ kind: 'stats' })) as PartitionStats;
  }

  /** Books of accounts in this partition's memory, null for one that is not there. Throws while the worker is away. */
  async accounts(numbers: readonly number[]): Promise<readonly (AccountBooks | null)[]> {
    return (await this.#look({ kind: 'accounts', numbers })) as readonly (AccountBooks | null)[];
  }

  /** Use of spend windows in this partition's memory, null where there is none. Throws while the worker is away. */
  async windows(entities: readonly WindowEntity[]): Promise<readonly (WindowUse | null)[]> {
    return (await this.#look({ kind: 'windows', entities })) as readonly (WindowUse | null)[];
  }

  /** The newest record of a message with that id in this partition's journal. Throws while the worker is away. */
  async decision(id: string): Promise<FoundDecision | null> {
    const found = (await this.#look({ kind: 'decision', id })) as StoredDecision | null;
    // What is not on the disk yet may never have been.
    const untilMs = this.#nowMs() + this.#config.deadlineMs;
    while (found !== null && found.sequence > this.progress.durableSequence && this.#nowMs() < untilMs) await pause(1);
    return found === null ? null : { ...found, hopsMs: this.times.find(found.sequence, found.arrivalMs) };
  }

  /** One look at a time: the pool's queue is short, and a slab that found it full would count as a dead worker. */
  #look(task: HostedTask): Promise<PartitionResult> {
    const turn = this.#looks.then(() => {
      if (this.#state !== 'ready' || this.#place === null) throw new Error(`partition is ${this.#state}`);
      return this.#place.run(task);
    });
    this.#looks = turn.catch(() => undefined);
    return turn;
  }

  async stop(): Promise<void> {
    this.#run++;
    this.#epoch++;
    this.#setState('stopped');
    await this.#leavePlace();
  }

  /** Nothing writes to the journal any more when this resolves. */
  async #leavePlace(): Promise<void> {
    const place = this.#place;
    this.#place = null;
    this.#ended = Promise.all([this.#ended, place?.end()]);
    await this.#ended;
  }
}

/** Rejects when the work takes longer than `longestMs`. */
function within<Result>(longestMs: number, what: string, work: Promise<Result>): Promise<Result> {
  return withDeadline(work, longestMs, () => {
    throw new Error(`waited ${longestMs} ms for ${what}`);
  });
}
