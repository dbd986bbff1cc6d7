/** Counting failures in this process and, with Redis, for all processes. */
import { pino } from 'pino';
import t from 'tap';
import { redisFor } from '../../deploy/testing/for-test.js';
import { until } from '../../engine/testing/engine-process.js';
import { RedisConnection } from '../stores/redis.js';
import { LocalFailureCounter, RedisFailureCounter } from './failure-counters.js';
import type { FailureCounter } from './failures.js';

const values = async (counter: FailureCounter, keys: readonly string[]): Promise<number[]> =>
  (await counter.add(keys)).map(({ value }) => value);

t.test('failures are counted, subtracted and forgiven per key', async (t) => {
  const counter = new LocalFailureCounter(60);
  t.same(await values(counter, ['a', 'b']), [1, 1]);
  t.same(await values(counter, ['a']), [2]);
  await counter.takeBack(['a']);
  t.same(await values(counter, ['a', 'b', 'c']), [2, 2, 1]);
  await counter.clear('a');
  t.same(await values(counter, ['a', 'b']), [1, 3]);
  await counter.takeBack(['d', 'c', 'c']);
  t.same(await values(counter, ['c', 'd']), [1, 1], 'no count falls below zero');
  const [{ leftS } = { leftS: 0 }] = await counter.add(['a']);
  t.ok(leftS > 50 && leftS <= 60, `${leftS} s of the window are left`);
});

t.test('processes share their counts in Redis, in windows, and continue alone without it', async (t) => {
  const server = await redisFor(t);
  const connect = () => {
    const redis = new RedisConnection(server.url, pino({ level: 'silent' }));
    t.teardown(() => redis.close());
    return redis;
  };
  const [first, second] = [connect(), connect()];
  await until('both are connected', () => first.isUp && second.isUp);
  const one = new RedisFailureCounter(first, 60);
  const other = new RedisFailureCounter(second, 60);
  t.same(await values(one, ['a']), [1]);
  const [seen] = await other.add(['a']);
  t.equal(seen!.value, 2);
  t.ok(seen!.leftS > 0 && seen!.leftS <= 60);
  await other.takeBack(['a']);
  t.same(await values(one, ['a', 'b']), [2, 1]);
  await other.clear('a');
  t.same(await values(other, ['a']), [1]);
  t.same(await values(one, ['a']), [3], 'each process keeps the failures that it saw itself');
  await server.stop();
  await until('the loss is noticed', () => !first.isUp);
  t.same(await values(one, ['a']), [4]);
});
