/**
 * What both loops of the generator share: the connections of one thread, the phases of a run, the counting. A subclass
 * says what happens with a connection that is free.
 */
import type { AnswerView } from './answer.js';
import { Connection, type ConnectionOwner } from './connection.js';
import type { Tally } from './tally.js';
import type { ThreadMessage, ThreadPlan } from './thread.js';
import type { Exchange, Traffic } from './traffic.js';

/**
 * Connections that are being made at once: a listening socket's queue is bounded, and an overflow costs a second each.
 */
const connectingCountMax = 256;

type Phase = 'connecting' | 'running' | 'draining' | 'done';

export abstract class Sender implements ConnectionOwner {
  protected readonly plan: ThreadPlan;
  protected readonly traffic: Traffic;
  protected readonly tally: Tally;
  protected phase: Phase = 'connecting';
  protected inFlightCount = 0;
  /** Requests made so far: sent in a closed loop, due in an open one. */
  protected requestCount = 0;
  readonly #post: (message: ThreadMessage) => void;
  readonly #connections: Connection[];
  #connectStartedCount = 0;
  #readyCount = 0;
  /** Connections that stay closed. */
  #closedCount = 0;
  #exhaustedPosted = false;

  constructor(plan: ThreadPlan, traffic: Traffic, tally: Tally, post: (message: ThreadMessage) => void) {
    this.plan = plan;
    this.traffic = traffic;
    this.tally = tally;
    this.#post = post;
    const { host, port } = plan.options;
    this.#connections = Array.from(
      { length: plan.connectionCount },
      () => new Connection(this, host, port, traffic.exchange()),
    );
  }

  /** Posts `ready` when all are connected. */
  connect(): void {
    while (this.#connectStartedCount < Math.min(connectingCountMax, this.#connections.length)) this.#connectNext();
  }

  #connectNext(): void {
    this.#connections[this.#connectStartedCount++]?.connect();
  }

  start(): void {
    if (this.phase !== 'connecting') return;
    this.phase = 'running';
    const nowMs = performance.now();
    this.started(nowMs);
    for (const connection of this.#connections)
      if (connection.connected && !connection.busy) this.release(connection, nowMs);
  }

  /** The warm-up is over. */
  measure(): void {
    const nowMs = performance.now();
    this.tally.start(this.measuredFrom(nowMs), nowMs);
    this.start();
  }

  /** Nothing new is sent; what is under way is waited for, each with its timeout. */
  stop(): void {
    const nowMs = performance.now();
    this.stopping(nowMs);
    this.phase = 'draining';
    this.finishIfDrained();
  }

  /** Called several times a second: gives up what waited too long. */
  expire(nowMs: number): void {
    for (const connection of this.#connections) connection.expire(nowMs, this.plan.options.timeoutMs);
    this.postIfExhausted();
  }

  onOpen(connection: Connection): void {
    if (this.phase === 'connecting') {
      this.#connectNext();
      if (++this.#readyCount === this.plan.connectionCount) this.#post({ kind: 'ready' });
    } else {
      this.release(connection, performance.now());
    }
  }

  onAnswer(connection: Connection, answer: AnswerView, nowMs: number): void {
    this.inFlightCount--;
    const { exchange, startMs } = connection;
    this.tally.answered(this.traffic.judge(exchange, answer), answer.status, exchange.kind, startMs, nowMs);
    this.release(connection, nowMs);
    if (this.phase === 'draining') this.finishIfDrained();
  }

  onError(connection: Connection, error: Error, startMs: number | null): void {
    this.tally.failed(error, startMs);
    if (startMs !== null) this.#lost(connection.exchange);
  }

  onTimeout(connection: Connection, startMs: number, nowMs: number): void {
    this.tally.timedOut(startMs, nowMs);
    this.#lost(connection.exchange);
  }

  onClosed(): void {
    this.#closedCount++;
    this.postIfExhausted();
  }

  onUnreachable(error: Error): void {
    throw error;
  }

  #lost(exchange: Exchange): void {
    this.inFlightCount--;
    this.traffic.abandon?.(exchange);
    if (this.phase === 'draining') this.finishIfDrained();
  }

  /** Sends the next request on a free connection. `startMs`: from when its latency counts. */
  protected dispatch(connection: Connection, startMs: number, nowMs: number): void {
    this.inFlightCount++;
    connection.send(this.traffic.compose(connection.exchange), startMs, nowMs);
  }

  protected get requestsUsedUp(): boolean {
    return this.plan.requestCountMax !== null && this.requestCount >= this.plan.requestCountMax;
  }

  /** Says to the main thread that waiting for the end of the time has no purpose. */
  protected postIfExhausted(): void {
    const usedUp = this.requestsUsedUp && this.inFlightCount === 0 && this.waitingCount === 0;
    if (this.#exhaustedPosted || !(usedUp || this.#closedCount === this.plan.connectionCount)) return;
    this.#exhaustedPosted = true;
    this.#post({ kind: 'exhausted' });
  }

  protected finishIfDrained(): void {
    const dead = this.#closedCount === this.plan.connectionCount;
    if (this.phase !== 'draining' || (this.inFlightCount + this.waitingCount > 0 && !dead)) return;
    this.phase = 'done';
    for (const connection of this.#connections) connection.stopRenewing();
    this.#post({ kind: 'report', report: this.tally.report() });
  }

  /** Requests that are due and were not sent yet. */
  protected abstract get waitingCount(): number;
  protected abstract started(nowMs: number): void;
  /** Requests that began before this instant are warm-up. */
  protected abstract measuredFrom(nowMs: number): number;
  protected abstract stopping(nowMs: number): void;
  /** The connection is connected and free; the phase may be any but `connecting`. */
  protected abstract release(connection: Connection, nowMs: number): void;
}
