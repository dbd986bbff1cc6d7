/**
 * Connections to Postgres whose queries run under a deadline of our own. The server's does not help when the server
 * stands still or its machine is gone, and TCP waits for minutes. After the deadline, or when the server has become
 * read-only, the connections are given up for new ones.
 */
import type postgres from 'postgres';
import { noAnswer, withDeadline } from '../process/deadline.js';
import { connectPostgres, writableHost } from './connect.js';

type Types = Record<string, postgres.PostgresType>;

/** SQLSTATE of a write on a standby, or on a server that was made one. */
const readOnly = '25006';

export class BoundedConnections<T extends Types = Record<never, never>> {
  readonly #url: string;
  readonly #options: postgres.Options<T>;
  /** Replaced when it does not answer in time. */
  #sql: ReturnType<typeof connectPostgres<T>>;
  #isClosed = false;

  constructor(url: string, options: postgres.Options<T>) {
    this.#url = url;
    this.#options = options;
    this.#sql = connectPostgres(url, options);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  async run<R>(deadlineMs: number, query: (sql: ReturnType<typeof connectPostgres<T>>) => PromiseLike<R>): Promise<R> {
    const sql = this.#sql;
    try {
      return await withDeadline(query(sql), deadlineMs, () => {
        this.#replace(sql);
        return noAnswer(deadlineMs);
      });
    } catch (error) {
      if ((error as { code?: unknown }).code === readOnly) this.#replace(sql);
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#sql.end({ timeout: 1 });
  }

  #replace(sql: ReturnType<typeof connectPostgres<T>>): void {
    if (this.#sql !== sql || this.#isClosed) return;
    writableHost(this.#url)?.doubt();
    this.#sql = connectPostgres(this.#url, this.#options);
    sql.end({ timeout: 0 }).catch(() => undefined);
  }
}
