/**
 * Which database role a process signs in as. A superuser may do everything to every database of the server, and the
 * owner of the tables may drop them. Neither the engine nor the API needs that (sql/rights.ts has their rights).
 */

export interface DatabaseRole {
  readonly name: string;
  readonly isSuperuser: boolean;
  readonly isOwner: boolean;
  /** Whether it may write what only the account API writes. */
  readonly mayServeApi: boolean;
}

/** Text of the query that answers with one DatabaseRole. */
export const databaseRoleQuery = `
  select rolname as name, rolsuper as "isSuperuser",
    pg_has_role(current_user, (select relowner from pg_class where oid = 'accounts'::regclass), 'member') as "isOwner",
    has_table_privilege(current_user, 'users', 'INSERT') as "mayServeApi"
  from pg_roles where rolname = current_user`;

/** @returns a warning for the log, '' for none */
export function checkDatabaseRole({ name, isSuperuser, isOwner }: Omit<DatabaseRole, 'mayServeApi'>): string {
  if (!isSuperuser && !isOwner) return '';
  const what = isSuperuser ? 'is a superuser' : 'owns the tables';
  return (
    `the database role ${name} ${what}: give DATABASE_URL a role of its own for each process ` +
    '(docs/security.md#database-roles)'
  );
}
