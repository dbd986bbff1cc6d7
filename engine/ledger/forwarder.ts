/**
 * The placement of messages where partitions move between engines. A message goes to the partition here, or to the
 * engine that holds its lease, or waits until either can take it. A message of another engine is never passed on again.
 *
 * The outcome of a message is unknown where the connection broke. It is then sent again, with its id, so that it cannot
 * be decided twice. A client that was answered 503 must not be charged: an approval of its message is withdrawn.
 */
import { randomInt } from 'node:crypto';
import type { TraceParent } from '../../platform/tracing/traces.js';
import { Reason } from '../core/reasons.js';
import type { Answers } from '../exchange/answers.js';
import { AnswerFlag, EntryFlag, EntryKind, markBytes } from '../exchange/slab.js';
import type { LeaseEntry, View } from '../membership/view.js';
import type { PeerLinks, PeerOutcome } from '../peers/peer-links.js';
import type { PeerWaiter } from '../peers/peer-server.js';
import { type Lane, reasonAtDeadline } from './lane.js';
import type { PartitionState } from './owned-partition.js';
import type { Placement } from './placement.js';
import type { Waiter } from './waiter.js';

export interface ForwarderOptions {
  /** By partition. */
  readonly hosts: readonly {
    readonly state: PartitionState;
    readonly lane: Pick<Lane, 'claim' | 'isReady'>;
  }[];
  readonly links: Pick<PeerLinks, 'ask' | 'withdraw'>;
  viewOf(): Pick<View, 'leases'>;
  readonly selfId: string;
  readonly deadlineMs: number;
  nowMs(): number;
  /**
   * Looks at a message of another engine before its partition does.
   * @param marked the message and its mark, read during the call only
   * @returns the waiter for the partition; null: the message is answered, or is being answered
   */
  guard?(protocol: number, marked: Uint8Array, waiter: Waiter): Waiter | null;
  /**
   * Looks at a message that waited until its partition came here.
   * @param body read during the call only
   * @returns whether it is answered or refused
   */
  isAnswered?(protocol: number, body: Uint8Array, waiter: Waiter): boolean;
}

/** Messages that wait for an owner: what a partition of 20,000 messages a second gets in two deadlines. */
export const waitingMax = 4096;
/**
 * An engine that is not the owner yet may become it without a new view. So a message that it denied is sent there again
 * after this pause, then after twice as long.
 */
const deniedPauseMsMin = 10;

/** Approvals to withdraw that are not acknowledged, and how long they are tried: longer than an engine is replaced. */
export const withdrawalsMax = 4096;
export const withdrawalMsMax = 60_000;
const withdrawalPauseMsMin = 50;
const withdrawalPauseMsMax = 1000;

export class Forwarder implements Placement {
  readonly #options: ForwarderOptions;
  /** In order of arrival. */
  readonly #waiting = new Set<Message>();
  /** Sent to another engine, and neither answered nor refused. */
  readonly #asked = new Set<Message>();
  readonly #withdrawals = new Set<Withdrawal>();
  /** Drawn, so that two engines do not give the same marks to messages with the same id. */
  readonly #markStart = randomInt(1, 2 ** 20) * 2 ** 32;
  #markCount = 0;
  // For the metrics.
  /** Messages sent to another engine, those that were sent again included. */
  asked = 0;
  /** Messages whose outcome is unknown because a connection broke. */
  lost = 0;
  /** Messages refused because too many waited. */
  overflowed = 0;
  /** Acknowledged withdrawals. */
  withdrawn = 0;
  /** Withdrawals given up: too many, or too old. Their money stays held until the hold's lifetime ends. */
  withdrawalsDropped = 0;

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  get deadlineMs(): number {
    return this.#options.deadlineMs;
  }

  /** Messages that wait here, or for another engine's answer. */
  get waiting(): number {
    return this.#waiting.size + this.#asked.size;
  }

  get withdrawalsWaiting(): number {
    return this.#withdrawals.size;
  }

  get isIdle(): boolean {
    return this.waiting === 0 && this.#withdrawals.size === 0;
  }

  get readerPartition(): number {
    return Math.max(
      0,
      this.#options.hosts.findIndex(({ lane }) => lane.isReady),
    );
  }

  submit(partition: number, body: Uint8Array, waiter: Waiter): void {
    if (this.#isTakenHere(partition, body, 0, waiter)) return;
    // Copied: the body's bytes live only as long as the caller's callback.
    const marked = Buffer.allocUnsafe(body.length + markBytes);
    marked.set(body);
    marked.writeDoubleLE(this.#nextMark(), body.length);
    this.#placeOrWait(new Message(this, partition, marked, waiter, null));
  }

  /** A message of another engine. @param marked its body and its mark, read during the call only */
  fromPeer(partition: number, protocol: number, marked: Uint8Array, peer: PeerWaiter): void {
    const { guard } = this.#options;
    const waiter = guard === undefined ? peer : guard(protocol, marked, peer);
    if (waiter === null || this.#isTakenHere(partition, marked, EntryFlag.marked, waiter)) return;
    this.#placeOrWait(new Message(this, partition, Buffer.from(marked), waiter, peer));
  }

  /** The view, a host or a connection has changed: what waits is tried again. */
  wake(): void {
    this.#tryWaiting();
    this.#tryWithdrawals(this.#options.nowMs());
  }

  /** Refuses what waits beyond its deadline. Called by one coarse timer. */
  expire(nowMs: number): void {
    for (const message of this.#waiting) {
      if (!message.isOver(nowMs)) continue;
      this.#waiting.delete(message);
      this.refuse(message, reasonAtDeadline(message.waiter));
    }
    for (const message of this.#asked) {
      if (!message.isOver(nowMs)) continue;
      this.#asked.delete(message);
      // Whether it is to be withdrawn, its outcome says.
      if (!message.waiter.isSettled) message.waiter.refuse(Reason.systemError);
    }
    this.#tryWaiting();
    this.#tryWithdrawals(nowMs);
  }

  // --- messages -----------------------------------------------------------------------------------------------------

  #nextMark(): number {
    this.#markCount = (this.#markCount + 1) >>> 0;
    return this.#markStart + this.#markCount;
  }

  /** @returns false when another engine may have the partition, or it may be ready soon */
  #isTakenHere(partition: number, body: Uint8Array, flags: number, waiter: Waiter): boolean {
    const host = this.#options.hosts[partition]!;
    if (host.lane.claim(waiter.kind, flags, waiter.arrivalMs, body, waiter)) return true;
    if (host.lane.isReady) waiter.refuse(Reason.overloaded);
    else if (isBroken(host.state)) waiter.refuse(Reason.systemError);
    else return false;
    return true;
  }

  #leaseOf(partition: number): Pick<LeaseEntry, 'epoch' | 'holder' | 'reservedFor'> {
    return this.#options.viewOf().leases[partition] ?? unknownLease;
  }

  #tryWaiting(): void {
    // A copy: what is placed may wait again.
    for (const message of [...this.#waiting]) if (this.#isPlaced(message)) this.#waiting.delete(message);
  }

  #placeOrWait(message: Message): void {
    if (this.#isPlaced(message)) return;
    if (this.#waiting.size < waitingMax) {
      this.#waiting.add(message);
      return;
    }
    this.overflowed++;
    this.refuse(message, Reason.overloaded);
  }

  /** @returns whether it needs to wait no longer: it was taken, sent, refused, or its client has gone */
  #isPlaced(message: Message): boolean {
    const { partition, marked, waiter, peer } = message;
    if (waiter.isSettled) return true;
    const { hosts, isAnswered } = this.#options;
    const isHere = hosts[partition]!.lane.isReady;
    if (isHere && isAnswered?.(waiter.kind, marked.subarray(0, -markBytes), waiter) === true) return true;
    const isTaken =
      peer === null
        ? this.#isTakenHere(partition, marked.subarray(0, -markBytes), 0, waiter)
        : this.#isTakenHere(partition, marked, EntryFlag.marked, waiter);
    if (isTaken) return true;
    const { selfId } = this.#options;
    const { state } = this.#options.hosts[partition]!;
    const { epoch, holder, reservedFor } = this.#leaseOf(partition);
    if (peer !== null) {
      if (state === 'starting' || holder === selfId || reservedFor === selfId) return false;
      peer.notOwner();
      return true;
    }
    if (state === 'starting' || holder === null || holder === selfId) return false;
    const nowMs = this.#options.nowMs();
    if (message.isDenied(holder, epoch, nowMs)) return false;
    message.sent(holder, epoch, nowMs);
    if (!this.#options.links.ask(holder, partition, waiter.kind, marked, waiter.arrivalMs, message)) return false;
    this.asked++;
    this.#asked.add(message);
    return true;
  }

  /** Refuses a message that is not on its way any more. */
  refuse(message: Message, reason: Reason): void {
    if (!message.waiter.isSettled) message.waiter.refuse(reason);
    if (message.isUncertain) this.#withdrawRefused(message);
  }

  /** Its outcome has come. */
  arrived(message: Message): void {
    this.#asked.delete(message);
  }

  answered(message: Message, from: Answers, index: number): void {
    const { waiter } = message;
    const flags = from.answerFlags[index]!;
    const isRevocable = (flags & AnswerFlag.revocable) !== 0;
    // A repeat, perhaps of what it was answered itself when the connection broke.
    const mayBeRevocable = isRevocable || (message.isUncertain && (flags & AnswerFlag.approved) !== 0);
    if (isRevocable && message.isOver(from.returnedAtMs) && !waiter.isSettled) waiter.refuse(Reason.systemError);
    if (!waiter.isSettled) waiter.answer(from, index);
    else if (mayBeRevocable) this.#withdrawRefused(message);
  }

  denied(message: Message): void {
    if (message.waiter.isSettled) this.refuse(message, Reason.systemError);
    else this.#placeOrWait(message);
  }

  /** The engine that had it may have approved it. */
  isLost(message: Message): void {
    this.lost++;
    message.isUncertain = true;
    this.denied(message);
  }

  // --- withdrawals --------------------------------------------------------------------------------------------------

  /**
   * The sender answered 503 to this message: has an approval of it revoked that was decided here.
   * @param marked its body and its mark, read during the call only
   * @returns true once that is durable or nothing is to be done; false when it is to be tried again
   */
  withdraw(partition: number, protocol: number, marked: Uint8Array): Promise<boolean> {
    const { hosts, nowMs } = this.#options;
    const bytes = Buffer.allocUnsafe(1 + marked.length);
    bytes[0] = protocol;
    bytes.set(marked, 1);
    return new Promise((resolve) => {
      const waiter = new WithdrawalWaiter(resolve);
      if (!hosts[partition]!.lane.claim(EntryKind.withdrawal, 0, nowMs(), bytes, waiter)) resolve(false);
    });
  }

  /** A client that has gone without a 503 does not know the outcome, as with a partition here: it asks again. */
  #withdrawRefused({ partition, marked, waiter }: Message): void {
    // A booking is sent again until it is taken.
    if (!waiter.isRefused || waiter.kind === EntryKind.standIn) return;
    if (this.#withdrawals.size >= withdrawalsMax) {
      this.withdrawalsDropped++;
      return;
    }
    const nowMs = this.#options.nowMs();
    const withdrawal = new Withdrawal(partition, waiter.kind, marked, nowMs);
    this.#withdrawals.add(withdrawal);
    this.#tryWithdrawal(withdrawal, nowMs);
  }

  #tryWithdrawals(nowMs: number): void {
    for (const withdrawal of this.#withdrawals) {
      if (withdrawal.sinceMs + withdrawalMsMax > nowMs) this.#tryWithdrawal(withdrawal, nowMs);
      else if (this.#withdrawals.delete(withdrawal)) this.withdrawalsDropped++;
    }
  }

  #tryWithdrawal(withdrawal: Withdrawal, nowMs: number): void {
    if (withdrawal.isUnderWay || withdrawal.notBeforeMs > nowMs) return;
    const { partition, protocol, marked } = withdrawal;
    const { hosts, links, selfId } = this.#options;
    const { holder } = this.#leaseOf(partition);
    const isHere = hosts[partition]!.lane.isReady;
    if (!isHere && (holder === null || holder === selfId)) return;
    withdrawal.isUnderWay = true;
    const done = isHere
      ? this.withdraw(partition, protocol, marked)
      : links.withdraw(holder!, partition, protocol, marked);
    void done.then((isDone) => {
      if (isDone) {
        if (this.#withdrawals.delete(withdrawal)) this.withdrawn++;
      } else withdrawal.failed(this.#options.nowMs());
    });
  }
}

/** Before the first view. */
const unknownLease = { epoch: 0, holder: null, reservedFor: null };

/** Its thread or its journal fails here: no other engine has the partition. */
function isBroken(state: PartitionState): boolean {
  return state === 'restarting' || state === 'failed' || state === 'stopped';
}

/** A message that is not with a partition of this engine. */
class Message implements PeerOutcome {
  readonly #forwarder: Forwarder;
  readonly partition: number;
  /** The body and its mark. */
  readonly marked: Buffer;
  readonly waiter: Waiter;
  /** The waiter of another engine's message; null for one of this engine. */
  readonly peer: PeerWaiter | null;
  askedAtMs = 0;
  /** An engine may have decided it whose answer is lost. */
  isUncertain = false;
  #holder = '';
  #epoch = 0;
  #pauseMs = 0;

  constructor(forwarder: Forwarder, partition: number, marked: Buffer, waiter: Waiter, peer: PeerWaiter | null) {
    this.#forwarder = forwarder;
    this.partition = partition;
    this.marked = marked;
    this.waiter = waiter;
    this.peer = peer;
  }

  hopTrace(): TraceParent | undefined {
    return this.waiter.hopTrace?.();
  }

  /** Its deadline has passed, or its client has gone. */
  isOver(nowMs: number): boolean {
    return this.waiter.isSettled || this.waiter.arrivalMs + this.#forwarder.deadlineMs <= nowMs;
  }

  /** That engine said with that lease that it is not the owner, and the pause after that is not over. */
  isDenied(holder: string, epoch: number, nowMs: number): boolean {
    return holder === this.#holder && epoch === this.#epoch && nowMs < this.askedAtMs + this.#pauseMs;
  }

  sent(holder: string, epoch: number, nowMs: number): void {
    if (holder !== this.#holder || epoch !== this.#epoch) this.#pauseMs = 0;
    this.#holder = holder;
    this.#epoch = epoch;
    this.askedAtMs = nowMs;
  }

  answered(from: Answers, index: number): void {
    this.#forwarder.arrived(this);
    this.#forwarder.answered(this, from, index);
  }

  refused(reason: Reason): void {
    this.#forwarder.arrived(this);
    this.#forwarder.refuse(this, reason);
  }

  notOwner(): void {
    this.#forwarder.arrived(this);
    this.#pauseMs = Math.max(deniedPauseMsMin, 2 * this.#pauseMs);
    this.#forwarder.denied(this);
  }

  lost(): void {
    this.#forwarder.arrived(this);
    this.#forwarder.isLost(this);
  }
}

/** An approval that its client must not be charged for. */
class Withdrawal {
  readonly partition: number;
  readonly protocol: number;
  readonly marked: Buffer;
  readonly sinceMs: number;
  isUnderWay = false;
  notBeforeMs = 0;
  #pauseMs = withdrawalPauseMsMin;

  constructor(partition: number, protocol: number, marked: Buffer, sinceMs: number) {
    this.partition = partition;
    this.protocol = protocol;
    this.marked = marked;
    this.sinceMs = sinceMs;
  }

  failed(nowMs: number): void {
    this.isUnderWay = false;
    this.notBeforeMs = nowMs + this.#pauseMs;
    this.#pauseMs = Math.min(2 * this.#pauseMs, withdrawalPauseMsMax);
  }
}

/** Hears that the partition has carried out a withdrawal, or that it cannot now. */
class WithdrawalWaiter implements Waiter {
  readonly kind = EntryKind.withdrawal;
  /** Never too late: the lane refuses none because of its age. */
  readonly arrivalMs = Number.POSITIVE_INFINITY;
  readonly isRefused = false;
  reentries = 0;
  isSettled = false;
  readonly #resolve: (isDone: boolean) => void;

  constructor(resolve: (isDone: boolean) => void) {
    this.#resolve = resolve;
  }

  answer(): void {
    this.isSettled = true;
    this.#resolve(true);
  }

  refuse(): void {
    this.isSettled = true;
    this.#resolve(false);
  }
}
