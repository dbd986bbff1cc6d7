/** What `make run` prints: on a terminal the whole command, elsewhere no secret. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { clusterPorts } from './cluster-ports.js';
import { type DeploySettings, readSettings } from './settings.js';
import { clusterPlaces, stackPlaces, welcome, writeCurlCredentials } from './welcome.js';

const secrets = { PROCESSOR_USER: 'processor', PROCESSOR_PASSWORD: `it's "so" \\ secret` };
const welcomeOf = (settings: DeploySettings, file: string | null) =>
  welcome(settings, stackPlaces(settings), secrets, file);

t.test('on a terminal the command contains the password as one word of the shell', async (t) => {
  const text = welcomeOf(readSettings({}), null);
  t.match(text, `curl -s -u 'processor:it'\\''s "so" \\ secret' http://127.0.0.1:8080/v1/authorizations`);
  t.match(text, 'test@example.com / password123');
});

t.test('elsewhere the command names a file that only its owner can read', async (t) => {
  const dataDir = t.testdir({});
  const file = await writeCurlCredentials(dataDir, secrets);
  t.equal(file, join(dataDir, 'processor.curl'));
  t.equal((await stat(file)).mode & 0o777, 0o600);
  t.equal(await readFile(file, 'utf8'), `user = "processor:it's \\"so\\" \\\\ secret"\n`);
  const text = welcomeOf(readSettings({}), file);
  t.match(text, `curl -s -K '${file}' http://127.0.0.1:8080/v1/authorizations`);
  t.notMatch(text, 'secret');
});

t.test('without demo data no demo login is named', async (t) => {
  const text = welcomeOf(readSettings({ DATABASE_URL: 'postgres://127.0.0.1/books' }), null);
  t.notMatch(text, /example\.com|password123|card_demo|secret/);
});

t.test('several engines have their console at nginx, where CONSOLE_HOST puts it', async (t) => {
  const placesOf = (CONSOLE_HOST: string) => {
    const settings = readSettings({ CONSOLE_HOST });
    return clusterPlaces(settings, clusterPorts(settings, 3, 2));
  };
  t.match(placesOf(''), 'console             http://127.0.0.1:3000/console   (nginx)\n');
  t.match(placesOf('[::1]:3002'), 'console             http://[::1]:3002/console   (nginx)\n');
  t.match(placesOf('[::1]:3002'), 'app                 http://127.0.0.1:3000/app   (nginx)\n');
});

t.test('the console is named where CONSOLE_HOST puts it', async (t) => {
  const placesOf = (CONSOLE_HOST: string) => stackPlaces(readSettings({ CONSOLE_HOST }));
  t.match(placesOf(''), 'console             http://127.0.0.1:3000/console\n');
  t.match(placesOf('10.0.0.5:3002'), 'console             http://10.0.0.5:3002/console\n');
  t.match(placesOf('0.0.0.0:3002'), 'console             http://127.0.0.1:3002/console\n');
  t.match(placesOf('[::1]:3002'), 'console             http://[::1]:3002/console\n');
});
