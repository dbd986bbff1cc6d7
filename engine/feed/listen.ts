/** Hints by Postgres LISTEN/NOTIFY: the messenger of an engine without Redis. They carry the newest number only. */
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { type Messenger, type MessengerEvents, silenceMsMax } from './messenger.js';
import type { Outbox } from './outbox.js';

const connectTimeoutS = 2;

export class ListenMessenger implements Messenger {
  readonly name = 'postgres';
  readonly carriesEntries = false;
  readonly #outbox: Outbox;
  readonly #sql: postgres.Sql;
  #receivedAtMs = Number.NEGATIVE_INFINITY;
  #failure = 'not connected yet';
  #isStopped = false;

  constructor(url: string, outbox: Outbox) {
    this.#outbox = outbox;
    this.#sql = postgres(url, {
      max: 1,
      connect_timeout: connectTimeoutS,
      onnotice: () => undefined,
      connection: { application_name: 'engine feed listener' },
    });
  }

  get isUp(): boolean {
    return performance.now() - this.#receivedAtMs < silenceMsMax;
  }

  get failure(): string {
    return this.#failure;
  }

  start(events: MessengerEvents): void {
    void this.#listen(events);
  }

  async #listen(events: MessengerEvents): Promise<void> {
    while (!this.#isStopped) {
      try {
        // The driver listens again by itself after a lost connection, and calls the third argument each time.
        await this.#sql.listen(
          'feed',
          (newest) => {
            this.#receivedAtMs = performance.now();
            events.announced(Number(newest));
          },
          () => {
            this.#failure = '';
            events.connected();
          },
        );
        return;
      } catch (error) {
        this.#failure = (error as Error).message;
        await delay(silenceMsMax);
      }
    }
  }

  async applied(sequence: number, setApart: number): Promise<boolean> {
    try {
      await this.#outbox.notifyApplied(sequence, setApart);
      return true;
    } catch {
      return false;
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#sql.end({ timeout: 1 });
  }
}
