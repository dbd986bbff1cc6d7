/** Hints by Postgres LISTEN/NOTIFY: the messenger of an engine without Redis. They carry the newest number only. */
import { setTimeout as delay } from 'node:timers/promises';
import { Listener } from '../../platform/postgres/listener.js';
import { type Messenger, type MessengerEvents, silenceMsMax } from './messenger.js';
import type { Outbox } from './outbox.js';

export class ListenMessenger implements Messenger {
  readonly name = 'postgres';
  readonly carriesEntries = false;
  readonly #outbox: Outbox;
  readonly #listener: Listener;
  #receivedAtMs = Number.NEGATIVE_INFINITY;
  #isStopped = false;

  constructor(url: string, outbox: Outbox) {
    this.#outbox = outbox;
    this.#listener = new Listener(url, 'engine feed listener');
  }

  get isUp(): boolean {
    return performance.now() - this.#receivedAtMs < silenceMsMax;
  }

  get failure(): string {
    return this.#listener.failure;
  }

  start(events: MessengerEvents): void {
    void this.#listen(events);
  }

  async #listen(events: MessengerEvents): Promise<void> {
    while (!this.#isStopped) {
      try {
        await this.#listener.listen(
          'feed',
          (newest) => {
            this.#receivedAtMs = performance.now();
            events.announced(Number(newest));
          },
          () => events.connected(),
        );
        return;
      } catch {
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
    await this.#listener.close();
  }
}
