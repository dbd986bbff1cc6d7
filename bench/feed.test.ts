/** The feed's benchmark in small: that it measures what it says, not how fast. */
import t from 'tap';
import { createTestDatabase } from '../deploy/testing/test-database.js';
import { redisServer } from '../deploy/testing/test-redis.js';
import { formatFeed, measureFeed } from './feed.js';

t.setTimeout(120_000);

t.test('every change of the benchmark is timed, and missed ones are replaced', async (t) => {
  const redis = await redisServer();
  const database = await createTestDatabase();
  t.teardown(async () => {
    await redis.close();
    await database.close();
  });
  const missedCount = 500;
  const small = {
    changesPerSecond: 20,
    authorizationsPerSecond: 20,
    seconds: 1,
    warmUpSeconds: 0,
    missedCount,
    databaseUrl: database.url,
  };
  const result = await measureFeed({ ...small, redisUrl: redis.url }, () => undefined);
  t.equal(result.transport, 'redis');
  t.equal(result.changes, 20);
  t.equal(result.effectiveMs.count + result.unknown, 20);
  t.ok(result.obeyedMs.count > 0);
  t.match(formatFeed([result], missedCount), /^\| redis \| 20 \|/m);
});
