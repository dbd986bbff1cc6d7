/**
 * The database roles of a deployment: the owner of the tables, who migrates, and one role each for the engine and the
 * API, with the rights of sql/rights.ts alone. None of them is a superuser. For `make run` and tests; elsewhere a
 * person makes them (docs/security.md).
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type postgres from 'postgres';
import { connectPostgres } from '../platform/postgres/connect.js';
import { defaultRoles, type RoleNames } from '../sql/grant-rights.js';
import { writePrivateFile } from './private-file.js';

interface RoleSecret {
  readonly name: string;
  readonly password: string;
}

export interface ProcessSecrets {
  readonly engine: RoleSecret;
  readonly api: RoleSecret;
}

export interface RoleSecrets extends ProcessSecrets {
  readonly owner: RoleSecret;
}

/** Connection URLs of one database, by role; they hold the passwords. */
export type RoleUrls = { readonly [role in keyof RoleSecrets]: string };

export interface DatabaseRoles {
  readonly urls: RoleUrls;
  /** Of the processes, for the migration. */
  readonly names: RoleNames;
}

const ownerRole = 'afc_owner';

/** The roles of the embedded Postgres: made once, with passwords kept in DATA_DIR, mode 0600. */
export async function embeddedRoles(dataDir: string, superuserUrl: string): Promise<DatabaseRoles> {
  const kept = await readKept(dataDir);
  const secrets: RoleSecrets = {
    owner: kept.owner ?? newSecret(ownerRole),
    engine: kept.engine ?? newSecret(defaultRoles.engine),
    api: kept.api ?? newSecret(defaultRoles.api),
  };
  await keep(dataDir, secrets);
  await makeRoles(superuserUrl, [secrets.owner, secrets.engine, secrets.api]);
  await handOver(superuserUrl, secrets.owner.name);
  return {
    urls: { owner: urlOf(superuserUrl, secrets.owner), ...processUrls(superuserUrl, secrets) },
    names: namesOf(secrets),
  };
}

/**
 * Roles for the processes on a server that a person named by its superuser, who goes on to own the tables.
 * @returns null where the URL is not a superuser's: who makes roles there is a person
 */
export async function rolesBeside(dataDir: string, url: string): Promise<DatabaseRoles | null> {
  const taken = await withConnection(url, async (sql) => {
    const [user] = await sql<{ isSuperuser: boolean }[]>`
      select rolsuper as "isSuperuser" from pg_roles where rolname = current_user`;
    return user!.isSuperuser ? await sql<{ rolname: string }[]>`select rolname from pg_roles` : null;
  });
  if (taken === null) return null;
  const kept = await readKept(dataDir);
  // A role of this name that is not ours keeps its password.
  const secretOf = (name: string): RoleSecret =>
    newSecret(taken.some(({ rolname }) => rolname === name) ? `${name}_${randomBytes(4).toString('hex')}` : name);
  const secrets: ProcessSecrets = {
    engine: kept.engine ?? secretOf(defaultRoles.engine),
    api: kept.api ?? secretOf(defaultRoles.api),
  };
  await keep(dataDir, { ...kept, ...secrets });
  await makeRoles(url, [secrets.engine, secrets.api]);
  return { urls: { owner: url, ...processUrls(url, secrets) }, names: namesOf(secrets) };
}

const keptPath = (dataDir: string) => join(dataDir, 'database-roles.json');

async function readKept(dataDir: string): Promise<Partial<RoleSecrets>> {
  return JSON.parse(await readFile(keptPath(dataDir), 'utf8').catch(() => '{}')) as Partial<RoleSecrets>;
}

function keep(dataDir: string, secrets: Partial<RoleSecrets>): Promise<void> {
  return writePrivateFile(keptPath(dataDir), `${JSON.stringify(secrets, null, 2)}\n`);
}

function newSecret(name: string): RoleSecret {
  return { name, password: randomBytes(24).toString('hex') };
}

function namesOf({ engine, api }: ProcessSecrets): RoleNames {
  return { engine: engine.name, api: api.name };
}

export function processUrls(
  url: string,
  { engine, api }: ProcessSecrets,
): { readonly engine: string; readonly api: string } {
  return { engine: urlOf(url, engine), api: urlOf(url, api) };
}

/** The same database as another role. */
export function urlOf(url: string, { name, password }: RoleSecret): string {
  // Not by URL: that knows one host.
  return url.replace(/^(\w+:\/\/)(?:[^@/?]*@)?/, `$1${encodeURIComponent(name)}:${encodeURIComponent(password)}@`);
}

/** Makes the roles that the server does not have, and sets the passwords of all. */
export async function makeRoles(superuserUrl: string, secrets: readonly RoleSecret[]): Promise<void> {
  await withConnection(superuserUrl, async (sql) => {
    for (const { name, password } of secrets) {
      const found = await sql`select from pg_roles where rolname = ${name}`;
      const statement = `${found.length === 0 ? 'create' : 'alter'} role ${quoted(name)}
        login nosuperuser nocreatedb nocreaterole noreplication nobypassrls
        password '${password.replaceAll("'", "''")}'`;
      await sql.unsafe(statement).simple();
    }
  });
}

/**
 * Gives the database, its schema and what is in it to the owner: a cluster that an earlier version made belongs to the
 * superuser. What follows its table (indexes, row types, sequences of identity columns) needs nothing.
 */
export async function handOver(superuserUrl: string, owner: string): Promise<void> {
  await withConnection(superuserUrl, async (sql) => {
    const statements = await sql<{ statement: string }[]>`
      select format('alter database %I owner to %I', datname, ${owner}::text) as statement
      from pg_database where datname = current_database() and pg_get_userbyid(datdba) <> ${owner}
      union all
      select format('alter schema %I owner to %I', nspname, ${owner}::text)
      from pg_namespace where nspname = current_schema() and pg_get_userbyid(nspowner) <> ${owner}
      union all
      select format('alter %s %s owner to %I', case relkind when 'v' then 'view' when 'm' then 'materialized view'
        when 'S' then 'sequence' else 'table' end, c.oid::regclass, ${owner}::text)
      from pg_class c where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p', 'v', 'm', 'S')
        and pg_get_userbyid(relowner) <> ${owner}
        and not exists (select from pg_depend d
          where d.classid = 'pg_class'::regclass and d.objid = c.oid and relkind = 'S' and d.deptype in ('a', 'i'))
      union all
      select format('alter routine %s owner to %I', p.oid::regprocedure, ${owner}::text)
      from pg_proc p where pronamespace = current_schema()::regnamespace and pg_get_userbyid(proowner) <> ${owner}
      union all
      select format('alter type %s owner to %I', t.oid::regtype, ${owner}::text)
      from pg_type t where typnamespace = current_schema()::regnamespace and pg_get_userbyid(typowner) <> ${owner}
        and (typtype in ('e', 'd')
          or exists (select from pg_class c where c.oid = t.typrelid and c.relkind = 'c'))`;
    if (statements.length === 0) return;
    await sql.unsafe(statements.map(({ statement }) => statement).join(';\n')).simple();
  });
}

/** One session of the superuser, one at a time on this server: side by side, changes of one role fail. */
async function withConnection<T>(superuserUrl: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = connectPostgres(superuserUrl, { max: 1, connect_timeout: 10, onnotice: () => undefined });
  try {
    await sql`select pg_advisory_lock(hashtext('database roles'))`;
    return await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
