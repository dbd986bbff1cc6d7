/**
 * The way to one partition and back. Slabs take turns: while the worker decides one, the next waits behind it and
 * arrivals fill a third; batches grow by themselves under load. A slab that comes back is decided. Its answers leave
 * once the syncer has made their records durable, in the order in which the slabs left. Arrival order is kept.
 *
 * Deadlines: a request that waits too long is answered 503 when its deadline passes. If its approval comes back later,
 * a journaled record revokes it before any later message of that id is decided.
 */
import { Protocol } from '../core/codes.js';
import { assert } from '../core/invariant.js';
import { Reason } from '../core/reasons.js';
import { AnswerFlag, EntryFlag, EntryKind, EntryStatus, fullBatchMin, Slab, type SlabSize } from '../exchange/slab.js';
import type { GroupedLane, LaneGroup } from './lane-group.js';
import { Revocations } from './revocations.js';
import type { Waiter } from './waiter.js';

/** What a message needs and the partition does not have in memory. */
export interface Lookup {
  readonly status: number;
  /** The card token, request id, original id or account's public id: UTF-8. */
  readonly key: string;
}

export interface LaneEvents {
  /** Decides a slab on the worker. Rejects when the worker died. @returns false when the journal failed. */
  run(slabIndex: number): Promise<boolean>;
  /** The last journal record that is on disk; synced() is called whenever it has grown. */
  durableSequence(): number;
  /** A message lacks something; `again` re-enters it. */
  lookUp(lookup: Lookup, again: Reentry): void;
  /** A batch came back and was answered. For the metrics. */
  batch(slab: Slab, waitedMs: number, ranMs: number, nowMs: number): void;
  /** The worker died; or, final, its journal failed and only a new process may go on. */
  failed(error: unknown, isFinal: boolean): void;
  /** So many approvals are to be revoked. For the metrics. */
  revoking(count: number): void;
  /** No record up to `sequence` will be revoked any more. Called before the answers of its slab leave. */
  final(sequence: number): void;
  /**
   * What is known of cards may be too old to approve by, or another engine may be the writer. Asked twice a batch: when
   * it leaves, and before its answers do, for the machine may have been suspended in between.
   */
  isStale(): boolean;
}

/** A message on its way in again. */
export interface Reentry {
  readonly kind: number;
  flags: number;
  readonly arrivalMs: number;
  readonly bytes: Uint8Array;
  readonly waiter: Waiter | null;
}

/**
 * Slabs on their way at once. With a second one waiting the worker continues without falling asleep, which on busy
 * cores costs more than a batch. A third only makes batches smaller and tails longer.
 */
const flyingMax = 2;
/**
 * Slabs that are decided and wait for the disk. Four are what arrives while a slow sync (2 ms) runs; beyond it the disk
 * sets the pace.
 */
const decidedMax = 4;
/** Flying, decided, being answered, and open: with two more than fly or wait at once one is always free. */
const slabCount = flyingMax + decidedMax + 2;
/** With a look each 5 ms: longer than a commit takes. */
const looksWaitedMax = 1;
/** Clients of lookups are sorted out when there are so many, and then when they have doubled. */
const lookedUpMin = 1024;
/** The slab that carries revocations only, ahead of whatever waits. */
const revocationSlab = slabCount;

export class Lane implements GroupedLane {
  readonly slabs: readonly Slab[];
  readonly #waiters: (Waiter | null)[][];
  /** Of each slab, the places of changes that a caller waits for. */
  readonly #changes: number[][];
  readonly #events: LaneEvents;
  readonly #nowMs: () => number;
  readonly #deadlineMs: number;
  readonly #secondSlabMin: number;
  readonly #group: LaneGroup;
  /** For synced(). */
  readonly #alone: readonly Lane[] = [this];
  /** Index of the slab that is being filled. */
  #open = 0;
  /** Empty ones. */
  readonly #free = Array.from({ length: slabCount - 1 }, (_, index) => index + 1);
  /** Slabs on their way, oldest first: the worker returns them in this order. */
  readonly #flying: number[] = [];
  /** Decided and not yet answered, oldest first. */
  readonly #decided: number[] = [];
  /** How many of them are not known to be on disk. */
  #unsynced = 0;
  /** Decided ones that judge() found on disk, and when. */
  #judged = 0;
  #judgedAtMs = 0;
  /** The group counts it as busy. */
  #isBusy = false;
  /** Looks at deadlines since its messages wait for slabs of other lanes alone. */
  #looksWaited = 0;
  /** Messages are taken in. */
  #isReady = false;
  /** The worker decides: also what is inside after close(). */
  #isAlive = false;
  /** Clients whose message may be with a lookup, until isIdle finds that it is not. */
  #lookedUp: Waiter[] = [];
  #lookedUpMax = lookedUpMin;
  readonly #revocations = new Revocations();
  /** Messages refused at their deadline because memory had no room for what they need. For metrics and log. */
  roomRefusals = 0;
  /** Rises when the worker is replaced, so that the promise of a dead one changes nothing. */
  #generation = 0;

  /**
   * @param group says when slabs leave
   * @param secondSlabMin messages that a slab needs to leave while another one of the group is with the worker or waits
   * for the disk
   */
  constructor(
    size: SlabSize,
    deadlineMs: number,
    nowMs: () => number,
    group: LaneGroup,
    events: LaneEvents,
    secondSlabMin = fullBatchMin,
  ) {
    this.#secondSlabMin = secondSlabMin;
    this.slabs = Array.from({ length: slabCount + 1 }, () => new Slab(size));
    this.#waiters = this.slabs.map(() => new Array<Waiter | null>(size.entries).fill(null));
    this.#changes = this.slabs.map(() => []);
    this.#deadlineMs = deadlineMs;
    this.#nowMs = nowMs;
    this.#events = events;
    this.#group = group;
    group.add(this);
  }

  /** Whether the partition takes messages; while its worker restarts, its accounts get explicit declines. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Messages waiting or in flight. */
  get depth(): number {
    return this.#away().reduce((depth, index) => depth + this.slabs[index]!.count, this.slabs[this.#open]!.count);
  }

  get isIdle(): boolean {
    this.#lookedUp = this.#lookedUp.filter(({ isSettled }) => !isSettled);
    const isEmpty = this.#away().length === 0 && this.slabs[this.#open]!.count === 0;
    return isEmpty && this.#revocations.isEmpty && this.#lookedUp.length === 0;
  }

  /** Slabs that left and were not answered. */
  #away(): number[] {
    return [...this.#decided, ...this.#flying];
  }

  /** The worker is there (again). */
  open(): void {
    this.#isAlive = true;
    this.#isReady = true;
  }

  /**
   * Takes no more messages in. Those inside are answered, also those that wait for a lookup: its rows still come in.
   */
  close(): void {
    this.#isReady = false;
  }

  /** Takes a message in. @returns false when the lane is full or closed: the caller refuses at once. */
  claim(kind: number, flags: number, arrivalMs: number, bytes: Uint8Array, waiter: Waiter | null): boolean {
    const isTaken = this.#isReady || (kind === EntryKind.rows && this.#isAlive);
    return isTaken && this.#take(kind, flags, arrivalMs, bytes, waiter);
  }

  #take(kind: number, flags: number, arrivalMs: number, bytes: Uint8Array, waiter: Waiter | null): boolean {
    const slab = this.slabs[this.#open]!;
    if (!slab.fits(bytes.length)) return false;
    const index = slab.add(kind, flags, arrivalMs, bytes);
    this.#waiters[this.#open]![index] = waiter;
    if (kind === EntryKind.rows && waiter !== null) this.#changes[this.#open]!.push(index);
    this.#wake();
    return true;
  }

  #wake(): void {
    if (this.#maySend(this.#group.isClear)) this.#group.wake();
  }

  /** It has enough messages for a slab behind another one. */
  get isFull(): boolean {
    return this.slabs[this.#open]!.count >= this.#secondSlabMin;
  }

  /** @param together the group sends */
  #maySend(together: boolean): boolean {
    // No slab passes revocations: what is decided behind them must know that they are written.
    if (this.#revokesNow) return false;
    if (this.#decided.length + this.#flying.length >= flyingMax + decidedMax) return false;
    if (this.#flying.length >= flyingMax) return false;
    return together || !this.#revocations.isEmpty || this.isFull;
  }

  /** Says whether something is with the worker or waits for the disk. */
  #track(): void {
    const isBusy = this.#flying.length > 0 || this.#unsynced > 0;
    if (isBusy === this.#isBusy) return;
    this.#isBusy = isBusy;
    this.#group.became(isBusy);
  }

  get #revokesNow(): boolean {
    return this.#flying.includes(revocationSlab) || this.#decided.includes(revocationSlab);
  }

  /** Approvals are being revoked: until that is journaled, a repeat may get an answer that no longer holds. */
  get #isRevoking(): boolean {
    return !this.#revocations.isEmpty || this.#revokesNow;
  }

  /** Sends what waits, if it may. Called by the group. */
  send(together: boolean): number {
    if (!this.#isAlive || this.#revocations.isHeld || !this.#maySend(together)) return 0;
    if (!this.#revocations.isEmpty) {
      this.#revocations.fill(this.slabs[revocationSlab]!, this.#waiters[revocationSlab]!);
      return this.#send(revocationSlab);
    }
    if (this.slabs[this.#open]!.count > 0) {
      const sent = this.#open;
      const next = this.#free.pop();
      assert(next !== undefined, 'a slab is always free');
      this.#open = next;
      this.slabs[next]!.clear();
      return this.#send(sent);
    }
    return 0;
  }

  #send(slabIndex: number): number {
    const slab = this.slabs[slabIndex]!;
    this.#flying.push(slabIndex);
    this.#track();
    slab.seal(this.#nowMs(), this.#deadlineMs, this.#events.isStale());
    const generation = this.#generation;
    this.#events.run(slabIndex).then(
      (alive) => {
        if (generation === this.#generation) this.#returned(alive);
      },
      (error: unknown) => {
        if (generation === this.#generation) this.fail(error);
      },
    );
    this.#looksWaited = 0;
    return slab.count;
  }

  #returned(alive: boolean): void {
    if (!alive) {
      this.journalFailed();
      return;
    }
    const slabIndex = this.#flying.shift()!;
    this.#decided.push(slabIndex);
    this.slabs[slabIndex]!.decidedAtMs = this.#nowMs();
    if (this.#changes[slabIndex]!.length > 0) this.#tellChanges(slabIndex);
    this.synced();
  }

  /** What was changed is in force for whatever comes behind it, and has nothing to wait for on the disk. */
  #tellChanges(slabIndex: number): void {
    const waiters = this.#waiters[slabIndex]!;
    for (const index of this.#changes[slabIndex]!.splice(0)) {
      waiters[index]?.answer(this.slabs[slabIndex]!, index);
      waiters[index] = null;
    }
  }

  /** Answers what is durable. Called whenever more of this lane is on disk. */
  synced(): void {
    this.#group.synced(this.#alone);
  }

  /** Finds what is durable. Called by the group, with answer() behind it. */
  judge(): void {
    this.#judged = 0;
    if (this.#decided.length > 0) {
      const durable = this.#events.durableSequence();
      this.#judgedAtMs = this.#nowMs();
      while (this.#judged < this.#decided.length && this.slabs[this.#decided[this.#judged]!]!.lastSequence <= durable) {
        this.#judge(this.#decided[this.#judged++]!, this.#judgedAtMs);
      }
    }
    this.#unsynced = this.#decided.length - this.#judged;
    this.#track();
  }

  /** Answers what judge() found. */
  answer(): void {
    const revokes = this.#revokesNow;
    for (; this.#judged > 0; this.#judged--) this.#answer(this.#decided.shift()!, this.#judgedAtMs);
    // What waited behind revocations has waited long enough.
    if (revokes) this.#group.sendAlone(this);
    this.#wake();
  }

  #judge(slabIndex: number, nowMs: number): void {
    const slab = this.slabs[slabIndex]!;
    const waiters = this.#waiters[slabIndex]!;
    slab.returnedAtMs = nowMs;
    if (slabIndex === revocationSlab) this.#revocations.keep(slab, waiters);
    else {
      const isStale = this.#events.isStale();
      const count = this.#revocations.collect(slab, waiters, nowMs, this.#deadlineMs, isStale);
      if (count > 0) this.#events.revoking(count);
      if (isStale) this.#refuseCommands(slab, waiters);
    }
    // While a revocation waits or is under way, the journal keeps the approval.
    const revokes = !this.#revocations.isEmpty || (slabIndex !== revocationSlab && this.#revokesNow);
    if (!revokes) this.#events.final(slab.lastSequence);
  }

  #answer(slabIndex: number, nowMs: number): void {
    const slab = this.slabs[slabIndex]!;
    const waiters = this.#waiters[slabIndex]!;
    const waitedMs = slab.count === 0 ? 0 : slab.sealedAtMs - slab.arrivalMs[0]!;
    // A repeat in here may not know of revocations that came up meanwhile, its own slab's included.
    const isRevoking = this.#isRevoking;
    for (let index = 0; index < slab.count; index++) this.#settle(slab, waiters, index, isRevoking);
    if (slabIndex !== revocationSlab) this.#free.push(slabIndex);
    this.#events.batch(slab, waitedMs, nowMs - slab.sealedAtMs, nowMs);
  }

  /** Deposits and withdrawals are never revoked: their sender asks again, and receives the one answer then. */
  #refuseCommands(slab: Slab, waiters: (Waiter | null)[]): void {
    for (let index = 0; index < slab.count; index++) {
      if (slab.kind[index] !== Protocol.ledger || (slab.answerFlags[index]! & AnswerFlag.approved) === 0) continue;
      const waiter = waiters[index] ?? null;
      waiters[index] = null;
      if (waiter?.isSettled === false) waiter.refuse(Reason.systemError);
    }
  }

  #settle(slab: Slab, waiters: (Waiter | null)[], index: number, isRevoking: boolean): void {
    const waiter = waiters[index] ?? null;
    waiters[index] = null;
    const status = slab.status[index]!;
    if (needsLookup(status)) {
      this.#ask(slab, index, status, waiter);
    } else if (waiter === null || waiter.isSettled) {
      return;
    } else if (status === EntryStatus.unavailable || status === EntryStatus.revoked) {
      waiter.refuse(slab.reason[index] as Reason);
    } else if (isRevoking && (slab.answerFlags[index]! & AnswerFlag.repeated) !== 0) {
      // It may repeat an approval that is just being revoked: it is decided again behind the revocation.
      this.reenter(this.#reentry(slab, index, waiter));
    } else {
      waiter.answer(slab, index);
    }
  }

  #reentry(slab: Slab, index: number, waiter: Waiter | null): Reentry {
    return {
      kind: slab.kind[index]!,
      flags: slab.flags[index]!,
      arrivalMs: slab.arrivalMs[index]!,
      // Copied: the slab is filled again while the lookup runs.
      bytes: Buffer.from(slab.request.subarray(slab.start[index], slab.end[index])),
      waiter,
    };
  }

  #ask(slab: Slab, index: number, status: number, waiter: Waiter | null): void {
    if (waiter?.isSettled) return;
    if (waiter !== null) {
      waiter.reentries++;
      if (this.#lookedUp.length === this.#lookedUpMax) {
        this.#lookedUp = this.#lookedUp.filter(({ isSettled }) => !isSettled);
        this.#lookedUpMax = Math.max(lookedUpMin, 2 * this.#lookedUp.length);
      }
      this.#lookedUp.push(waiter);
    }
    const again = this.#reentry(slab, index, waiter);
    if (waiter === null) {
      // A lapsed hold: where memory had no room for what was looked up, the next look for such holds brings it again.
      if ((again.flags & EntryFlag.again) !== 0) return;
      again.flags |= EntryFlag.again;
    }
    const key = slab.answer.toString('utf8', slab.answerStart[index], slab.answerEnd[index]);
    this.#events.lookUp({ status, key }, again);
  }

  /** Sends a message again, behind what was looked up for it. */
  reenter(again: Reentry): void {
    const { waiter } = again;
    if (waiter?.isSettled) return;
    if (!this.#isAlive || !this.#take(again.kind, again.flags, again.arrivalMs, again.bytes, waiter)) {
      waiter?.refuse(this.#isAlive ? Reason.overloaded : Reason.systemError);
    }
  }

  /** Refuses what waits beyond its deadline. Called by one coarse timer. */
  expire(nowMs: number): void {
    if (this.#revocations.isHeld) {
      this.#revocations.isHeld = false;
      this.#wake();
    }
    // What another partition waits for shall not hold up this one.
    if (this.#isBusy || this.slabs[this.#open]!.count === 0) this.#looksWaited = 0;
    else if (++this.#looksWaited > looksWaitedMax) this.#group.sendAlone(this);
    for (const slabIndex of [this.#open, ...this.#away()]) {
      const { count } = this.slabs[slabIndex]!;
      const waiters = this.#waiters[slabIndex]!;
      for (let index = 0; index < count; index++) this.#expireOne(waiters[index] ?? null, nowMs);
    }
    this.#revocations.forEachWaiter((waiter) => this.#expireOne(waiter, nowMs));
  }

  #expireOne(waiter: Waiter | null, nowMs: number): void {
    if (waiter === null || waiter.isSettled) return;
    if (waiter.arrivalMs + this.#deadlineMs <= nowMs) this.#refuseAtDeadline(waiter);
  }

  #refuseAtDeadline(waiter: Waiter): void {
    const reason = reasonAtDeadline(waiter);
    if (reason === Reason.overloaded) this.roomRefusals++;
    waiter.refuse(reason);
  }

  /** What the disk did with the last frame is unknown: nothing more is answered, until the process is started again. */
  journalFailed(): void {
    this.fail(
      new Error('the journal failed: this partition takes nothing more until the process is started again'),
      true,
    );
  }

  /** The worker is gone: everything that waits is refused, and so is what comes until open(). */
  fail(error: unknown, isFinal = false): void {
    this.#isReady = false;
    this.#isAlive = false;
    this.#generation++;
    for (const slabIndex of this.#away()) if (slabIndex !== revocationSlab) this.#free.push(slabIndex);
    this.#flying.length = 0;
    this.#decided.length = 0;
    this.#unsynced = 0;
    this.#judged = 0;
    this.#track();
    this.#revocations.fail();
    for (const [slabIndex, slab] of this.slabs.entries()) {
      const waiters = this.#waiters[slabIndex]!;
      for (let index = 0; index < waiters.length; index++) {
        const waiter = waiters[index];
        waiters[index] = null;
        if (waiter != null && !waiter.isSettled) waiter.refuse(Reason.systemError);
      }
      this.#changes[slabIndex]!.length = 0;
      slab.clear();
    }
    this.#events.failed(error, isFinal);
  }
}

/** So often what a message lacks is looked up at once. One that lacks something after that finds no room in memory. */
export const lookupsAtOnceMax = 2;

/** The reason in the answer to a message whose deadline passes while it waits. */
export function reasonAtDeadline({ reentries }: Pick<Waiter, 'reentries'>): Reason {
  return reentries > lookupsAtOnceMax ? Reason.overloaded : Reason.systemError;
}

function needsLookup(status: number): boolean {
  return (status >= EntryStatus.lookupCard && status <= EntryStatus.lookupAccount) || status === EntryStatus.noRoom;
}

/** Flag to set on a re-entry when the lookup found nothing for `status`. */
export function absentFlag(status: number): number {
  switch (status) {
    case EntryStatus.lookupCard:
      return EntryFlag.cardAbsent;
    case EntryStatus.lookupSeen:
      return EntryFlag.seenAbsent;
    case EntryStatus.lookupAccount:
      return EntryFlag.accountAbsent;
    default:
      return EntryFlag.originalAbsent;
  }
}
