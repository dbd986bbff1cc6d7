/** The Redis that other tests stand on. */
import { connect } from 'node:net';
import t from 'tap';
import { OwnRedis, redisServer } from './test-redis.js';

/** One inline command and the first piece of its answer. */
function ask(url: string, command: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.once('error', reject);
    socket.once('data', (bytes) => {
      socket.destroy();
      resolve(bytes.toString('utf8').trim());
    });
    socket.write(`${command}\r\n`);
  });
}

t.test('a server answers until it is closed', async (t) => {
  const redis = await redisServer();
  t.equal(await ask(redis.url, 'PING'), '+PONG');
  await redis.close();
});

t.test('a server of a test returns empty on the same port', async (t) => {
  const redis = await OwnRedis.start();
  t.teardown(() => redis.stop());
  const { url } = redis;
  t.equal(await ask(url, 'SET a b'), '+OK');
  await redis.restart();
  t.equal(redis.url, url);
  t.equal(await ask(url, 'GET a'), '$-1');
  await redis.stop();
  await t.rejects(ask(url, 'PING'), { code: 'ECONNREFUSED' });
});

t.test('the server does what a test requests of it', async (t) => {
  const dir = t.testdir();
  const redis = await OwnRedis.start(['--appendonly', 'yes', '--appendfsync', 'always', '--dir', dir]);
  t.teardown(() => redis.stop());
  t.match(await ask(redis.url, 'CONFIG GET appendonly'), /yes$/);
  t.match(await ask(redis.url, 'CONFIG GET appendfsync'), /always$/);
  t.ok((await ask(redis.url, 'CONFIG GET dir')).endsWith(dir));
});
