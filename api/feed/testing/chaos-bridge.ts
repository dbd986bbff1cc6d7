/**
 * A bridge between two Redis servers, one where the relay publishes and one where the engine listens. It passes the
 * messages of the feed on, and loses, repeats, reorders and delays them on request. Reports of the engine go the other
 * way the same way.
 */
import { appliedChannel, packetChannel } from '../../../engine/feed/feed-packet.js';
import { connectRedis, type RedisClient } from '../../../platform/redis/client.js';

export interface Odds {
  /** Of 1, each. */
  readonly lost: number;
  readonly repeated: number;
  /** Held back, and sent behind later ones. */
  readonly delayed: number;
  readonly delayMsMax: number;
}

export const honest: Odds = { lost: 0, repeated: 0, delayed: 0, delayMsMax: 0 };

export class ChaosBridge {
  odds: Odds = honest;
  /** Passes nothing at all. */
  isDown = false;
  passed = 0;
  lost = 0;
  repeated = 0;
  delayed = 0;
  readonly #clients: RedisClient[] = [];
  readonly #random: () => number;

  constructor(relaysUrl: string, enginesUrl: string, feedId: string, random: () => number) {
    this.#random = random;
    this.#carry(relaysUrl, enginesUrl, packetChannel(feedId));
    this.#carry(enginesUrl, relaysUrl, appliedChannel(feedId));
  }

  stop(): void {
    for (const client of this.#clients) client.disconnect();
  }

  #carry(fromUrl: string, toUrl: string, channel: string): void {
    const from = connectRedis(fromUrl, { name: 'chaos' });
    const to = connectRedis(toUrl, { name: 'chaos' });
    this.#clients.push(from, to);
    for (const client of [from, to]) client.on('error', () => undefined);
    from.on('ready', () => void from.subscribe(channel).catch(() => undefined));
    from.on('messageBuffer', (_channel: Buffer, bytes: Buffer) => {
      const { lost, repeated, delayed, delayMsMax } = this.odds;
      if (this.isDown || this.#random() < lost) {
        this.lost++;
        return;
      }
      const send = () => {
        this.passed++;
        if (to.status === 'ready') void to.publish(channel, bytes).catch(() => undefined);
      };
      if (this.#random() < repeated) {
        this.repeated++;
        setTimeout(send, this.#random() * delayMsMax);
      }
      if (this.#random() < delayed) {
        this.delayed++;
        setTimeout(send, this.#random() * delayMsMax);
      } else send();
    });
  }
}
