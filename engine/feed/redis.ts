/** Changes and heartbeats by Redis pub/sub: the messenger of an engine with REDIS_URL. */
import { appliedChannel, frameChannel, readFrame } from '../core/feed-frame.js';
import { connectRedis, type RedisClient } from '../redis/client.js';
import { type Messenger, type MessengerEvents, silenceMsMax } from './messenger.js';

/** A subscriber that hears nothing, not even answers to its own pings, has no connection. */
const pingEveryMs = 1000;
const deadAfterMs = 3000;

export class RedisMessenger implements Messenger {
  readonly name = 'redis';
  readonly carriesEntries = true;
  readonly #engineId: string;
  readonly #channel: string;
  readonly #appliedChannel: string;
  readonly #subscriber: RedisClient;
  readonly #publisher: RedisClient;
  #heardAtMs = Number.NEGATIVE_INFINITY;
  #failure = 'not connected yet';
  #pings: NodeJS.Timeout | undefined;
  /** For the metrics: frames that were none. */
  badFrames = 0;

  constructor(url: string, feedId: string, engineId: string) {
    this.#engineId = engineId;
    this.#channel = frameChannel(feedId);
    this.#appliedChannel = appliedChannel(feedId);
    this.#subscriber = connectRedis(url, { name: 'engine feed', silenceMsMax: deadAfterMs });
    this.#publisher = connectRedis(url, { name: 'engine applied' });
  }

  get isUp(): boolean {
    return performance.now() - this.#heardAtMs < silenceMsMax;
  }

  get failure(): string {
    return this.#failure;
  }

  start(events: MessengerEvents): void {
    const failed = (error: Error) => {
      this.#failure = error.message;
    };
    this.#publisher.on('error', failed);
    this.#subscriber.on('error', failed);
    this.#subscriber.on('close', () => failed(new Error('the connection was lost')));
    this.#subscriber.on('ready', () => {
      this.#subscriber.subscribe(this.#channel).then(() => {
        this.#failure = '';
        events.connected();
      }, failed);
    });
    this.#subscriber.on('messageBuffer', (_channel: Buffer, bytes: Buffer) => {
      const frame = readFrame(bytes);
      if (frame === null) {
        this.badFrames++;
        return;
      }
      this.#heardAtMs = performance.now();
      if (frame.entries.length > 0) events.entries(frame.entries);
      events.told(frame.newest);
    });
    // A failed ping is heard of by the silence that follows.
    this.#pings = setInterval(() => void this.#subscriber.ping().catch(() => undefined), pingEveryMs);
  }

  async applied(sequence: number): Promise<boolean> {
    if (this.#publisher.status !== 'ready') return false;
    try {
      await this.#publisher.publish(this.#appliedChannel, `${this.#engineId} ${sequence}`);
      return true;
    } catch {
      return false;
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#pings);
    this.#subscriber.disconnect();
    this.#publisher.disconnect();
  }
}
