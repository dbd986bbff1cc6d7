/**
 * The whole authorization as one Lua script in Redis, which runs scripts one at a time. Durable as far as its
 * append-only file is. With `appendfsync always` it is written and synced before the answer leaves, once for all
 * commands of a turn of Redis' loop. With `everysec` a crash of the machine loses up to a second of approvals.
 */
import { Redis, type Result } from 'ioredis';
import type { Outcome, Peer, Question } from './question.js';

/** Accounts per call while seeding. */
const seedChunk = 1000;

declare module 'ioredis' {
  interface RedisCommander<Context> {
    authorize(...args: string[]): Result<[number, string, string, number], Context>;
  }
}

export class RedisPeer implements Peer {
  readonly #redis: Redis;

  constructor(redisUrl: string) {
    this.#redis = new Redis(redisUrl, { enableAutoPipelining: true, maxRetriesPerRequest: 1, commandTimeout: 10_000 });
    this.#redis.defineCommand('authorize', { numberOfKeys: 2, lua: script });
  }

  /** Empties the server and makes funded accounts, named as the load generator names their cards. */
  async prepare(cardCount: number, balanceMinor: number): Promise<void> {
    await this.#redis.flushall();
    for (let first = 1; first <= cardCount; first += seedChunk) {
      const pipeline = this.#redis.pipeline();
      for (let number = first; number < Math.min(cardCount + 1, first + seedChunk); number++) {
        pipeline.hset(`account:card_${String(number).padStart(6, '0')}_1`, {
          status: 'active',
          available: balanceMinor,
          held: 0,
        });
      }
      await pipeline.exec();
    }
  }

  /** `always` or `everysec`; `never` when there is no append-only file. */
  async syncPolicy(): Promise<string> {
    const [, isAppending] = (await this.#redis.config('GET', 'appendonly')) as string[];
    const [, policy] = (await this.#redis.config('GET', 'appendfsync')) as string[];
    return isAppending === 'yes' ? policy! : 'never';
  }

  async authorize({ id, card, amount, currency, merchant }: Question): Promise<Outcome> {
    const answer = await this.#redis.authorize(
      `account:${card}`,
      `authorization:${id}`,
      card,
      String(amount),
      currency,
      merchant,
    );
    const [approved, reason, available, conflict] = answer;
    return {
      approved: approved === 1,
      reason: reason as Outcome['reason'],
      available: Number(available),
      conflict: conflict === 1,
    };
  }

  async close(): Promise<void> {
    await this.#redis.quit();
  }
}

/** Lua's numbers are doubles, exact up to 2^53 as ours; %.0f keeps them from turning into 1e+12. */
const script = `
local seen = redis.call('HMGET', KEYS[2], 'card', 'amount', 'approved', 'reason', 'available')
if seen[1] then
  local conflict = (seen[1] ~= ARGV[1] or seen[2] ~= ARGV[2]) and 1 or 0
  return { tonumber(seen[3]), seen[4], seen[5], conflict }
end
local account = redis.call('HMGET', KEYS[1], 'status', 'available')
if not account[1] then return { 0, 'card_not_found', '0', 0 } end
local amount = tonumber(ARGV[2])
local available = tonumber(account[2])
local reason = 'approved'
if account[1] ~= 'active' then reason = 'card_inactive'
elseif available < amount then reason = 'insufficient_funds' end
local approved = reason == 'approved' and 1 or 0
if approved == 1 then
  available = available - amount
  redis.call('HINCRBY', KEYS[1], 'available', '-' .. ARGV[2])
  redis.call('HINCRBY', KEYS[1], 'held', ARGV[2])
end
local left = string.format('%.0f', available)
redis.call('HSET', KEYS[2], 'card', ARGV[1], 'amount', ARGV[2], 'currency', ARGV[3], 'merchant', ARGV[4],
  'approved', approved, 'reason', reason, 'available', left)
return { approved, reason, left, 0 }
`;
