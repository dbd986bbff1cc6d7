/**
 * What an engine has of Redis: cached cards, and the messenger of the feed. Loaded only with REDIS_URL, because the
 * driver and msgpack take a start a twentieth of a second.
 */
import { CardCache } from '../platform/cache/card-cache.js';
import type { ChangeLog } from '../platform/cache/change-log.js';
import { connectRedis } from '../platform/redis/client.js';
import type { Seals } from '../platform/redis/seal.js';
import type { EngineConfig } from './config.js';
import type { Messenger } from './feed/messenger.js';
import { RedisMessenger } from './feed/redis.js';
import { RedisCards } from './lookups/redis-cards.js';

/**
 * Redis answers in a fraction of a millisecond: after this long a lookup is better off with Postgres, while there is
 * time.
 */
const cacheLookMsMax = 10;
const cacheLookShareMax = 0.25;
/** A command that no message waits for may take longer. */
const cacheCommandMs = 250;

export interface RedisParts {
  /** @param space names the database whose cards these are */
  redisCards(space: () => string, changeLog: ChangeLog): RedisCards;
  messenger(feedId: string, engineId: string): Messenger;
}

export function redisParts({ redisUrl, cacheCardS, deadlineMs }: EngineConfig, seals: Seals): RedisParts {
  return {
    redisCards(space, changeLog) {
      const client = connectRedis(redisUrl, { name: 'engine-cache', commandTimeoutMs: cacheCommandMs });
      const lookMsMax = Math.min(cacheLookMsMax, deadlineMs * cacheLookShareMax);
      return new RedisCards(new CardCache(client, { space, lifetimeS: cacheCardS, lookMsMax, seals }), changeLog);
    },
    messenger: (feedId, engineId) => new RedisMessenger(redisUrl, feedId, engineId, seals),
  };
}
