/**
 * Brings the partitions of this engine to what the plan says (plan.ts). Partitions are pulled: the engine that should
 * have one prepares it, asks the holder for it, and takes it over when the holder has released it. What is free or
 * belonged to an engine that died is claimed at once.
 *
 * Nothing here makes a takeover safe: see registry.ts. An engine that finds that it no longer holds a partition drops
 * it, and one whose frames or settles are refused has dropped it by itself.
 */
import type { Log } from '../../platform/log.js';
import { partitionScope, type WriterFence } from '../core/writer-fence.js';
import type { OwnedPartition } from '../ledger/owned-partition.js';
import { planPartitions } from './plan.js';
import { claimsMax, type GivenLease, type Registry, reservationMs } from './registry.js';
import type { LeaseEntry, View } from './view.js';

/** A holder is asked for one partition at a time: the messages of the others go on meanwhile. */
const movesMax = 1;
/**
 * Between two partitions that an engine takes: the first messages of one need cards and windows from Postgres, which
 * the next one would need beside them.
 */
const restMsDefault = 250;
/** An engine that leaves has less time than that where it has many partitions: so long for all of the database. */
const leavingRestMs = 3000;
/** A holder that is busy with the partition, or another engine that was first: the next view may say something else. */
const againMs = 200;
/** The next partition is given away when the one before it is ready elsewhere, or after so long. */
const takenMsDefault = 1000;
/** What failed is tried again after a pause that doubles. */
const pauseMsMin = 100;
const pauseMsMax = 5000;
/**
 * An engine on which each of its partitions has failed so often in a row, and none is ready, gives its share up for so
 * long. Then it tries again: what was wrong with it may be over.
 */
const unfitFailures = 3;
const unfitMs = 60_000;
/** What is left when an engine leaves is released in so long, whatever hangs. */
const releaseMsMax = 15_000;

export type Membership = Pick<
  Registry,
  | 'id'
  | 'view'
  | 'onView'
  | 'look'
  | 'prepareClaim'
  | 'claim'
  | 'noteGiven'
  | 'release'
  | 'markLeaving'
  | 'isLapsed'
  | 'mayBeReplaced'
>;

/**
 * What a holder answers. A number is the epoch of its lease, which the asking engine takes with its claim. True: the
 * partition is free for it. False: not now.
 */
export type Handover = number | boolean;

export interface MoverOptions {
  readonly registry: Membership;
  /** By partition; all of the database. */
  readonly partitions: readonly OwnedPartition[];
  /** Asks an engine to give a partition to this one. May reject. */
  readonly askHandover: (engineId: string, partition: number) => Promise<Handover>;
  /** Lets an engine know that what it gave is ready here. May reject. */
  readonly tellReady: (engineId: string, partition: number) => Promise<unknown>;
  /** That engine may have died: its next owners prepare what it has. Followed by wake(). */
  readonly isSuspected?: (engineId: string) => boolean;
  readonly log: Log;
  /** Tests rest longer, or not at all. */
  readonly restMs?: number;
  /** Tests wait for longer until what was given is ready elsewhere. */
  readonly takenMsMax?: number;
  /** Monotonic milliseconds. */
  readonly nowMs?: () => number;
  /** Calls back after a delay in milliseconds. @returns what cancels it */
  readonly schedule?: (callback: () => void, delayMs: number) => () => void;
}

/** A partition does one thing at a time. */
type Work = 'idle' | 'preparing' | 'claiming' | 'moving' | 'starting' | 'releasing' | 'dropping';

class Slot {
  work: Work = 'idle';
  /** Of the newest claim; null: this engine has not claimed it, or has released it. */
  fence: WriterFence | null = null;
  isPrepared = false;
  /** In a row. */
  failures = 0;
  notBeforeMs = 0;
  cancelRetry = (): void => undefined;
  /** While a holder is asked, or the partition is prepared: it has died, or has released the partition. */
  holderGone = (): void => undefined;
  /** After it was given: the next owner has started it. */
  taken = (): void => undefined;

  constructor(readonly host: OwnedPartition) {}

  get isGone(): boolean {
    return this.host.state === 'away' || this.host.state === 'stopped';
  }
}

export class Mover {
  readonly #options: MoverOptions;
  readonly #slots: readonly Slot[];
  readonly #nowMs: () => number;
  readonly #schedule: NonNullable<MoverOptions['schedule']>;
  #isStarted = false;
  #isLeaving = false;
  #isUnfit = false;
  #isStopped = false;
  /** When the last planned move was over. */
  #movedAtMs = Number.NEGATIVE_INFINITY;
  #handovers: Promise<unknown> = Promise.resolve();
  /** Resolve when something has changed. */
  #waiting: (() => void)[] = [];

  constructor(options: MoverOptions) {
    this.#options = options;
    this.#slots = options.partitions.map((host) => new Slot(host));
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#schedule = options.schedule ?? scheduleTimeout;
  }

  start(): void {
    this.#isStarted = true;
    this.#options.registry.onView(() => this.wake());
    this.wake();
  }

  /** Looks at what there is to do: after a new view, and when the state of a partition has changed. */
  wake(): void {
    if (!this.#isStarted || this.#isStopped) return;
    const { view } = this.#options.registry;
    const plan = planPartitions(view, this.#slots.length);
    const heirs = this.#heirs(view);
    for (const lease of view.leases) this.#step(this.#slots[lease.partition]!, lease, plan, view, heirs);
    this.#tellWaiting();
  }

  /** The plan, should the engines have died that may have. */
  #heirs(view: View): readonly (string | null)[] {
    const { isSuspected = () => false } = this.#options;
    const engines = view.engines.filter(({ id }) => !isSuspected(id));
    if (engines.length === view.engines.length) return [];
    const isLost = new Set(view.engines.filter(({ id }) => isSuspected(id)).map(({ id }) => id));
    const heirs = planPartitions({ ...view, engines }, this.#slots.length);
    return heirs.map((heir, partition) => (isLost.has(view.leases[partition]!.holder ?? '') ? heir : null));
  }

  /** This engine has what the plan gives it, and nothing else. */
  get isSettled(): boolean {
    const { view, id } = this.#options.registry;
    const plan = planPartitions(view, this.#slots.length);
    return (
      view.engines.length > 0 &&
      this.#slots.every(({ work, host }, partition) => {
        return work === 'idle' && host.state === (plan[partition] === id ? 'ready' : 'away');
      })
    );
  }

  #step(
    slot: Slot,
    lease: LeaseEntry,
    plan: readonly (string | null)[],
    view: View,
    heirs: readonly (string | null)[],
  ): void {
    const { id } = this.#options.registry;
    const planned = plan[lease.partition]!;
    const isHeir = heirs[lease.partition] === id && !this.#isLeaving;
    const { host, fence } = slot;
    const isOurs = lease.holder === id;
    const isFree = !view.engines.some((engine) => engine.id === lease.holder);
    if ((slot.work === 'moving' || slot.work === 'preparing') && isFree) slot.holderGone();
    // It would take over what is another engine's since.
    if (slot.work === 'starting' && !isOurs && lease.epoch > (fence?.epoch ?? 0)) void host.drop();
    if (slot.work !== 'idle' || host.state === 'stopped' || this.#nowMs() < slot.notBeforeMs) return;
    if (!slot.isGone) {
      if (!isOurs) this.#run(slot, 'dropping', () => this.#drop(slot));
      else if (host.state === 'failed') this.#run(slot, 'dropping', () => this.#giveUp(slot, lease));
      return;
    }
    if (planned !== id || this.#isLeaving) {
      if (isOurs) this.#run(slot, 'releasing', () => this.#free(slot, fenceOf(lease), planned));
      else if (isHeir) this.#prepareAsHeir(slot);
      else if (slot.isPrepared) this.#run(slot, 'dropping', () => this.#drop(slot));
    } else if (isOurs || isFree) {
      if (this.#count('claiming', 'starting') < claimsMax) this.#run(slot, 'claiming', () => this.#take(slot));
    } else if (isHeir) this.#prepareAsHeir(slot);
    else if (!slot.isPrepared) {
      if (this.#count('preparing') < movesMax) this.#run(slot, 'preparing', () => this.#prepare(slot));
    } else if (!this.#isMoving && !this.#isPreparing(plan) && !this.#rests(lease.holder!, view)) {
      this.#run(slot, 'moving', () => this.#move(slot, lease.holder!));
    }
  }

  #prepareAsHeir(slot: Slot): void {
    if (slot.isPrepared || this.#count('preparing') >= claimsMax) return;
    this.#run(slot, 'preparing', () => this.#prepare(slot));
  }

  /** Something is still to be prepared: that takes a processor, and a partition that is away would wait for it. */
  #isPreparing(plan: readonly (string | null)[]): boolean {
    const nowMs = this.#nowMs();
    return this.#slots.some(({ work, isGone, isPrepared, notBeforeMs }, partition) => {
      const isDue = work === 'idle' && isGone && !isPrepared && nowMs >= notBeforeMs;
      return work === 'preparing' || (isDue && plan[partition] === this.#options.registry.id);
    });
  }

  #rests(holder: string, view: View): boolean {
    const isLeaving = view.engines.some((engine) => engine.id === holder && engine.isLeaving);
    return this.#nowMs() - this.#movedAtMs < (isLeaving ? this.#leavingRestMs : this.#restMs);
  }

  /** Until what is asked for is ready. */
  get #isMoving(): boolean {
    return this.#count('moving', 'claiming', 'starting') >= movesMax;
  }

  get #restMs(): number {
    return this.#options.restMs ?? restMsDefault;
  }

  get #leavingRestMs(): number {
    return Math.min(this.#restMs, leavingRestMs / this.#slots.length);
  }

  #count(...works: readonly Work[]): number {
    return this.#slots.filter(({ work }) => works.includes(work)).length;
  }

  /** @returns whether it succeeded; never rejects */
  async #run(slot: Slot, work: Work, run: () => Promise<void>): Promise<boolean> {
    slot.work = work;
    try {
      await run();
      return true;
    } catch (error) {
      this.#failed(slot, error as Error);
      return false;
    } finally {
      slot.work = 'idle';
      // Not at once: what is left undone would be tried without a turn of the event loop between.
      setImmediate(() => this.wake());
    }
  }

  #failed(slot: Slot, { message: error }: Error): void {
    const pauseMs = Math.min(pauseMsMax, pauseMsMin * 2 ** Math.min(slot.failures, 20));
    slot.failures++;
    this.#pause(slot, pauseMs);
    const { partition } = slot.host;
    this.#judge(error);
    // The first and every power of two.
    if (this.#isStopped || (slot.failures & (slot.failures - 1)) !== 0) return;
    this.#options.log.warn({ partition, error, attempt: slot.failures }, 'the partition was not moved; trying again');
  }

  /** Whether this engine is at fault: no partition of its share starts here, and another engine has some. */
  #judge(error: string): void {
    const { registry } = this.#options;
    const { view, id } = registry;
    if (this.#isUnfit || this.#isLeaving || this.#isStopped) return;
    const plan = planPartitions(view, this.#slots.length);
    const share = this.#slots.filter((_, partition) => plan[partition] === id);
    const isOwner = (engine: string) => view.leases.some(({ holder }) => holder === engine);
    const hasOther = view.engines.some((other) => other.id !== id && !other.isLeaving && isOwner(other.id));
    const isFailing = share.length > 0 && share.every(({ failures }) => failures >= unfitFailures);
    if (!hasOther || !isFailing || this.#slots.some(({ host }) => host.state === 'ready')) return;
    this.#isUnfit = true;
    this.#options.log.error({ error, tryAgainMs: unfitMs }, 'no partition starts here: other engines take them');
    void registry.markLeaving(true);
    this.#schedule(() => {
      if (this.#isLeaving || this.#isStopped) return;
      this.#isUnfit = false;
      for (const slot of this.#slots) slot.failures = 0;
      void registry.markLeaving(false);
    }, unfitMs);
  }

  #pause(slot: Slot, pauseMs: number): void {
    slot.notBeforeMs = this.#nowMs() + pauseMs;
    slot.cancelRetry();
    if (!this.#isStopped) slot.cancelRetry = this.#schedule(() => this.wake(), pauseMs);
  }

  /** Claims a partition that is free, whose holder died, or that its holder gives away, and starts it. */
  async #take(slot: Slot, given: GivenLease | null = null): Promise<void> {
    const { registry, log } = this.#options;
    const { host } = slot;
    const { partition } = host;
    const beganMs = this.#nowMs();
    const fence = await registry.claim(partition, given);
    if (fence === null) return this.#pause(slot, againMs);
    slot.fence = fence;
    if (this.#isStopped || this.#isLeaving) return this.#free(slot, fence, null);
    slot.work = 'starting';
    slot.isPrepared = false;
    try {
      await host.start(fence, fence.settledSequence);
    } catch (error) {
      await this.#free(slot, fence, null).catch(() => undefined);
      throw error;
    }
    slot.failures = 0;
    log.info({ partition, epoch: fence.epoch, tookMs: Math.round(this.#nowMs() - beganMs) }, 'partition taken over');
  }

  async #prepare(slot: Slot): Promise<void> {
    const { host } = slot;
    // A takeover needs no warm thread, and goes on with what is there.
    const gone = new Promise<void>((resolve) => {
      slot.holderGone = resolve;
    });
    try {
      await Promise.race([Promise.all([host.prepare(), this.#options.registry.prepareClaim(host.partition)]), gone]);
      slot.isPrepared = true;
    } catch (error) {
      await this.#drop(slot);
      throw error;
    }
  }

  async #move(slot: Slot, holder: string): Promise<void> {
    const { registry } = this.#options;
    const { partition } = slot.host;
    if (this.#isStopped) return;
    const gone = new Promise<Handover>((resolve) => {
      slot.holderGone = () => resolve(true);
    });
    const asked = this.#options.askHandover(holder, partition).catch(() => false);
    const answer = await Promise.race([asked, gone]);
    if (answer === false) return this.#pause(slot, againMs);
    if (answer === true) return this.#take(slot);
    registry.noteGiven(partition, { epoch: answer }, registry.id);
    await this.#take(slot, { holder, epoch: answer });
    // Where this is lost, the holder waits a moment longer before it gives the next one away.
    this.#options.tellReady(holder, partition).catch(() => undefined);
    this.#movedAtMs = this.#nowMs();
    for (const restMs of [this.#leavingRestMs, this.#restMs]) this.#schedule(() => this.wake(), restMs);
  }

  /** What this engine gave is ready at its new owner. */
  isTaken(partition: number): void {
    this.#slots[partition]?.taken();
  }

  async #drop(slot: Slot): Promise<void> {
    slot.isPrepared = false;
    slot.fence = null;
    await slot.host.drop();
  }

  /** The partition failed here: it is started again, as after a takeover. */
  async #giveUp(slot: Slot, lease: LeaseEntry): Promise<void> {
    await this.#drop(slot);
    await this.#free(slot, fenceOf(lease), null);
    throw new Error('the partition has failed');
  }

  async #free(slot: Slot, fence: WriterFence, reservedFor: string | null): Promise<void> {
    await this.#options.registry.release(slot.host.partition, fence, reservedFor);
    slot.fence = null;
  }

  /**
   * Gives a partition to the engine that asks for it, when the plan gives it to that engine.
   * @param isTaken that engine takes the lease with its claim; false: an engine of an older version, which claims what
   * is free
   */
  handover(partition: number, toEngineId: string, isTaken: boolean): Promise<Handover> {
    // One after the other: beside another one, a partition would be away for longer.
    const handover = this.#handovers.then(() => this.#handOver(partition, toEngineId, isTaken));
    this.#handovers = handover.then(
      (answer) => (typeof answer === 'number' ? this.#untilTaken(this.#slots[partition]!) : undefined),
      () => undefined,
    );
    return handover;
  }

  #untilTaken(slot: Slot): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#schedule(resolve, this.#options.takenMsMax ?? takenMsDefault);
      slot.taken = () => {
        cancel();
        resolve();
      };
    });
  }

  async #handOver(partition: number, toEngineId: string, isTaken: boolean): Promise<Handover> {
    const { registry } = this.#options;
    const slot = this.#slots[partition];
    if (slot === undefined) return false;
    const isPlanned = (): boolean => planPartitions(registry.view, this.#slots.length)[partition] === toEngineId;
    // The other engine may have seen what this one has not.
    if (!isPlanned()) await registry.look();
    if (!isPlanned() || this.#isStopped || registry.mayBeReplaced || slot.work !== 'idle') return false;
    const lease = registry.view.leases[partition]!;
    if (lease.holder !== registry.id) return lease.holder === null;
    if (!isTaken) return this.#release(slot, fenceOf(lease), toEngineId);
    return this.#give(slot, fenceOf(lease), toEngineId);
  }

  /** Stops deciding a partition, and leaves its lease to another engine. Where that one does not claim, it is freed. */
  #give(slot: Slot, { epoch }: WriterFence, toEngineId: string): Promise<Handover> {
    const { registry, log } = this.#options;
    const { partition } = slot.host;
    const beganMs = this.#nowMs();
    return new Promise((resolve) => {
      const released = this.#run(slot, 'releasing', async () => {
        await slot.host.release(() => {
          this.#pause(slot, reservationMs);
          slot.fence = null;
          registry.noteGiven(partition, { epoch }, toEngineId);
          resolve(epoch);
          log.info({ partition, epoch, tookMs: Math.round(this.#nowMs() - beganMs) }, 'partition released');
        });
      });
      void released.then(() => resolve(false));
    });
  }

  /** What fails is made up for by a later step. @returns whether the partition is free */
  #release(slot: Slot, fence: WriterFence, reservedFor: string | null): Promise<boolean> {
    const beganMs = this.#nowMs();
    return this.#run(slot, 'releasing', async () => {
      await slot.host.release();
      await this.#free(slot, fence, reservedFor);
      const { partition } = slot.host;
      const tookMs = Math.round(this.#nowMs() - beganMs);
      this.#options.log.info({ partition, epoch: fence.epoch, tookMs }, 'partition released');
    });
  }

  /**
   * Gives everything away: the other engines pull what this one has. What is left after `timeoutMs`, or when no other
   * engine is there, is released for any that comes.
   */
  async leave(timeoutMs: number): Promise<void> {
    const { registry } = this.#options;
    this.#isLeaving = true;
    await registry.markLeaving();
    await registry.look();
    const hasOthers = (): boolean =>
      !registry.isLapsed && registry.view.engines.some(({ id, isLeaving }) => id !== registry.id && !isLeaving);
    await this.#untilEmpty(timeoutMs, hasOthers);
    // What follows takes a processor, and messages of the last partition wait until its next owner is ready.
    await this.#atMost(this.#handovers, this.#options.takenMsMax ?? takenMsDefault);
    await this.#untilEmpty(releaseMsMax, () => {
      for (const slot of this.#slots) {
        if (slot.work === 'starting') void slot.host.drop();
        if (slot.work !== 'idle' || slot.isGone || this.#count('releasing') >= claimsMax) continue;
        const { fence } = slot;
        if (fence === null) void this.#run(slot, 'dropping', () => this.#drop(slot));
        else void this.#release(slot, fence, null);
      }
      return true;
    });
  }

  /** @param done does not reject */
  #atMost(done: Promise<unknown>, longestMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#schedule(resolve, longestMs);
      void done.then(() => {
        cancel();
        resolve();
      });
    });
  }

  /** Waits until this engine has no partition. @param goesOn called again whenever something has changed */
  async #untilEmpty(longestMs: number, goesOn: () => boolean): Promise<void> {
    let isLate = false;
    const cancel = this.#schedule(() => {
      isLate = true;
      this.#tellWaiting();
    }, longestMs);
    while (this.#holdsAny && !isLate && !this.#isStopped && goesOn()) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    cancel();
  }

  get #holdsAny(): boolean {
    return this.#slots.some((slot) => slot.work !== 'idle' || !slot.isGone);
  }

  #tellWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** What is under way ends by itself; nothing new begins. */
  stop(): void {
    this.#isStopped = true;
    for (const { cancelRetry } of this.#slots) cancelRetry();
    this.#tellWaiting();
  }
}

/** The answer to a claim may have been lost: the view says what it was. */
function fenceOf({ partition, epoch, holder }: LeaseEntry): WriterFence {
  return { scope: partitionScope(partition), epoch, holder: holder ?? '' };
}

function scheduleTimeout(callback: () => void, delayMs: number): () => void {
  const timer = setTimeout(callback, delayMs);
  return () => clearTimeout(timer);
}
