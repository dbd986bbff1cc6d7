/** The relay's voice on Redis pub/sub, with REDIS_URL. */
import type { FeedEntry } from '../../engine/core/feed.js';
import { appliedChannel, frameChannel, frameEntriesMax, packFrame } from '../../engine/core/feed-frame.js';
import { connectRedis, type RedisClient } from '../../engine/redis/client.js';
import { type Heard, hearReport, type Publisher } from './publisher.js';

const pingEveryMs = 1000;
const deadAfterMs = 3000;

export class RedisPublisher implements Publisher {
  readonly name = 'redis';
  readonly carriesEntries = true;
  readonly #channel: string;
  readonly #appliedChannel: string;
  readonly #publisher: RedisClient;
  readonly #subscriber: RedisClient;
  #failure = 'not connected yet';
  #pings: NodeJS.Timeout | undefined;

  constructor(url: string, feedId: string) {
    this.#channel = frameChannel(feedId);
    this.#appliedChannel = appliedChannel(feedId);
    this.#publisher = connectRedis(url, { name: 'api feed' });
    this.#subscriber = connectRedis(url, { name: 'api feed reports', silenceMsMax: deadAfterMs });
  }

  get failure(): string {
    return this.#failure;
  }

  async start(heard: Heard): Promise<void> {
    const failed = (error: Error) => {
      this.#failure = error.message;
    };
    for (const client of [this.#publisher, this.#subscriber]) {
      client.on('error', failed);
      client.on('close', () => failed(new Error('the connection was lost')));
    }
    this.#publisher.on('ready', () => {
      this.#failure = '';
    });
    this.#subscriber.on('ready', () => void this.#subscriber.subscribe(this.#appliedChannel).catch(failed));
    this.#subscriber.on('message', (_channel: string, text: string) => hearReport(text, heard));
    // Answers keep the subscriber's connection from being taken for a dead one.
    this.#pings = setInterval(() => void this.#subscriber.ping().catch(() => undefined), pingEveryMs);
  }

  async publish(entries: readonly FeedEntry[], newest: number): Promise<boolean> {
    if (this.#publisher.status !== 'ready') return false;
    try {
      for (let start = 0; start === 0 || start < entries.length; start += frameEntriesMax) {
        const frame = packFrame({ newest, entries: entries.slice(start, start + frameEntriesMax) });
        await this.#publisher.publish(this.#channel, frame);
      }
      this.#failure = '';
      return true;
    } catch (error) {
      this.#failure = (error as Error).message;
      return false;
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#pings);
    this.#publisher.disconnect();
    this.#subscriber.disconnect();
  }
}
