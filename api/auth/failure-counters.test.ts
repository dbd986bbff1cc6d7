/** Counting failures in this process and, with Redis, for all processes. */
import { pino } from 'pino';
import t from 'tap';
import { OwnRedis } from '../../deploy/testing/test-redis.js';
import { until } from '../../engine/testing/engine-process.js';
import { RedisConnection } from '../stores/redis.js';
import { LocalFailureCounter, SharedFailureCounter } from './failure-counters.js';

t.test('failures are counted per key and forgiven per key', async (t) => {
  const counter = new LocalFailureCounter(60);
  await counter.add(['a', 'b']);
  await counter.add(['a']);
  t.same(await counter.counts(['a', 'b', 'c']), [2, 1, 0]);
  await counter.clear('a');
  t.same(await counter.counts(['a', 'b']), [0, 1]);
});

t.test('processes share their counts in Redis, in windows, and go on alone without it', async (t) => {
  const server = await OwnRedis.start();
  t.teardown(() => server.stop());
  const connect = () => {
    const redis = new RedisConnection(server.url, pino({ level: 'silent' }));
    t.teardown(() => redis.close());
    return redis;
  };
  const [first, second] = [connect(), connect()];
  await until('both are connected', () => first.isUp && second.isUp);
  const one = new SharedFailureCounter(first, 60);
  const other = new SharedFailureCounter(second, 60);
  await one.add(['a']);
  await other.add(['a']);
  t.same(await one.counts(['a', 'b']), [2, 0]);
  const ttl = await first.client.ttl('sign-in:failures:a');
  t.ok(ttl > 0 && ttl <= 60);
  await other.clear('a');
  t.same(await other.counts(['a']), [0]);
  t.same(await one.counts(['a']), [1], 'each remembers what it saw itself');
  await server.stop();
  await until('the loss is noticed', () => !first.isUp);
  await one.add(['a']);
  t.same(await one.counts(['a']), [2]);
});
