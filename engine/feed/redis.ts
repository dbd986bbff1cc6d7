/** Changes and heartbeats by Redis pub/sub: the messenger of an engine with REDIS_URL. */

import { ChannelPublisher, RedisListener } from '../../platform/redis/channel.js';
import { type Seals, sealBytes } from '../../platform/redis/seal.js';
import { appliedChannel, appliedReport, packetBytesMax, packetChannel, readPacket } from './feed-packet.js';
import { type Messenger, type MessengerEvents, silenceMsMax } from './messenger.js';

export class RedisMessenger implements Messenger {
  readonly name = 'redis';
  readonly carriesEntries = true;
  readonly #url: string;
  readonly #engineId: string;
  readonly #seals: Seals;
  readonly #channel: string;
  readonly #appliedChannel: string;
  readonly #publisher: ChannelPublisher;
  #listener: RedisListener | null = null;
  #receivedAtMs = Number.NEGATIVE_INFINITY;

  constructor(url: string, feedId: string, engineId: string, seals: Seals) {
    this.#url = url;
    this.#seals = seals;
    this.#engineId = engineId;
    this.#channel = packetChannel(feedId);
    this.#appliedChannel = appliedChannel(feedId);
    this.#publisher = new ChannelPublisher(url, 'engine-applied');
  }

  get isUp(): boolean {
    return performance.now() - this.#receivedAtMs < silenceMsMax;
  }

  get failure(): string {
    return (this.#listener?.failure ?? 'not connected yet') || this.#publisher.failure;
  }

  start(events: MessengerEvents): void {
    this.#listener = new RedisListener(this.#url, {
      name: 'engine-feed',
      channel: this.#channel,
      connected: () => events.connected(),
      received: (bytes) => this.#received(bytes, events),
    });
  }

  applied(sequence: number, setApart: number): Promise<boolean> {
    const report = Buffer.from(appliedReport(this.#engineId, sequence, setApart));
    return this.#publisher.publish(this.#appliedChannel, this.#seals.seal(this.#appliedChannel, report));
  }

  async stop(): Promise<void> {
    this.#listener?.stop();
    this.#publisher.stop();
  }

  #received(bytes: Buffer, events: MessengerEvents): void {
    if (bytes.length > packetBytesMax + sealBytes) return;
    const opened = this.#seals.open(this.#channel, bytes);
    const packet = opened === null ? null : readPacket(opened);
    if (packet === null) return;
    this.#receivedAtMs = performance.now();
    if (packet.entries.length > 0) events.entries(packet.entries, bytes.length);
    events.announced(packet.newest);
  }
}
