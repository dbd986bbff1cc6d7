/** Which database roles a process accepts. */
import postgres from 'postgres';
import t from 'tap';
import { createTestDatabase } from '../../deploy/testing/test-database.js';
import { readEngineConfig } from '../config.js';
import { startEngine } from '../engine.js';
import { createLog } from '../log.js';
import { engineEnvironment, enginePlace } from '../testing/engine-process.js';
import { checkDatabaseRole } from './database-role.js';

const role = { name: 'afc_api', isSuperuser: false, isOwner: false, isDemo: false };

t.test('a role of its own is accepted without a warning', async (t) => {
  t.equal(checkDatabaseRole(role), '');
});

t.test('a superuser stops the start, and is a warning where there are demo data', async (t) => {
  const superuser = { ...role, name: 'postgres', isSuperuser: true, isOwner: true };
  t.throws(() => checkDatabaseRole(superuser), /^the database role postgres is a superuser: give DATABASE_URL a role/);
  t.match(checkDatabaseRole({ ...superuser, isDemo: true }), /^the database role postgres is a superuser: give/);
});

t.test('the owner of the tables is a warning', async (t) => {
  t.match(
    checkDatabaseRole({ ...role, name: 'afc_owner', isOwner: true }),
    /^the database role afc_owner owns the tables/,
  );
});

t.test('an engine that signs in as a superuser does not start where there are no demo data', async (t) => {
  const database = await createTestDatabase();
  t.teardown(() => database.close());
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  await sql`update program set demo = false`;
  await sql.end();
  const environment = engineEnvironment(await enginePlace(database.url, t.testdir()));
  const config = readEngineConfig({ ...environment, DATABASE_URL: database.url, LOG_LEVEL: 'silent' });
  await t.rejects(startEngine(config, createLog('silent', 'engine')), /is a superuser: give DATABASE_URL a role/);
});
