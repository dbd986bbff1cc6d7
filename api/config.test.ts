/** The environment: what it must say, what it may leave out, and that a mistake is named without telling a secret. */
import t from 'tap';
import { ConfigError } from '../platform/config/variables.js';
import { readApiConfig } from './config.js';

const complete = {
  DATABASE_URL: 'postgres://127.0.0.1/books',
  JWT_SECRET: 'a-long-enough-secret-for-access-tokens',
  ENGINE_TOKEN: 'a-long-enough-token',
};

t.test('the defaults are the settings of the interface', async (t) => {
  const config = readApiConfig(complete);
  t.match(config, { host: '127.0.0.1', port: 3000, engineUrl: 'http://127.0.0.1:8081', redisUrl: null, mongodb: null });
  t.match(config.postgres, { poolMax: 20, idleS: 30, connectS: 5, acquireMs: 60_000, slowQueryMs: 100 });
  t.match(config.cache, { userS: 3600, cardS: 900, transactionsS: 300, localS: 300 });
  t.equal(config.slowResponseMs, 1000);
  t.same(config.rateLimits, { person: 600, key: 6000, anonymous: 600, address: 30_000 });
  t.same(config.tenantBounds, { requests: 100, reports: 8 });
  t.match(config, { opsHost: '127.0.0.1', opsPort: 3001, opsConnections: { max: 64 } });
  t.match(readApiConfig({ ...complete, MONGODB_URI: 'mongodb://127.0.0.1/x' }).mongodb, {
    poolMax: 10,
    poolMin: 2,
    idleMs: 30_000,
    serverSelectionMs: 5000,
    socketMs: 45_000,
  });
  t.ok(Object.isFrozen(config) && Object.isFrozen(config.postgres) && Object.isFrozen(config.cache));
});

t.test('a missing secret stops the start and is named', async (t) => {
  for (const name of Object.keys(complete)) {
    t.throws(() => readApiConfig({ ...complete, [name]: undefined }), { name: 'ConfigError', message: name });
    t.throws(
      () => readApiConfig({ ...complete, [name]: '' }),
      ConfigError,
      'an empty variable counts as a missing one',
    );
  }
});

t.test('a bad value stops the start with one line that names the variable and never the value', async (t) => {
  const bad: Record<string, string> = {
    API_PORT: '0',
    DATABASE_URL: 'mysql://secret-host',
    REDIS_URL: 'http://secret-host',
    MONGODB_URI: 'secret-host',
    ENGINE_URL: 'secret-host',
    JWT_SECRET: 'a, secret-host',
    POSTGRES_POOL_MAX: 'many',
    BODY_BYTES_MAX: '1',
  };
  for (const [name, value] of Object.entries(bad)) {
    try {
      readApiConfig({ ...complete, [name]: value });
      t.fail(`${name} was accepted`);
    } catch (error) {
      const { message } = error as Error;
      t.ok(message.includes(name), message);
      t.notMatch(message, /secret-host|\n/);
    }
  }
  t.throws(
    () => readApiConfig({ ...complete, MONGODB_URI: 'mongodb://x', MONGODB_POOL_MIN: '11' }),
    /MONGODB_POOL_MIN/,
  );
});

t.test('several signing keys are read newest first, and a short one among them stops the start', async (t) => {
  const [newest, old] = ['n'.repeat(32), 'o'.repeat(32)];
  t.same(readApiConfig({ ...complete, JWT_SECRET: `${newest},${old}` }).jwtSecrets, [newest, old]);
  for (const secrets of ['short', `${newest},short`]) {
    t.throws(() => readApiConfig({ ...complete, JWT_SECRET: secrets }), {
      name: 'ConfigError',
      message: /^JWT_SECRET/,
    });
  }
});

t.test('customers fund themselves only where the environment permits it', async (t) => {
  t.equal(readApiConfig(complete).selfFunding, false);
  t.equal(readApiConfig({ ...complete, SELF_FUNDING: 'true' }).selfFunding, true);
  t.same(readApiConfig(complete).cardProtocols, ['native']);
  t.same(readApiConfig({ ...complete, CARD_PROTOCOLS: 'lithic,stripe' }).cardProtocols, ['lithic', 'stripe']);
  t.throws(() => readApiConfig({ ...complete, CARD_PROTOCOLS: 'lithic,visa' }), /CARD_PROTOCOLS has a name/);
  t.throws(() => readApiConfig({ ...complete, SELF_FUNDING: 'yes' }), /^SELF_FUNDING/);
});
