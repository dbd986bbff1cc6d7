/** The environment: what it must say, what it may leave out, and that a mistake is named without telling a secret. */
import t from 'tap';
import { ConfigError } from '../platform/config/variables.js';
import { readEngineConfig, secretWarnings } from './config.js';

const complete = {
  DATABASE_URL: 'postgres://127.0.0.1/books',
  PROCESSOR_USER: 'processor',
  PROCESSOR_PASSWORD: 'a-long-enough-password',
  ENGINE_TOKEN: 'a-long-enough-token',
};

t.test('the default settings are those of the interface', async (t) => {
  const config = readEngineConfig(complete, 2);
  t.match(config, { host: '127.0.0.1', authPort: 8080, opsPort: 8081, opsHost: '127.0.0.1', dataDir: '.data' });
  t.match(config, {
    threads: 1,
    partitionCount: 1,
    deadlineMs: 100,
    logLevel: 'info',
    redisUrl: '',
    feedStaleMsMax: 30_000,
  });
  t.equal(readEngineConfig(complete, 8).threads, 7, 'WORKERS leaves one core to the front');
  t.equal(readEngineConfig(complete, 1).threads, 1, 'WORKERS is at least one');
  t.match(config.peer, { port: 8082, address: '', keys: [complete.ENGINE_TOKEN] });
  t.ok(Object.isFrozen(config));
});

t.test('without PAN_KEY every process derives the same key from ENGINE_TOKEN', async (t) => {
  const keys = (changes: Record<string, string>) => readEngineConfig({ ...complete, ...changes }).panKeys;
  t.same(keys({}), keys({ PROCESSOR_PASSWORD: 'another-long-password' }));
  t.not(keys({})[0], complete.ENGINE_TOKEN);
  t.not(keys({})[0], keys({ ENGINE_TOKEN: 'another-long-enough-token' })[0]);
  const rotated = keys({ ENGINE_TOKEN: `another-long-enough-token,${complete.ENGINE_TOKEN}` });
  t.equal(rotated[1], keys({})[0], 'the older key still finds identifiers from before a rotation');
  t.same(keys({ PAN_KEY: 'newest-key-of-all,old-key-of-all' }), ['newest-key-of-all', 'old-key-of-all']);
});

t.test('every variable that is set replaces its default', async (t) => {
  const set = {
    WORKERS: '3',
    PEER_ADDRESS: 'engine-1.internal:8082',
    PEER_KEY: 'newest-key-of-all,old-key-of-all',
    HOLD_DAYS: '0.5',
    REFUND_RESTORES_WINDOWS: 'true',
    LOG_LEVEL: 'warn',
    OPS_HOST: '0.0.0.0',
  };
  const config = readEngineConfig({ ...complete, ...set });
  t.match(config, { threads: 3, partitionCount: 3, logLevel: 'warn', opsHost: '0.0.0.0' });
  t.match(config.peer, { address: 'engine-1.internal:8082', keys: ['newest-key-of-all', 'old-key-of-all'] });
  t.match(config.policy, { holdMs: 43_200_000, refundRestoresWindows: true });
});

t.test('a local journal has a thread for each partition, partitions in Postgres share threads', async (t) => {
  const read = (changes: Record<string, string>) => readEngineConfig({ ...complete, ...changes }, 3);
  t.match(read({}), { partitionCount: 2, threads: 2 });
  t.match(read({ PARTITIONS: '5' }), { partitionCount: 5, threads: 5 });
  t.match(read({ JOURNAL: 'postgres' }), { partitionCount: 12, threads: 2 });
  t.match(read({ JOURNAL: 'postgres', PARTITIONS: '1' }), { partitionCount: 1, threads: 1 });
});

t.test('the address for other engines takes a name, an IPv4 and an IPv6 address, each with a port', async (t) => {
  for (const address of ['engine-1.internal:8082', '10.0.0.5:1', '[fd00::5]:8082', '']) {
    t.equal(readEngineConfig({ ...complete, PEER_ADDRESS: address }).peer.address, address);
  }
  t.throws(() => readEngineConfig({ ...complete, PEER_ADDRESS: 'engine-1.internal' }), /PEER_ADDRESS/);
});

t.test('a missing secret stops the start, and the error names its variable', async (t) => {
  for (const name of Object.keys(complete)) {
    t.throws(() => readEngineConfig({ ...complete, [name]: undefined }), { name: 'ConfigError', message: name });
    t.throws(
      () => readEngineConfig({ ...complete, [name]: '' }),
      ConfigError,
      'an empty variable counts as a missing one',
    );
  }
});

t.test('a bad value stops the start with one line that names the variable and never the value', async (t) => {
  const bad: Record<string, string> = {
    AUTH_PORT: '99999',
    DEADLINE_MS: 'soon',
    WORKERS: '0',
    PARTITIONS: '65',
    PEER_PORT: '-1',
    PEER_ADDRESS: '::1:8082',
    JOURNAL: 'paper',
    DATABASE_URL: 'mysql://secret-host',
    SEEN_IDS_MAX: '1000',
    PROCESSOR_USER: 'with:colon',
    REDIS_URL: 'http://secret-host',
    FEED_STALE_MS_MAX: '10',
    HOLD_DAYS: '0',
    SLOW_AUTHORIZATION_MS: ' ',
    ACCOUNTS_MAX: '16.5',
    MARQETA_PARTIAL_APPROVAL: 'yes',
    PROCESSOR_PASSWORD: 'secret-host'.repeat(20),
    PAN_KEY: Array.from({ length: 17 }, () => 'secret-host').join(','),
    ENGINE_TOKEN: Array.from({ length: 17 }, () => 'secret-host').join(','),
  };
  for (const [name, value] of Object.entries(bad)) {
    try {
      readEngineConfig({ ...complete, [name]: value });
      t.fail(`${name}=${value} was accepted`);
    } catch (error) {
      const { message } = error as Error;
      t.ok(message.includes(name), message);
      t.notOk(message.includes('\n'), 'the error has one line');
      t.notOk(message.includes('secret-host'), 'the error does not show the value');
    }
  }
});

t.test('a short secret is accepted, and a warning names its variable', async (t) => {
  t.same(secretWarnings(readEngineConfig(complete)), []);
  const [warning, ...more] = secretWarnings(readEngineConfig({ ...complete, ENGINE_TOKEN: 'short' }));
  t.same(more, []);
  t.match(warning, /^ENGINE_TOKEN/);
  t.notMatch(warning, 'short ');
});
