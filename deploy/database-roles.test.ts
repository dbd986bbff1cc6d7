/** The roles of a deployment on a real Postgres, whose database an earlier version's superuser may own. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import t, { type Test } from 'tap';
import { migrate } from '../sql/migrate.js';
import { embeddedRoles, rolesBeside } from './database-roles.js';
import { databaseFor, folderFor } from './testing/for-test.js';

async function emptyDatabase(t: Test) {
  return { ...(await databaseFor(t, { migrated: false })), dataDir: folderFor(t) };
}

const userOf = async (url: string): Promise<string> => {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  const [row] = await sql<{ name: string }[]>`select current_user as name`.finally(() => sql.end({ timeout: 1 }));
  return row!.name;
};

t.test('a database of the superuser is handed over whole, and its new owner migrates it', async (t) => {
  const { url, dataDir, sql } = await emptyDatabase(t);
  await migrate({ databaseUrl: url });
  const { urls, names } = await embeddedRoles(dataDir, url);
  const [left] = await sql<{ objects: string[] }[]>`
    select array(
      select relname::text from pg_class
      where relnamespace = 'public'::regnamespace and relowner = current_user::regrole
      union all
      select proname::text from pg_proc
      where pronamespace = 'public'::regnamespace and proowner = current_user::regrole) as objects`;
  t.same(left!.objects, []);
  t.same(await migrate({ databaseUrl: urls.owner, roles: names }), []);
  t.same(await Promise.all([urls.owner, urls.engine, urls.api].map(userOf)), ['afc_owner', 'afc_engine', 'afc_api']);
  t.same((await embeddedRoles(dataDir, url)).urls, urls, 'the next start uses the same URLs');
  const path = join(dataDir, 'database-roles.json');
  t.equal((await stat(path)).mode & 0o777, 0o600);
  t.match(JSON.parse(await readFile(path, 'utf8')), { owner: { name: 'afc_owner' }, engine: {}, api: {} });
});

t.test(
  'on a given server the processes get roles beside the existing ones, and the tables keep their owner',
  async (t) => {
    const { url, dataDir, sql } = await emptyDatabase(t);
    const { urls, names } = (await rolesBeside(dataDir, url))!;
    t.equal(urls.owner, url);
    t.match(names, { engine: /^afc_engine/, api: /^afc_api/ });
    t.same(await Promise.all([urls.engine, urls.api].map(userOf)), [names.engine, names.api]);
    t.same(await rolesBeside(dataDir, url), { urls, names }, 'the next run uses the same URLs');
    await migrate({ databaseUrl: url, roles: names });
    const other = folderFor(t);
    const beside = (await rolesBeside(other, url))!;
    t.not(beside.names.engine, names.engine);
    t.equal(await userOf(urls.engine), names.engine, 'a role that another run created keeps its password');
    t.equal(await rolesBeside(dataDir, urls.api), null, 'a user without the right creates no role');
    for (const name of [names, beside.names].flatMap((of) => [of.engine, of.api])) {
      await sql.unsafe(`drop owned by ${name}; drop role ${name}`).simple();
    }
  },
);
