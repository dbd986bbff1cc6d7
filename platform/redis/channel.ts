/**
 * A channel of Redis pub/sub by its two ends. Messages may be lost at any time: `connected` is called whenever a
 * listener begins to receive, so it knows that it may have missed some.
 */
import type { Redis } from 'ioredis';
import { connectForMessages } from './client.js';
import { ConnectionWatch } from './connection-watch.js';

/**
 * Asked this often, so that a connection on which nothing is said is not taken for a dead one, nor a dead one for it.
 */
const pingEveryMs = 1000;

export interface ListenerOptions {
  /** Shown by CLIENT LIST, which knows no blanks. */
  readonly name: string;
  readonly channel: string;
  received(message: Buffer): void;
  /** It hears (again). */
  connected(): void;
}

export class RedisListener {
  readonly #client: Redis;
  readonly #watch: ConnectionWatch;
  #pings: NodeJS.Timeout | undefined;
  #isListening = false;

  /** Connects and goes on connecting until it is stopped. */
  constructor(url: string, { name, channel, received, connected }: ListenerOptions) {
    const client = connectForMessages(url, { name });
    this.#client = client;
    this.#watch = new ConnectionWatch(client);
    client.on('ready', () => {
      // A failed ping shows in the silence that follows.
      this.#pings = setInterval(() => void client.ping().catch(() => undefined), pingEveryMs);
      client.subscribe(channel).then(
        () => {
          this.#isListening = true;
          connected();
        },
        (error: Error) => {
          this.#watch.failed(error);
          // Whether Redis received it is unknown: a new connection settles that.
          client.disconnect(true);
        },
      );
    });
    client.on('close', () => {
      this.#isListening = false;
      clearInterval(this.#pings);
    });
    client.on('messageBuffer', (_channel: Buffer, message: Buffer) => received(message));
  }

  /** '' while it hears. */
  get failure(): string {
    return this.#watch.failure || (this.#isListening ? '' : 'not subscribed yet');
  }

  stop(): void {
    clearInterval(this.#pings);
    this.#client.disconnect();
  }
}

export class ChannelPublisher {
  readonly #client: Redis;
  readonly #watch: ConnectionWatch;

  constructor(url: string, name: string) {
    this.#client = connectForMessages(url, { name });
    this.#watch = new ConnectionWatch(this.#client);
  }

  get failure(): string {
    return this.#watch.failure;
  }

  /** @returns false when it was not sent, or when that is unknown; it is never sent later */
  async publish(channel: string, message: string | Buffer): Promise<boolean> {
    if (this.#client.status !== 'ready') return false;
    try {
      await this.#client.publish(channel, message);
      return true;
    } catch {
      // A late answer is no failure yet; silence ends the connection, and that is one.
      return false;
    }
  }

  stop(): void {
    this.#client.disconnect();
  }
}
