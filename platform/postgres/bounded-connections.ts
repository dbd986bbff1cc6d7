/**
 * Connections to Postgres whose queries run under a deadline of our own. The server's does not help when the server
 * stands still or its machine is gone, and TCP waits for minutes. After the deadline the connections are given up for
 * new ones.
 */
import type postgres from 'postgres';
import { noAnswer, withDeadline } from '../process/deadline.js';

export class BoundedConnections {
  readonly #connect: () => postgres.Sql;
  /** Replaced when it does not answer in time. */
  #sql: postgres.Sql;
  #isClosed = false;

  constructor(connect: () => postgres.Sql) {
    this.#connect = connect;
    this.#sql = connect();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  run<T>(deadlineMs: number, query: (sql: postgres.Sql) => Promise<T>): Promise<T> {
    const sql = this.#sql;
    return withDeadline(query(sql), deadlineMs, () => {
      if (this.#sql === sql && !this.#isClosed) {
        this.#sql = this.#connect();
        sql.end({ timeout: 0 }).catch(() => undefined);
      }
      return noAnswer(deadlineMs);
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#sql.end({ timeout: 1 });
  }
}
