/**
 * Gives the roles of the engine and of the API the rights of rights.ts, and takes away what is not there. Only what
 * differs is changed, each table in a transaction of its own: a process that works meanwhile never lacks a right that
 * it keeps.
 */
import type postgres from 'postgres';
import { functionRights, type ProcessName, tableRights } from './rights.js';

/** The database roles of the processes, by name. */
export type RoleNames = Readonly<Record<ProcessName, string>>;

export const defaultRoles: RoleNames = { engine: 'afc_engine', api: 'afc_api' };

interface Role {
  readonly process: ProcessName;
  readonly name: string;
}

interface TableHeld {
  readonly table: string;
  readonly columns: readonly string[];
  /** `right` or `right(column)`, of each role. */
  readonly held: readonly { readonly role: string; readonly right: string }[] | null;
}

interface PowerfulFunction {
  readonly name: string;
  /** With the types of its arguments, as GRANT wants it. */
  readonly signature: string;
  /** Whether it fixes what names mean in it. */
  readonly hasPath: boolean;
  /** Roles that may call it; PUBLIC is ''. */
  readonly callers: readonly string[];
}

/** Roles that do not exist get nothing. Throws when a role is the owner's, whose rights nothing bounds. */
export async function grantRights(sql: postgres.Sql, roles: RoleNames, log: (line: string) => void): Promise<void> {
  const present = await presentRoles(sql, roles, log);
  if (present.length === 0) return;
  const names = present.map(({ name }) => name);
  const schema = await schemaName(sql);
  const withoutSchema = await sql<{ name: string }[]>`
    select rolname as name from pg_roles
    where rolname = any(${names}) and not has_schema_privilege(rolname, ${schema}, 'usage')`;
  for (const { name } of withoutSchema) await sql.unsafe(`grant usage on schema ${quoted(schema)} to ${quoted(name)}`);
  let changed = 0;
  for (const { table, columns, held } of await heldRights(sql, names)) {
    const statements = present.flatMap(({ process, name }) => {
      const wanted = wantedRights(table, process, columns);
      const has = new Set((held ?? []).filter(({ role }) => role === name).map(({ right }) => right));
      if (has.size === wanted.size && [...wanted].every((right) => has.has(right))) return [];
      return changeOf(table, name, wanted, has.size > 0);
    });
    if (statements.length === 0) continue;
    await sql.unsafe(statements.join(';\n')).simple();
    changed++;
  }
  if (changed > 0) log(`granted the rights on ${changed} tables to ${names.join(' and ')}`);
  await grantFunctions(sql, present);
}

/** What of the schema rights.ts does not name, and what it names that is not there: what to do about each, in words. */
export async function rightsOutOfPlace(sql: postgres.Sql): Promise<string[]> {
  const tables = new Map((await heldRights(sql, [])).map(({ table, columns }) => [table, columns]));
  const functions = await powerfulFunctions(sql);
  const missing = [...tables.keys()].filter((table) => tableRights[table] === undefined);
  const gone = Object.entries(tableRights).flatMap(([table, rights]) => {
    const columns = tables.get(table);
    if (columns === undefined) return [table];
    const named = [...rights.engine, ...rights.api].flatMap((text) => partsOf(text).columns ?? []);
    return named.filter((column) => !columns.includes(column)).map((column) => `${table}.${column}`);
  });
  const unnamed = functions.filter(({ name }) => functionRights[name] === undefined);
  const open = functions.filter(({ hasPath }) => !hasPath);
  return [
    ...unnamed.map(
      ({ name }) => `add the function ${name} to functionRights in sql/rights.ts: which processes call it`,
    ),
    ...open.map(({ name }) => `set search_path in the function ${name}: it runs with the rights of the owner`),
    ...missing.map(
      (name) => `add the table or view ${name} to tableRights in sql/rights.ts: what each process does there`,
    ),
    ...gone.map((name) => `take ${name} out of sql/rights.ts: the database does not have it`),
  ];
}

async function presentRoles(sql: postgres.Sql, roles: RoleNames, log: (line: string) => void): Promise<Role[]> {
  const rows = await sql<{ name: string; isOwner: boolean; isSuperuser: boolean }[]>`
    select rolname as name, rolname = current_user as "isOwner", rolsuper as "isSuperuser"
    from pg_roles where rolname = any(${Object.values(roles)})`;
  const present: Role[] = [];
  for (const process of ['engine', 'api'] as const) {
    const name = roles[process];
    const found = rows.find((row) => row.name === name);
    if (found === undefined) log(`there is no database role ${name} for the ${process}: it gets no rights`);
    else if (found.isOwner || found.isSuperuser) {
      throw new Error(
        `the role ${name} of the ${process} ${found.isOwner ? 'owns the database' : 'is a superuser'}: make one of ` +
          'its own',
      );
    } else present.push({ process, name });
  }
  return present;
}

async function schemaName(sql: postgres.Sql): Promise<string> {
  const [row] = await sql<{ name: string }[]>`select current_schema() as name`;
  return row!.name;
}

/** Every table and view of the schema, but the partitions of one: they are reached through their table. */
async function heldRights(sql: postgres.Sql, roles: readonly string[]): Promise<TableHeld[]> {
  return sql<TableHeld[]>`
    select c.relname as table,
      array(select attname::text from pg_attribute
        where attrelid = c.oid and attnum > 0 and not attisdropped) as columns,
      (select json_agg(json_build_object('role', r.rolname, 'right', h.held)) from (
        select grantee, lower(privilege_type) as held from aclexplode(c.relacl)
        union all
        select a.grantee, lower(a.privilege_type) || '(' || t.attname || ')'
        from pg_attribute t cross join lateral aclexplode(t.attacl) a where t.attrelid = c.oid) h
      join pg_roles r on r.oid = h.grantee where r.rolname = any(${roles as string[]})) as held
    from pg_class c
    where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition
    order by c.relname`;
}

function partsOf(text: string): { readonly right: string; readonly columns: readonly string[] | null } {
  const [, right = '', list] = /^(\w+)(?:\((.*)\))?$/.exec(text) ?? [];
  return { right, columns: list?.split(/,\s*/) ?? null };
}

/** `right` or `right(column)`; columns that the table does not have (yet) are left out. */
function wantedRights(table: string, process: ProcessName, columns: readonly string[]): Set<string> {
  const wanted = new Set<string>();
  for (const text of tableRights[table]?.[process] ?? []) {
    const { right, columns: named } = partsOf(text);
    if (named === null) wanted.add(right);
    else for (const name of named) if (columns.includes(name)) wanted.add(`${right}(${name})`);
  }
  return wanted;
}

function changeOf(table: string, role: string, wanted: ReadonlySet<string>, hasSome: boolean): string[] {
  const on = `on ${quoted(table)}`;
  const rights = [...wanted].map((text) => text.replace(/\((.*)\)/, (_, name: string) => `(${quoted(name)})`));
  return [
    ...(hasSome ? [`revoke all ${on} from ${quoted(role)}`] : []),
    ...(rights.length > 0 ? [`grant ${rights.join(', ')} ${on} to ${quoted(role)}`] : []),
  ];
}

async function grantFunctions(sql: postgres.Sql, roles: readonly Role[]): Promise<void> {
  for (const { name, signature, callers } of await powerfulFunctions(sql)) {
    const statements: string[] = [];
    if (callers.includes('')) statements.push(`revoke all on function ${signature} from public`);
    for (const { process, name: role } of roles) {
      const may = functionRights[name]?.includes(process) ?? false;
      if (may === callers.includes(role)) continue;
      const change = may ? 'grant execute' : 'revoke execute';
      statements.push(`${change} on function ${signature} ${may ? 'to' : 'from'} ${quoted(role)}`);
    }
    if (statements.length > 0) await sql.unsafe(statements.join(';\n')).simple();
  }
}

async function powerfulFunctions(sql: postgres.Sql): Promise<PowerfulFunction[]> {
  return sql<PowerfulFunction[]>`
    select p.proname as name, p.oid::regprocedure::text as signature,
      coalesce(array_to_string(p.proconfig, ' ') like '%search_path=%', false) as "hasPath",
      array(select coalesce(r.rolname, '')::text
        from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a left join pg_roles r on r.oid = a.grantee
        where a.grantee <> p.proowner) as callers
    from pg_proc p where p.prosecdef and p.pronamespace = current_schema()::regnamespace order by p.proname`;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
