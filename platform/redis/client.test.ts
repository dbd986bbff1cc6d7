/** What a caller may rely on, whatever Redis does. */
import t from 'tap';
import { redisFor } from '../../deploy/testing/for-test.js';
import { until } from '../../engine/testing/engine-process.js';
import { clusterOptions, commonOptions, connectRedis } from './client.js';
import { ConnectionWatch } from './connection-watch.js';
import { parseRedisUrl } from './url.js';

t.test('the client sends its password, and a server with a password refuses others', async (t) => {
  const redis = await redisFor(t, ['--requirepass', 'a secret']);
  const right = connectRedis(`redis://:a%20secret@127.0.0.1:${redis.port}`, { name: 'right' });
  const wrong = connectRedis(redis.url, { name: 'wrong' });
  t.teardown(() => right.disconnect());
  t.teardown(() => wrong.disconnect());
  right.on('error', () => undefined);
  wrong.on('error', () => undefined);
  await until('it is connected', () => right.status === 'ready');
  t.equal(await right.set('a', 'b'), 'OK');
  await t.rejects(wrong.get('a'));
});

t.test('while Redis is away a command fails at once, and is sent neither late nor twice', async (t) => {
  const redis = await redisFor(t);
  const client = connectRedis(redis.url, { name: 'test', commandTimeoutMs: 300 });
  t.teardown(() => client.disconnect());
  client.on('error', () => undefined);
  await until('it is connected', () => client.status === 'ready');
  t.equal(await client.incr('count'), 1);
  redis.pause();
  await t.rejects(client.incr('count'), /timed out/);
  redis.resume();
  // What was sent may have been done, once.
  await until('it answers', async () => (await client.get('count').catch(() => null)) === '2');
  await redis.stop();
  await until('it is noticed', () => client.status !== 'ready');
  await t.rejects(Promise.all(Array.from({ length: 1000 }, () => client.incr('count'))), /isn't writeable|closed/);
  await redis.restart();
  await until('it is connected again', () => client.status === 'ready');
  t.equal(await client.get('count'), null, 'no command waited for it');
});

t.test('a server that hangs is disconnected, and its pending commands fail', async (t) => {
  const redis = await redisFor(t);
  const client = connectRedis(redis.url, { name: 'test', commandTimeoutMs: 100 });
  t.teardown(() => client.disconnect());
  const watch = new ConnectionWatch(client);
  await until('it is connected', () => client.status === 'ready');
  redis.pause();
  const asked = Array.from({ length: 1000 }, () => client.incr('count'));
  const answers = await Promise.allSettled(asked);
  t.ok(answers.every(({ status }) => status === 'rejected'));
  await until('it is given up', () => client.status !== 'ready');
  t.match(watch.failure, /receive any in 3000ms/);
  await t.rejects(client.incr('count'), /isn't writeable|closed/, 'the closed client accepts no command');
  redis.resume();
  await until('it is connected again', () => client.status === 'ready');
  t.equal(watch.failure, '');
  t.ok((await client.incr('count')) <= 1001, 'each pending command was executed at most once');
});

t.test('a connection error is described in words, with a known remedy and without the password', async (t) => {
  const redis = await redisFor(t, ['--requirepass', 'a secret']);
  const failureOf = async (url: string) => {
    const client = connectRedis(url, { name: 'test' });
    t.teardown(() => client.disconnect());
    const watch = new ConnectionWatch(client);
    await until(`${url} says what is wrong`, () => watch.failure !== 'not connected yet');
    return watch.failure;
  };
  const wrong = await failureOf(`redis://:wrong-one@127.0.0.1:${redis.port}`);
  t.match(wrong, /^REDIS_URL has the wrong password, or none \(WRONGPASS/);
  t.notMatch(wrong, /wrong-one/);
  t.match(await failureOf(redis.url), /^REDIS_URL has the wrong password, or none \(NOAUTH/);
  t.match(await failureOf(`redis+cluster://:wrong-one@127.0.0.1:${redis.port}`), /^REDIS_URL has the wrong password/);
  t.match(await failureOf('redis://127.0.0.1:1'), /ECONNREFUSED/);
});

t.test('every deployment has the bounds, and TLS where the URL says so', async (t) => {
  for (const url of ['rediss://:p@a', 'rediss+sentinel://:p@a/m', 'rediss+cluster://:p@a']) {
    t.match(commonOptions(parseRedisUrl(url), { name: 'test' }), {
      tls: {},
      password: 'p',
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      commandTimeout: 1000,
      connectTimeout: 2000,
      socketTimeout: 3000,
    });
  }
  t.match(clusterOptions(parseRedisUrl('redis+cluster://:p@a'), { name: 'test' }), {
    enableOfflineQueue: false,
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    maxRedirections: 4,
  });
});
