/**
 * The names of everything that is cached in Redis, by whichever process: one scheme, so that processes share what they
 * mean to share and meet nothing else.
 *
 *   afc:3:<space>:card:<token>            the profile of a card, as the engine takes it (codec.ts)
 *   afc:3:<space>:{<group>}:values …      what the account API shows, a hash per group (api/cache/redis-cache.ts)
 */

/** Rises with the shape of what is kept: processes of two releases do not read each other's. */
const shape = 3;

/** Lifetimes, where the environment says nothing else. Nothing that is right depends on them. */
export const cardLifetimeS = 900;
export const userLifetimeS = 3600;

/** @param space names the database whose values these are (cache_space() in SQL): others may share the Redis */
const prefix = (space: string) => `afc:${shape}:${space}`;

export const cardKey = (space: string, token: string) => `${prefix(space)}:card:${token}`;

/** In braces: a cluster keeps the keys of a group together. */
export const groupKey = (space: string, group: string, part: 'values' | 'generation' | 'writing') =>
  `${prefix(space)}:{${group}}:${part}`;
