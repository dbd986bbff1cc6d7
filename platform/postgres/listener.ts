/**
 * Listens to channels of Postgres on one connection of its own, which is made again for as long as it takes. The
 * driver's own `listen` tries once after a lost connection and says nothing when that fails. The URL must lead to the
 * server itself: a pooler in transaction mode gives the session that listens to other clients.
 */
import type postgres from 'postgres';
import { connectPostgres } from './connect.js';

const connectTimeoutS = 2;
/** A hint that is missed for so long is made up for by asking. */
const retryMs = 250;

interface Channel {
  readonly received: (text: string) => void;
  readonly connected: () => void;
}

export class Listener {
  readonly #sql: postgres.Sql;
  readonly #channels = new Map<string, Channel>();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  /** Why it does not hear; '' while it does. */
  failure = 'not connected yet';

  /** @param name shown in pg_stat_activity */
  constructor(url: string, name: string) {
    // The driver hands unknown notifications to this option, which its types leave out.
    const onnotify = (channel: string, text: string) => this.#channels.get(channel)?.received(text);
    this.#sql = connectPostgres(url, {
      max: 1,
      idle_timeout: 0,
      max_lifetime: null,
      connect_timeout: connectTimeoutS,
      fetch_types: false,
      onnotice: () => undefined,
      onclose: () => this.#lost(),
      connection: { application_name: name },
      ...{ onnotify },
    });
  }

  /**
   * @param connected called each time that it begins to hear: something may have been missed
   * @throws when the first connection fails; a later one is tried again by itself
   */
  async listen(channel: string, received: (text: string) => void, connected: () => void): Promise<void> {
    if (this.#isClosed) throw new Error('the listener is closed');
    await this.#begin(channel, { received, connected });
    this.#channels.set(channel, { received, connected });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#sql.end({ timeout: 1 });
  }

  async #begin(name: string, channel: Channel): Promise<void> {
    try {
      await this.#sql.unsafe(`listen "${name}"`);
    } catch (error) {
      this.failure = (error as Error).message;
      throw error;
    }
    this.failure = '';
    channel.connected();
  }

  #lost(): void {
    if (this.#isClosed || this.#channels.size === 0) return;
    if (this.failure === '') this.failure = 'the connection was lost';
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#again(), retryMs);
  }

  async #again(): Promise<void> {
    try {
      for (const [name, channel] of this.#channels) await this.#begin(name, channel);
    } catch {
      this.#lost();
    }
  }
}
