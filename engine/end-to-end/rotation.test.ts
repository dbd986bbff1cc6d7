/** Rotating the secrets of the ports: while two are listed, both are right, and nothing is refused. */
import t from 'tap';
import { databaseFor, folderFor } from '../../deploy/testing/for-test.js';
import { enginePlace, startEngineProcess, testPassword, testToken, testUser } from '../testing/engine-process.js';
import { BasicAuth } from '../transports/http/basic-auth.js';

const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

t.test('every listed password is accepted, and no part, mixture or longer form of one', async (t) => {
  const auth = new BasicAuth('processor', ['the-newest-password', 'old']);
  t.ok(auth.accepts(basic('processor', 'the-newest-password')));
  t.ok(auth.accepts(basic('processor', 'old')));
  for (const password of ['the-newest-passwor', 'the-newest-password1', 'ol', 'olde', '', 'the-newest-password,old']) {
    t.notOk(auth.accepts(basic('processor', password)), password);
  }
  t.notOk(auth.accepts(basic('other', 'old')));
});

t.test('an engine accepts the newest and the older secret on both ports, and no other', async (t) => {
  const database = await databaseFor(t);
  const folder = folderFor(t);
  const place = await enginePlace(database.url, folder);
  const engine = await startEngineProcess(place, {
    PROCESSOR_PASSWORD: `a-new-password-of-tests,${testPassword}`,
    ENGINE_TOKEN: `a-new-token-of-the-tests,${testToken}`,
  });
  t.teardown(() => engine.kill('SIGTERM'));
  const status = async (port: number, path: string, authorization: string, method = 'GET') =>
    (
      await fetch(`http://127.0.0.1:${port}${path}`, {
        method,
        headers: { authorization },
        ...(method === 'POST' ? { body: '{' } : {}),
      })
    ).status;
  for (const [token, expected] of [
    ['a-new-token-of-the-tests', 404],
    [testToken, 404],
    ['another-token', 401],
  ] as const) {
    t.equal(await status(place.opsPort, '/admin/accounts/none', `Bearer ${token}`), expected, token);
  }
  for (const [password, isRight] of [
    ['a-new-password-of-tests', true],
    [testPassword, true],
    ['another', false],
  ] as const) {
    const got = await status(place.authPort, '/v1/authorizations', basic(testUser, password), 'POST');
    t.equal(got !== 401, isRight, `${password}: ${got}`);
  }
});
