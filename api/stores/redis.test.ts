/** Redis may come and go; a caller never waits for it and never fails because of it. */
import { pino } from 'pino';
import t from 'tap';
import { redisFor } from '../../deploy/testing/for-test.js';
import { until } from '../../engine/testing/engine-process.js';
import { RedisConnection } from './redis.js';

t.test('commands are answered by Redis, and by the fallback while it is away', async (t) => {
  const server = await redisFor(t);
  const redis = new RedisConnection(server.url, pino({ level: 'silent' }));
  t.teardown(() => redis.close());
  await until('Redis is connected', () => redis.isUp);
  t.equal(await redis.ask((client) => client.incr('a'), 0), 1);
  await server.stop();
  await until('the loss is noticed', () => !redis.isUp);
  t.equal(await redis.ask((client) => client.incr('a'), -1), -1);
  await server.restart();
  await until('Redis is connected again', () => redis.isUp);
  t.equal(await redis.ask((client) => client.incr('a'), 0), 1, 'the server is empty');
});

t.test('an absent server delays no request', async (t) => {
  const redis = new RedisConnection('redis://127.0.0.1:1', pino({ level: 'silent' }));
  t.teardown(() => redis.close());
  await until('it is known', async () => /ECONNREFUSED/.test((await redis.health()).detail));
  t.equal(await redis.ask((client) => client.incr('a'), -1), -1);
  t.equal((await redis.health()).isUp, false);
});
