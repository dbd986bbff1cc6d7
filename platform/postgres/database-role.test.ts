/** Which database roles a process warns about. */
import postgres from 'postgres';
import t from 'tap';
import { databaseFor } from '../../deploy/testing/for-test.js';
import { processUrl } from '../../deploy/testing/test-database.js';
import { checkDatabaseRole, type DatabaseRole, databaseRoleQuery } from './database-role.js';

const role = { name: 'afc_api', isSuperuser: false, isOwner: false };

t.test('an ordinary role is accepted without a warning', async (t) => {
  t.equal(checkDatabaseRole(role), '');
});

t.test('a superuser causes a warning', async (t) => {
  const superuser = { ...role, name: 'postgres', isSuperuser: true, isOwner: true };
  t.match(checkDatabaseRole(superuser), /^the database role postgres is a superuser: give DATABASE_URL a role/);
});

t.test('the owner of the tables causes a warning', async (t) => {
  t.match(
    checkDatabaseRole({ ...role, name: 'afc_owner', isOwner: true }),
    /^the database role afc_owner owns the tables/,
  );
});

t.test('the database says which role an engine signed in as', async (t) => {
  const database = await databaseFor(t);
  const roleOf = async (url: string) => {
    const sql = postgres(url, { max: 1, onnotice: () => undefined });
    const [found] = await sql.unsafe<DatabaseRole[]>(databaseRoleQuery);
    await sql.end();
    return checkDatabaseRole(found!);
  };
  t.match(await roleOf(database.url), /is a superuser: give DATABASE_URL a role/);
  t.equal(await roleOf(processUrl(database.url, 'engine')), '');
});
