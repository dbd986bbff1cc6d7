/** The relay's voice on Redis pub/sub, with REDIS_URL. */
import type { FeedEntry } from '../../engine/core/feed.js';
import { appliedChannel, frameChannel, packFrames } from '../../engine/feed/feed-packet.js';
import { RedisListener, RedisSpeaker } from '../../platform/redis/channel.js';
import type { Seals } from '../../platform/redis/seal.js';
import { type Heard, hearReport, type Publisher } from './publisher.js';

/** Far longer than a report is: what is longer is not worth a look. */
const reportBytesMax = 256;

export class RedisPublisher implements Publisher {
  readonly name = 'redis';
  readonly carriesEntries = true;
  readonly #url: string;
  readonly #seals: Seals;
  readonly #channel: string;
  readonly #appliedChannel: string;
  readonly #speaker: RedisSpeaker;
  #reports: RedisListener | null = null;

  constructor(url: string, feedId: string, seals: Seals) {
    this.#url = url;
    this.#seals = seals;
    this.#channel = frameChannel(feedId);
    this.#appliedChannel = appliedChannel(feedId);
    this.#speaker = new RedisSpeaker(url, 'api-feed');
  }

  get failure(): string {
    return this.#speaker.failure || (this.#reports?.failure ?? 'not connected yet');
  }

  async start(heard: Heard): Promise<void> {
    this.#reports = new RedisListener(this.#url, {
      name: 'api-feed-reports',
      channel: this.#appliedChannel,
      // What was missed meanwhile is read from the engines' rows.
      connected: () => undefined,
      heard: (bytes) => this.#heard(bytes, heard),
    });
  }

  async publish(entries: readonly FeedEntry[], newest: number): Promise<boolean> {
    for (const frame of packFrames(newest, entries)) {
      if (!(await this.#speaker.publish(this.#channel, this.#seals.seal(this.#channel, frame)))) return false;
    }
    return true;
  }

  /** A forged report would let a change count as in force where it is not. */
  #heard(bytes: Buffer, heard: Heard): void {
    if (bytes.length > reportBytesMax) return;
    const report = this.#seals.open(this.#appliedChannel, bytes);
    if (report !== null) hearReport(Buffer.from(report).toString('latin1'), heard);
  }

  async stop(): Promise<void> {
    this.#reports?.stop();
    this.#speaker.stop();
  }
}
