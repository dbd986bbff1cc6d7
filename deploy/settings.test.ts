/** Settings from the environment. */
import { join } from 'node:path';
import t from 'tap';
import { localUrl, readInteger, readSettings } from './settings.js';

t.test('every setting has a default', async (t) => {
  t.same(readSettings({}), {
    dataDir: join(process.cwd(), '.data'),
    databaseUrl: '',
    processUrls: { engine: '', api: '' },
    roles: { engine: 'afc_engine', api: 'afc_api' },
    isDemo: true,
    host: '127.0.0.1',
    opsHost: '127.0.0.1',
    authPort: 8080,
    opsPort: 8081,
    apiPort: 3000,
    apiOpsPort: 3001,
    consoleHost: '',
  });
});

t.test('a given database gets demo data only when DEMO says so', async (t) => {
  const given = { DATABASE_URL: 'postgres://127.0.0.1/books' };
  t.equal(readSettings(given).isDemo, false);
  t.equal(readSettings({ ...given, DEMO: 'true' }).isDemo, true);
  t.equal(readSettings({ DEMO: 'false' }).isDemo, false);
  t.throws(() => readSettings({ DEMO: 'yes' }), /^SettingError: DEMO|DEMO must be/);
});

t.test('database roles may have custom names, which PostgreSQL must not cut', async (t) => {
  const { roles, processUrls } = readSettings({
    DATABASE_API_ROLE: 'cards_api',
    DATABASE_ENGINE_URL: 'postgres://e@h/b',
  });
  t.same(roles, { engine: 'afc_engine', api: 'cards_api' });
  t.same(processUrls, { engine: 'postgres://e@h/b', api: '' });
  t.throws(() => readSettings({ DATABASE_API_ROLE: 'é'.repeat(32) }), /DATABASE_API_ROLE must have at most 63 bytes/);
});

t.test('a bad value is named with its bounds', async (t) => {
  for (const text of ['0', '65536', '1.5', '1e3', 'x', ' 1', '-1']) {
    t.throws(() => readSettings({ OPS_PORT: text }), {
      name: 'SettingError',
      message: `OPS_PORT must be an integer from 1 to 65535, not ${JSON.stringify(text)}`,
    });
  }
  t.equal(readInteger({ N: '' }, 'N', 7, 1, 9), 7, 'an empty value counts as missing');
  t.equal(readInteger({ N: '9' }, 'N', 7, 1, 9), 9);
});

t.test('a server is reached at its listening address, or at loopback when that is every address', async (t) => {
  t.equal(localUrl('127.0.0.2', 3000), 'http://127.0.0.2:3000');
  t.equal(localUrl('0.0.0.0', 3000), 'http://127.0.0.1:3000');
  t.equal(localUrl('::', 3000), 'http://[::1]:3000');
  t.equal(localUrl('::1', 3000), 'http://[::1]:3000');
});
