/** Requests in windows of a minute: in one process, and in several with Redis. */
import t from 'tap';
import { redisFor } from '../../deploy/testing/for-test.js';
import { until } from '../../engine/testing/engine-process.js';
import { createLog } from '../../platform/log.js';
import { RedisConnection } from '../stores/redis.js';
import { RateWindows } from './rate-windows.js';

const minuteMs = 60_000;
const log = createLog('silent', 'test');

t.test('a window ends with its minute, and a count can be subtracted within it', async (t) => {
  let nowMs = 1000 * minuteMs + 15_000;
  const windows = new RateWindows(null, () => nowMs);
  t.same(windows.take('a', 5), { limit: 5, used: 1, resetS: 45 });
  t.equal(windows.take('a', 5).used, 2);
  windows.giveBack('a');
  t.equal(windows.take('a', 5).used, 2);
  t.equal(windows.take('b', 5).used, 1, 'another key has its own window');
  nowMs += 45_000;
  windows.giveBack('a');
  t.same(windows.take('a', 5), { limit: 5, used: 1, resetS: 60 }, 'a count of the minute before is no credit');
});

t.test('the memory of the counts is bounded, and a frequent client is not forgotten', async (t) => {
  const windows = new RateWindows(null, () => 0);
  for (let index = 0; index < 250_000; index++) {
    windows.take(`n${index}`, 5);
    if (index % 50_000 === 0) windows.take('often', 5);
  }
  t.ok(windows.size <= 100_000, `${windows.size}`);
  t.equal(windows.take('often', 5).used, 6);
});

t.test('processes with Redis count together, and each counts alone while it is away', async (t) => {
  const server = await redisFor(t);
  const connections = [new RedisConnection(server.url, log), new RedisConnection(server.url, log)];
  t.teardown(() => {
    for (const connection of connections) connection.close();
  });
  await until('both are connected', () => connections.every(({ isUp }) => isUp));
  let nowMs = 2000 * minuteMs;
  const [one, other] = connections.map((redis) => new RateWindows(redis, () => nowMs)) as [RateWindows, RateWindows];
  for (let count = 0; count < 7; count++) one.take('k', 100);
  for (let count = 0; count < 30; count++) other.take('k', 100);
  await one.share();
  await other.share();
  t.equal(other.take('k', 100).used, 38);
  one.take('k', 100);
  await one.share();
  t.equal(one.take('k', 100).used, 39, 'the counts of both processes add up');
  await one.share();
  await one.share();
  await other.share();
  t.equal(other.take('k', 100).used, 41, 'nothing is counted twice');
  one.take('rare', 1000);
  await one.share();
  t.equal(
    await connections[0]!.ask((client) => client.exists(`rate:2000:rare`), -1),
    0,
    'a count far from its limit is not shared',
  );
  nowMs += minuteMs;
  t.equal(one.take('k', 100).used, 1, 'a new window begins at zero for all');
  await server.stop();
  await until('the loss is noticed', () => !connections[1]!.isUp);
  for (let count = 0; count < 10; count++) other.take('k', 100);
  await other.share();
  t.equal(other.take('k', 100).used, 11);
});
