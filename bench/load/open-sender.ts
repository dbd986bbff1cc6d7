/**
 * The open loop: requests are due at instants fixed in advance. A latency counts from the instant at which its request
 * was due, not from when it could be sent. A server that stalls is charged for every request that was due meanwhile (no
 * coordinated omission).
 *
 * A request that is due while every connection waits for an answer joins a queue; its time there counts. The thread
 * keeps the schedule itself, because node's timers are a millisecond coarse. It looks at the clock each turn of its
 * event loop. When nothing is due, it gives its core up for a fraction of a millisecond at a time. An answer may
 * therefore be noticed up to that much late: latencies err upwards, never downwards. How late the schedule was kept is
 * itself recorded (`lag`).
 */
import type { Connection } from './connection.js';
import { Random } from './random.js';
import { Ring } from './ring.js';
import { Schedule } from './schedule.js';
import { Sender } from './sender.js';

/**
 * The longest rest. Shorter rests notice answers sooner and cost more of the cores that the server needs too. At 0.1 ms
 * (the kernel adds some 0.05) the polling costs a few percent of one core.
 */
const restMsMax = 0.1;
/** Below this a rest costs more than it frees. */
const restMsMin = 0.02;
/** Longest time without looking at the sockets while behind schedule. */
const dispatchCountMax = 64;
/** Keeps the stream of gaps apart from the stream of cards, which uses the thread's number. */
const scheduleStream = 1000;

export class OpenSender extends Sender {
  #schedule: Schedule | null = null;
  /** When the schedule began, and when it ends: requests due later do not count. */
  #zeroMs = 0;
  #endMs = Number.POSITIVE_INFINITY;
  /** Every connection in turn: with more of them than requests at once, all are used. */
  readonly #free = new Ring<Connection>();
  /** Instants of the requests that are due and wait for a connection. */
  readonly #waiting = new Ring<number>();
  readonly #sleepCell = new Int32Array(new SharedArrayBuffer(4));

  protected get waitingCount(): number {
    return this.#waiting.length;
  }

  protected started(nowMs: number): void {
    const { options, threadNumber } = this.plan;
    if (options.pace.kind !== 'open') throw new Error('an open sender needs an open pace');
    const { arrivals, ratePerSecond } = options.pace;
    const random = new Random(options.seed, scheduleStream + threadNumber);
    const { threadCount } = options;
    this.#schedule = new Schedule(arrivals, ratePerSecond / threadCount, random, threadNumber / threadCount);
    this.#zeroMs = nowMs;
    this.#turn();
  }

  protected measuredFrom(nowMs: number): number {
    return nowMs;
  }

  protected stopping(nowMs: number): void {
    this.#endMs = nowMs;
    // What is due by now belongs to the measured time, also if the thread comes to it only now.
    this.#takeDue(nowMs, Number.POSITIVE_INFINITY);
    this.tally.stop(nowMs);
  }

  protected release(connection: Connection, nowMs: number): void {
    const { timeoutMs } = this.plan.options;
    for (let dueMs = this.#waiting.shift(); dueMs !== undefined; dueMs = this.#waiting.shift()) {
      if (nowMs - dueMs < timeoutMs) {
        this.dispatch(connection, dueMs, nowMs);
        return;
      }
      // No client waits that long: it is given up unsent, and counts with its age.
      this.tally.timedOut(dueMs, nowMs);
    }
    this.#free.push(connection);
  }

  override expire(nowMs: number): void {
    const { timeoutMs } = this.plan.options;
    for (
      let dueMs = this.#waiting.first;
      dueMs !== undefined && nowMs - dueMs >= timeoutMs;
      dueMs = this.#waiting.first
    ) {
      this.#waiting.shift();
      this.tally.timedOut(dueMs, nowMs);
    }
    super.expire(nowMs);
    this.finishIfDrained();
  }

  readonly #turn = (): void => {
    if (this.phase === 'done') return;
    const nowMs = performance.now();
    const caughtUp = this.#takeDue(nowMs, dispatchCountMax);
    if (caughtUp) this.#rest();
    setImmediate(this.#turn);
  };

  /** @returns false when more is due. */
  #takeDue(nowMs: number, countMax: number): boolean {
    const schedule = this.#schedule!;
    for (let count = 0; this.#zeroMs + schedule.nextMs <= nowMs; count++) {
      if (count === countMax) return false;
      const dueMs = this.#zeroMs + schedule.nextMs;
      if (dueMs > this.#endMs || this.requestsUsedUp) return true;
      schedule.advance();
      this.requestCount++;
      const connection = this.#nextFree();
      this.tally.due(dueMs, nowMs, connection === undefined);
      if (connection === undefined) this.#waiting.push(dueMs);
      else this.dispatch(connection, dueMs, nowMs);
    }
    return true;
  }

  /** Connections that failed while they were free are skipped: they come back by themselves. */
  #nextFree(): Connection | undefined {
    for (let connection = this.#free.shift(); connection !== undefined; connection = this.#free.shift()) {
      if (connection.connected && !connection.busy) return connection;
    }
    return undefined;
  }

  #rest(): void {
    const beganMs = performance.now();
    const untilDueMs = this.#zeroMs + this.#schedule!.nextMs - beganMs;
    const restMs = untilDueMs > restMsMax || untilDueMs < 0 ? restMsMax : untilDueMs;
    if (restMs < restMsMin) return;
    Atomics.wait(this.#sleepCell, 0, 0, restMs);
    this.tally.restedMs += performance.now() - beganMs;
  }
}
