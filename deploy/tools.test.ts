/** Tools as a person starts them: what they say, and what they leave behind. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { databaseFor } from './testing/for-test.js';

t.setTimeout(120_000);

function run(
  tool: string,
  environment: Record<string, string>,
  ...args: string[]
): { status: number | null; text: string } {
  const { PATH = '', HOME = '' } = process.env;
  const script = fileURLToPath(new URL(`./${tool}.js`, import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], {
    env: { PATH, HOME, ...environment },
    encoding: 'utf8',
  });
  return { status, text: stdout + stderr };
}

t.test('an audit of a missing database fails and creates none', async (t) => {
  const folder = t.testdir({});
  const missing = join(folder, 'missing');
  for (const dataDir of [folder, missing]) {
    const { status, text } = run('audit/audit', { DATA_DIR: dataDir });
    t.equal(status, 1);
    t.match(text, /^there is no database in .*: set DATA_DIR to the folder of make run, or DATABASE_URL\n$/);
    t.match(run('quarantine', { DATA_DIR: dataDir }, 'list'), { status: 1, text: /^there is no database/ });
  }
  t.same(readdirSync(folder), []);
  t.notOk(existsSync(missing));
});

t.test('an audit of an empty database fails and leaves it empty', async (t) => {
  const { url } = await databaseFor(t);
  const empty = url.replace(/\/[^/]*$/, '/template1');
  const { status, text } = run('audit/audit', { DATABASE_URL: empty });
  t.equal(status, 1);
  t.match(text, /^the database has no books/);
  t.match(run('audit/audit', { DATABASE_URL: url }), { status: 0, text: /the books balance: 0 accounts/ });
});

t.test('make seed adds accounts to a given database, and no user who can sign in', async (t) => {
  const { url, sql } = await databaseFor(t);
  await sql`update program set demo = false`;
  t.match(run('seed', { DATABASE_URL: url, ACCOUNTS: '2', DATA_DIR: t.testdir({}) }), {
    status: 0,
    text: /added 2 accounts/,
  });
  t.same(
    await sql`
      select (select demo from program), (select count(*)::integer from operators) as operators,
        (select count(*)::integer from users where password_hash is not null) as "canSignIn",
        (select count(*)::integer from users where email = 'test@example.com') as demos`,
    [{ demo: false, operators: 0, canSignIn: 0, demos: 0 }],
  );
});

t.test('npm run migrate names a missing variable and may be run again', async (t) => {
  t.match(run('migrate', {}), { status: 1, text: /^migrate: DATABASE_URL is not set/ });
  const { url } = await databaseFor(t);
  t.match(run('migrate', { DATABASE_URL: url }), { status: 0, text: /the database is at this version already/ });
});
