/** A server that is too old is refused with one line, by each program that meets it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { startApi } from '../../api/api.js';
import { readApiConfig } from '../../api/config.js';
import { findFreePort } from '../../deploy/free-port.js';
import { startOldPostgres } from '../../deploy/testing/old-postgres.js';
import { readEngineConfig } from '../../engine/config.js';
import { startEngine } from '../../engine/engine.js';
import { engineEnvironment, enginePlace, testPanKey, testToken } from '../../engine/testing/engine-process.js';
import { migrate } from '../../sql/migrate.js';
import { createLog } from '../log.js';
import { versionProblem } from './server-version.js';

const refusal = 'the server is PostgreSQL 14, and 15 is the oldest that works: upgrade it';

t.test('version 15 and newer are accepted, older ones are named', async (t) => {
  t.equal(versionProblem(150_000), '');
  t.equal(versionProblem(180_004), '');
  t.equal(versionProblem(140_022), refusal);
  t.match(versionProblem(90_624), /PostgreSQL 9\.6,/);
});

t.test('migrate, engine and API refuse a server that is too old with the same line', async (t) => {
  const server = await startOldPostgres(140_022);
  t.teardown(() => server.close());
  await t.rejects(migrate({ databaseUrl: server.url }), { message: refusal });

  const dataDir = mkdtempSync(join(tmpdir(), 'old-server-'));
  t.teardown(() => rmSync(dataDir, { recursive: true, force: true }));
  const place = await enginePlace(server.url, dataDir);
  const log = createLog('silent', 'engine');
  const engineConfig = readEngineConfig(engineEnvironment(place, { LOG_LEVEL: 'silent' }));
  await t.rejects(startEngine(engineConfig, log), { message: refusal });

  const apiConfig = readApiConfig({
    DATABASE_URL: server.url,
    ENGINE_URL: 'http://127.0.0.1:1',
    ENGINE_TOKEN: testToken,
    JWT_SECRET: 'a-secret-of-the-tests-with-enough-letters',
    PAN_KEY: testPanKey,
    API_PORT: String(await findFreePort()),
    API_OPS_PORT: '0',
  });
  await t.rejects(startApi(apiConfig, log), { message: refusal });
});
