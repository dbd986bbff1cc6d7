/** The relay's voice on Redis pub/sub, with REDIS_URL. */
import type { FeedEntry } from '../../engine/core/feed.js';
import { appliedChannel, packetChannel, writePackets } from '../../engine/feed/feed-packet.js';
import { ChannelPublisher, RedisListener } from '../../platform/redis/channel.js';
import type { Seals } from '../../platform/redis/seal.js';
import { type Publisher, type Reported, readReport } from './publisher.js';

/** Far longer than a report is: what is longer is not worth a look. */
const reportBytesMax = 256;

export class RedisPublisher implements Publisher {
  readonly name = 'redis';
  readonly carriesEntries = true;
  readonly #url: string;
  readonly #seals: Seals;
  readonly #channel: string;
  readonly #appliedChannel: string;
  readonly #publisher: ChannelPublisher;
  #reports: RedisListener | null = null;

  constructor(url: string, feedId: string, seals: Seals) {
    this.#url = url;
    this.#seals = seals;
    this.#channel = packetChannel(feedId);
    this.#appliedChannel = appliedChannel(feedId);
    this.#publisher = new ChannelPublisher(url, 'api-feed');
  }

  get failure(): string {
    return this.#publisher.failure || (this.#reports?.failure ?? 'not connected yet');
  }

  async start(reported: Reported): Promise<void> {
    this.#reports = new RedisListener(this.#url, {
      name: 'api-feed-reports',
      channel: this.#appliedChannel,
      // What was missed meanwhile is read from the engines' rows.
      connected: () => undefined,
      received: (bytes) => this.#received(bytes, reported),
    });
  }

  async publish(entries: readonly FeedEntry[], newest: number): Promise<boolean> {
    for (const packet of writePackets(newest, entries)) {
      if (!(await this.#publisher.publish(this.#channel, this.#seals.seal(this.#channel, packet)))) return false;
    }
    return true;
  }

  /** A forged report would let a change count as in force where it is not. */
  #received(bytes: Buffer, reported: Reported): void {
    if (bytes.length > reportBytesMax) return;
    const report = this.#seals.open(this.#appliedChannel, bytes);
    if (report !== null) readReport(Buffer.from(report).toString('latin1'), reported);
  }

  async stop(): Promise<void> {
    this.#reports?.stop();
    this.#publisher.stop();
  }
}
