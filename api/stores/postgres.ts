/**
 * The pool of Postgres connections that the stores of the API use. They run every query through `run`. It gives the
 * query a name, a bounded wait for a connection, a deadline, and a warning when it is slow. Never use `sql.begin` for
 * work that must not be half done. One statement is atomic; the driver's transactions are not after a lost connection
 * (its issue 1216).
 *
 * Values arrive as the API writes them: bigint as a safe integer, dates as YYYY-MM-DD. Timestamps are RFC 3339 texts in
 * UTC with all their microseconds, so that a keyset cursor loses none.
 */
import type postgres from 'postgres';
import type { Log } from '../../platform/log.js';
import { OperationTimes } from '../../platform/metrics/operation-times.js';
import { BoundedConnections } from '../../platform/postgres/bounded-connections.js';
import { isConnectionError } from '../../platform/postgres/driver-errors.js';
import { Listener } from '../../platform/postgres/listener.js';
import { noteHop } from '../../platform/tracing/request-trace.js';
import type { PostgresConfig } from '../config.js';
import { type By, type Gate, gateOf } from './acting.js';
import { DatabaseUnavailable, refusalOf } from './database-errors.js';
import type { Sql } from './sql.js';

export type { Sql } from './sql.js';

/** A person waits for the answer: fail while they still do. Background work passes a longer wait. */
export const requestAcquireMs = 2000;
/** Beyond the server's own limit on a statement: only a connection that hangs runs into it. */
const hangGraceMs = 1000;
/** Callers that may wait for a connection. At a millisecond a query it takes 20 connections 50 ms to serve them. */
const waitingMax = 1000;
const watchEveryMs = 1000;
const pingDeadlineMs = 2000;
/** Text of a slow query in the log, in characters. */
const loggedTextMax = 500;

interface Waiter {
  readonly grant: () => void;
  readonly refuse: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export interface DatabaseHealth {
  readonly isUp: boolean;
  readonly detail: string;
}

export class Database {
  readonly #config: PostgresConfig;
  readonly #log: Log;
  readonly #name: string;
  readonly #connections: BoundedConnections<typeof types>;
  #active = 0;
  readonly #waiting: Waiter[] = [];
  #watcher: NodeJS.Timeout | undefined;
  /** Null: up, as far as we know. */
  #downReason: string | null = null;
  #isPinging = false;
  #isClosed = false;
  /** Counters, read by the metrics. */
  queries = 0;
  slowQueries = 0;
  failedQueries = 0;
  readonly times = new OperationTimes();

  /** @param name shown in pg_stat_activity */
  constructor(config: PostgresConfig, log: Log, name = 'api') {
    this.#config = config;
    this.#log = log;
    this.#name = name;
    this.#connections = new BoundedConnections(config.url, {
      max: config.poolMax,
      idle_timeout: config.idleS,
      connect_timeout: config.connectS,
      onnotice: () => undefined,
      connection: {
        application_name: name,
        TimeZone: 'UTC',
        statement_timeout: config.statementMs,
        // Triggers refuse a write of this process that does not begin with the gate (sql/migrations/262).
        'audit.required': 'on',
        // Our lists walk an index in the order of the list and stop at the page's end. A bitmap reads everything first,
        // which the planner finds cheap for an average customer and which is not for the largest one.
        enable_bitmapscan: 'off',
      },
      types,
    });
  }

  get max(): number {
    return this.#config.poolMax;
  }
  get active(): number {
    return this.#active;
  }
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Watches Postgres from now on; throws when it does not answer the first time. */
  async start(): Promise<void> {
    await this.#ping();
    if (this.#downReason !== null) {
      this.#log.warn({ reason: this.#downReason }, 'Postgres does not answer yet: serving without it until it does');
    }
    this.#watcher = setInterval(() => void this.#ping(), watchEveryMs);
    this.#watcher.unref();
  }

  health(): DatabaseHealth {
    return this.#downReason === null
      ? { isUp: true, detail: `answers; ${this.#active} of ${this.#config.poolMax} connections busy` }
      : { isUp: false, detail: this.#downReason };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#watcher);
    for (const waiter of this.#waiting.splice(0)) {
      clearTimeout(waiter.timer);
      waiter.refuse(new DatabaseUnavailable('the pool is closing'));
    }
    await this.#connections.close();
  }

  /**
   * Runs one query.
   * @param name for logs: `table.purpose`
   * @param build makes the query; called once a connection is free
   * @param acquireMs longest wait for that
   * @throws DatabaseUnavailable when Postgres is away, late or overrun; errors of the statement itself as they are
   */
  async run<T extends readonly unknown[]>(
    name: string,
    build: (sql: Sql) => PromiseLike<T>,
    acquireMs: number = requestAcquireMs,
  ): Promise<T> {
    // Known to be away: an error now is better than the same error after a time-out.
    if (this.#downReason !== null) throw new DatabaseUnavailable(this.#downReason);
    if (this.#active >= this.#config.poolMax) await this.#acquire(Math.min(acquireMs, this.#config.acquireMs));
    else this.#active++;
    try {
      return await this.#execute(name, build, this.#config.statementMs + hangGraceMs);
    } finally {
      this.#release();
    }
  }

  /**
   * Runs one statement that writes for an actor. The statement begins with the gate, or the database refuses it.
   * @throws ActorRefused when they may not write any more; what `run` throws
   */
  async write<T extends readonly unknown[]>(
    by: By,
    name: string,
    build: (sql: Sql, gate: Gate) => PromiseLike<T>,
    acquireMs: number = requestAcquireMs,
  ): Promise<T> {
    try {
      return await this.run(name, (sql) => build(sql, gateOf(sql, by)), acquireMs);
    } catch (error) {
      throw refusalOf(error);
    }
  }

  /**
   * Hears a channel on a connection of its own. Whether it still does is for the caller to watch.
   * @returns what ends it
   */
  async listen(channel: string, received: (text: string) => void): Promise<() => Promise<void>> {
    const listener = new Listener(this.#config.directUrl, `${this.#name} listener`);
    try {
      await listener.listen(channel, received, () => undefined);
    } catch (error) {
      await listener.close();
      throw error;
    }
    return () => listener.close();
  }

  #acquire(waitMs: number): Promise<void> {
    if (this.#waiting.length >= waitingMax) throw new DatabaseUnavailable('too many queries wait for a connection');
    return new Promise((grant, refuse) => {
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        refuse(new DatabaseUnavailable(`no connection was free within ${waitMs} ms`));
      }, waitMs);
      const waiter: Waiter = { grant, refuse, timer };
      this.#waiting.push(waiter);
    });
  }

  /** Hands the permit to the caller that waits longest, or gives it back. */
  #release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) {
      this.#active--;
      return;
    }
    clearTimeout(next.timer);
    next.grant();
  }

  async #execute<T extends readonly unknown[]>(
    name: string,
    build: (sql: Sql) => PromiseLike<T>,
    deadlineMs: number,
  ): Promise<T> {
    const startedMs = performance.now();
    try {
      const rows = await this.#connections.run(deadlineMs, build);
      this.#noteTime(name, rows, performance.now() - startedMs);
      noteHop(`postgres ${name}`, startedMs);
      return rows;
    } catch (error) {
      this.failedQueries++;
      noteHop(`postgres ${name}`, startedMs, (error as Error).message);
      if (!isConnectionError(error)) throw error;
      // One lost connection is not a lost server: the watcher finds out which it is.
      void this.#ping();
      throw new DatabaseUnavailable(`${name}: ${(error as Error).message}`, { cause: error });
    }
  }

  #noteTime(name: string, rows: readonly unknown[], tookMs: number): void {
    this.queries++;
    // `table.purpose`: some twenty tables.
    this.times.add(name.split('.', 1)[0]!, tookMs);
    if (tookMs <= this.#config.slowQueryMs) return;
    this.slowQueries++;
    // The text has $1 … where values stood: the values themselves are never logged.
    const { statement } = rows as Partial<postgres.RowList<postgres.Row[]>>;
    const text = statement?.string.replace(/\s+/g, ' ').slice(0, loggedTextMax);
    this.#log.warn({ query: name, tookMs: Math.round(tookMs), rows: rows.length, text }, 'slow query, values masked');
  }

  async #ping(): Promise<void> {
    if (this.#isPinging || this.#isClosed) return;
    this.#isPinging = true;
    try {
      await this.#execute('ping', (sql) => sql`select 1`, pingDeadlineMs);
      if (this.#downReason !== null) this.#log.info('Postgres answers again');
      this.#downReason = null;
    } catch (error) {
      const { message } = error as Error;
      if (this.#downReason === null && this.#watcher !== undefined)
        this.#log.error({ error: message }, 'Postgres is away');
      this.#downReason = message;
    } finally {
      this.#isPinging = false;
    }
  }
}

const types = {
  bigint: { to: 20, from: [20], parse: parseBigint, serialize: String },
  timestamp: { to: 1184, from: [1184], parse: parseTimestamp, serialize: String },
  date: { to: 1082, from: [1082], parse: String, serialize: String },
};

function parseBigint(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError('a bigint column is beyond 2^53');
  return value;
}

/** `2026-11-24 05:44:50.123+00` → `2026-11-24T05:44:50.123Z`: the session's zone is UTC. */
function parseTimestamp(text: string): string {
  return `${text.slice(0, 10)}T${text.slice(11, -3)}Z`;
}
