/**
 * Two journal frames in shared memory, between a partition's thread, which fills them, and its syncer's thread, which
 * writes them and syncs. While one frame is on its way to the disk the other takes what is decided meanwhile. That is
 * the group commit: the partition never waits for a disk that keeps up.
 *
 * One word says whose turn it is; every step is one compare-and-swap, and the thread that has the turn owns what it
 * names. While the state is idle the syncer touches nothing. So the partition may also write the open frame itself,
 * continue the chain and count it in the progress block, and release the frame as empty.
 *
 *                begin                    commit
 *   idleEmpty ───────────► idleFilling ───────────► busyEmpty       partition: left to right
 *       ▲                       ▲                  begin│  ▲
 *       │ finish         finish │                       ▼  │ finish (takes the ready frame)
 *       └────── busyEmpty       └──────────────── busyFilling ──► busyReady
 *                                                       ▲  commit     │ begin
 *                                                       └─────────────┘
 *
 *   idle/busy   the syncer has nothing / a frame to write
 *   empty       the open frame holds nothing          filling   the partition is writing into it
 *   ready       it holds whole batches and waits for the syncer; the partition may go on filling it
 *
 * Ordering. Everything in a frame and its plan is stored before the compare-and-swap that hands it over. Atomics are
 * sequentially consistent, so the receiver sees it whole. The frame that was given away stays readable for the
 * partition until it begins to fill it again.
 *
 *   0 i32 state    4 i32 notified (see takeNotice)  8 f64 chain    16 f64 cells of the plans    then the two frames
 */
import { assert } from '../core/invariant.js';
import type { Doorbell } from './doorbell.js';

const State = {
  idleEmpty: 0,
  idleFilling: 1,
  busyEmpty: 2,
  busyFilling: 3,
  busyReady: 4,
  failed: 5,
} as const;

/** What the syncer must know about a frame: where it goes and what it holds. */
export interface FramePlan {
  /** Number of the segment that it belongs to. */
  segmentNumber: number;
  /** Where in the file it will stand. */
  offset: number;
  /** End of the last record in the frame. */
  recordsEnd: number;
  recordCount: number;
  firstSequence: number;
  /** Wall clock milliseconds of its newest batch. */
  atMs: number;
  /** Of the writer's lease. */
  epoch: number;
}

const planCells = 7;
const plansOffset = 16;
/** Frames begin on a page of their own, so that the two threads never share a cache line of them. */
const framesOffset = 4096;
const stateCell = 0;
const noticeCell = 1;

/** The syncer could not make a frame durable: no answer about what was not durable before may leave. */
export class ExchangeFailedError extends Error {
  override readonly name = 'ExchangeFailedError';
}

export class FrameExchange {
  readonly buffer: SharedArrayBuffer;
  readonly frames: readonly [Uint8Array, Uint8Array];
  readonly #words: Int32Array;
  readonly #chain: Float64Array;
  readonly #plans: readonly [Float64Array, Float64Array];
  /** The frame that the syncer writes: known to it alone while it is busy, set by the partition while it is idle. */
  readonly #current: Int32Array;
  readonly #bell: Doorbell | null;

  /** Makes the memory for frames of up to `frameBytesMax` bytes. */
  static create(frameBytesMax: number): SharedArrayBuffer {
    assert(frameBytesMax % 4096 === 0 || frameBytesMax < 4096, 'frames are whole pages, or tiny');
    return new SharedArrayBuffer(framesOffset + 2 * frameBytesMax);
  }

  /**
   * Attaches to memory that create() made, in any thread.
   * @param bell rung for a syncer that serves several partitions; null where one waits for this partition alone
   */
  constructor(buffer: SharedArrayBuffer, bell: Doorbell | null = null) {
    this.buffer = buffer;
    this.#bell = bell;
    const frameBytes = (buffer.byteLength - framesOffset) / 2;
    this.#words = new Int32Array(buffer, 0, 2);
    this.#chain = new Float64Array(buffer, 8, 1);
    this.#plans = [
      new Float64Array(buffer, plansOffset, planCells),
      new Float64Array(buffer, plansOffset + planCells * 8, planCells),
    ];
    this.#current = new Int32Array(buffer, plansOffset + 2 * planCells * 8, 1);
    this.frames = [
      new Uint8Array(buffer, framesOffset, frameBytes),
      new Uint8Array(buffer, framesOffset + frameBytes, frameBytes),
    ];
  }

  /**
   * CRC of the last frame's header, which the next one names. The partition may read and set it while nothing is under
   * way.
   */
  get chain(): number {
    return this.#chain[0]!;
  }
  set chain(value: number) {
    this.#chain[0] = value;
  }

  #move(from: number, to: number): boolean {
    return Atomics.compareExchange(this.#words, stateCell, from, to) === from;
  }

  // --- the partition's side ------------------------------------------------------------------------------------------

  /**
   * The partition begins to fill the open frame.
   * @param holds the open frame has whole batches in it, committed earlier
   * @returns false when the syncer has taken that frame meanwhile: the other one is open, and empty
   */
  begin(holds: boolean): boolean {
    for (;;) {
      const state = this.#loadAlive();
      assert(state !== State.idleFilling && state !== State.busyFilling, 'one batch at a time fills a frame');
      const next = state === State.idleEmpty ? State.idleFilling : State.busyFilling;
      if (this.#move(state, next)) return !holds || state === State.busyReady;
    }
  }

  /**
   * The open frame `index` holds whole batches, as `plan` says. It is written at once, or as soon as the one before it
   * is durable.
   */
  commit(index: 0 | 1, plan: Readonly<FramePlan>): void {
    const cells = this.#plans[index];
    cells[0] = plan.segmentNumber;
    cells[1] = plan.offset;
    cells[2] = plan.recordsEnd;
    cells[3] = plan.recordCount;
    cells[4] = plan.firstSequence;
    cells[5] = plan.atMs;
    cells[6] = plan.epoch;
    this.#offer(index);
  }

  /** Between begin() and commit(): the syncer has nothing, and gets nothing before release() or commit(). */
  get isIdle(): boolean {
    return Atomics.load(this.#words, stateCell) === State.idleFilling;
  }

  /** Nothing was added to the open frame since begin(), or the partition has made all of it durable itself. */
  release(index: 0 | 1, holds: boolean): void {
    if (holds) {
      this.#offer(index);
      return;
    }
    for (;;) {
      const state = this.#loadAlive();
      if (this.#move(state, state === State.idleFilling ? State.idleEmpty : State.busyEmpty)) return;
    }
  }

  #offer(index: 0 | 1): void {
    for (;;) {
      const state = this.#loadAlive();
      if (state === State.idleFilling) {
        // The syncer sleeps: it reads this cell only once the state says busy.
        this.#current[0] = index;
        if (!this.#move(State.idleFilling, State.busyEmpty)) continue;
        Atomics.notify(this.#words, stateCell);
        this.#bell?.ring();
        return;
      }
      assert(state === State.busyFilling, 'commit comes after begin');
      if (this.#move(State.busyFilling, State.busyReady)) return;
    }
  }

  /** Blocks until everything that was committed is durable. Not while filling. */
  drain(): void {
    this.#bell?.flush();
    for (;;) {
      const state = this.#loadAlive();
      if (state === State.idleEmpty) return;
      Atomics.wait(this.#words, stateCell, state);
    }
  }

  #loadAlive(): number {
    const state = Atomics.load(this.#words, stateCell);
    if (state === State.failed) throw new ExchangeFailedError('the frame before could not be made durable');
    return state;
  }

  // --- the syncer's side ---------------------------------------------------------------------------------------------

  /** The frame that there is to write; -1: there is none. */
  get ready(): 0 | 1 | -1 {
    const state = Atomics.load(this.#words, stateCell);
    return state >= State.busyEmpty && state <= State.busyReady ? (this.#current[0] as 0 | 1) : -1;
  }

  /** Blocks until there is a frame to write. @returns its index */
  next(): 0 | 1 {
    for (;;) {
      const state = Atomics.load(this.#words, stateCell);
      if (state >= State.busyEmpty && state <= State.busyReady) return this.#current[0] as 0 | 1;
      Atomics.wait(this.#words, stateCell, state);
    }
  }

  /** Where the frame goes. Reads into `plan`. */
  readPlan(index: 0 | 1, plan: FramePlan): void {
    const cells = this.#plans[index];
    plan.segmentNumber = cells[0]!;
    plan.offset = cells[1]!;
    plan.recordsEnd = cells[2]!;
    plan.recordCount = cells[3]!;
    plan.firstSequence = cells[4]!;
    plan.atMs = cells[5]!;
    plan.epoch = cells[6]!;
  }

  /** The frame is durable. Takes the other one when it is ready; next() then returns at once. */
  finish(): void {
    for (;;) {
      const state = Atomics.load(this.#words, stateCell);
      assert(state >= State.busyEmpty && state <= State.busyReady, 'finish comes after next');
      const next =
        state === State.busyEmpty ? State.idleEmpty : state === State.busyFilling ? State.idleFilling : State.busyEmpty;
      if (!this.#move(state, next)) continue;
      if (state === State.busyReady) this.#current[0] = 1 - this.#current[0]!;
      // For a partition that drains.
      Atomics.notify(this.#words, stateCell);
      return;
    }
  }

  /** The frame could not be made durable: final. */
  fail(): void {
    Atomics.store(this.#words, stateCell, State.failed);
    Atomics.notify(this.#words, stateCell);
  }

  // --- notices to the front ------------------------------------------------------------------------------------------

  /** Whether the front needs a notice that more is durable: false while a message about it is still on its way. */
  takeNotice(): boolean {
    return Atomics.exchange(this.#words, noticeCell, 1) === 0;
  }

  /** The front has the message. Call before reading what is durable, so that nothing falls between the two. */
  acknowledge(): void {
    Atomics.store(this.#words, noticeCell, 0);
  }
}
