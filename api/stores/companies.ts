/** Companies and the people who work for them. */
import type { Acting, Principal, Role } from '../auth/principal.js';
import type { Metadata } from './cards.js';
import { folded } from './folded.js';
import type { Database, Sql } from './postgres.js';
import type { UserStatus } from './users.js';

export interface CompanyRow {
  readonly publicId: string;
  readonly name: string;
  readonly version: number;
  readonly createdAt: string;
  /** Hash of the logo's files; null: there is none. */
  readonly logo: string | null;
}

export interface MemberRow {
  readonly id: number;
  readonly publicId: string;
  readonly email: string;
  readonly name: string;
  readonly role: Role;
  readonly status: UserStatus;
  readonly metadata: Metadata;
  readonly version: number;
  readonly createdAt: string;
}

/** What a list of members is narrowed to. Of texts a part, in any case. */
export interface MemberFilter {
  readonly role?: Role | undefined;
  readonly status?: UserStatus | undefined;
  readonly name?: string | undefined;
  readonly email?: string | undefined;
}

export interface FoundMembers {
  readonly members: readonly MemberRow[];
  /** Where the next page begins; null: there are no more. A page may be short of its limit, and yet have a next one. */
  readonly next: number | null;
}

export interface MemberChange {
  readonly name?: string | undefined;
  readonly role?: Role | undefined;
  readonly status?: UserStatus | undefined;
  /** Replaced as a whole. */
  readonly metadata?: Metadata | undefined;
}

/** Members that a filtered page looks at, see CardStore.list. */
const looksMax = 2000;

export class CompanyStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async company(companyId: number): Promise<CompanyRow> {
    const [row] = await this.#database.run(
      'companies.one',
      (sql) => sql<CompanyRow[]>`
        select public_id as "publicId", name, version, created_at as "createdAt", logo from companies
        where id = ${companyId}`,
    );
    return row!;
  }

  /** @returns the changed company, null when its version is not `expected` any more (null: any will do) */
  async rename(principal: Acting<Principal>, name: string, expected: number | null): Promise<CompanyRow | null> {
    const [row] = await this.#database.write(
      principal,
      'companies.rename',
      (sql, { enter, admitted }) => sql<CompanyRow[]>`
        with ${enter}
        update companies set name = ${name}, version = version + 1
        where id = ${principal.companyId} and version = coalesce(${expected}::integer, version) and ${admitted}
        returning public_id as "publicId", name, version, created_at as "createdAt", logo`,
    );
    return row ?? null;
  }

  /** In the order they joined. */
  async members(companyId: number, afterId: number, limit: number, filter: MemberFilter = {}): Promise<FoundMembers> {
    const { role = null, status = null, name = null, email = null } = filter;
    const isFiltered = [role, status, name, email].some((value) => value !== null);
    // One more than is shown says whether there is more.
    const most = isFiltered ? looksMax : limit + 1;
    const rows = await this.#database.run(
      'companies.members',
      (sql) => sql<(MemberRow & { looks: number; endsWith: number | null })[]>`
        with looked as materialized (
          select id, public_id, email, name, role, status, metadata, version, created_at
          from users where company_id = ${companyId} and id > ${afterId} order by id limit ${most}
        ), found as (
          select ${memberColumns(sql)} from looked
          where (${role}::text is null or role = ${role}) and (${status}::text is null or status = ${status})
            and (${name}::text is null or position(${folded(sql, sql`${name}::text`)} in ${folded(sql, sql`name`)}) > 0)
            and (${email}::text is null or position(${folded(sql, sql`${email}::text`)} in ${folded(sql, sql`email`)}) >
            0)
          order by id limit ${limit + 1})
        select found.*, (select count(*)::integer from looked) as looks, (select max(looked.id)
        from looked) as "endsWith"
        from (select) one left join found on true order by found.id`,
    );
    const { looks, endsWith } = rows[0]!;
    const members = rows.flatMap(({ looks: _, endsWith: _end, ...row }) => (row.id === null ? [] : row));
    if (members.length > limit) return { members: members.slice(0, limit), next: members[limit - 1]!.id };
    return { members, next: looks < most ? null : endsWith };
  }

  /** Null also when the user is another company's. */
  async member(companyId: number, publicId: string): Promise<MemberRow | null> {
    const [row] = await this.#database.run(
      'companies.member',
      (sql) => sql<MemberRow[]>`
        select ${memberColumns(sql)}
        from users where public_id = ${publicId} and company_id = ${companyId}`,
    );
    return row ?? null;
  }

  /**
   * Changes a member. The last active owner stays one: without an owner no user could ever make one.
   * @param expected version that the caller knows; null: any will do
   */
  async changeMember(
    principal: Acting<Principal>,
    publicId: string,
    change: MemberChange,
    expected: number | null,
  ): Promise<MemberRow | null> {
    const { name = null, role = null, status = null, metadata = null } = change;
    const { companyId } = principal;
    const [row] = await this.#database.write(
      principal,
      'companies.changeMember',
      (sql, { enter, admitted }) => sql<MemberRow[]>`
        with ${enter}, owners as materialized (
          select id from users
          where company_id = ${companyId} and role = 'owner' and status = 'active'
          order by id for update
        )
        update users set name = coalesce(${name}, name), role = coalesce(${role}, role),
          status = coalesce(${status}, status),
          metadata = coalesce(${metadata === null ? null : sql.json(metadata)}::jsonb, metadata), version = version + 1
        where public_id = ${publicId} and company_id = ${companyId} and version = coalesce(${expected}::integer,
        version)
          and ((coalesce(${role}, role) = 'owner' and coalesce(${status}, status) = 'active')
            or exists (select from owners where owners.id <> users.id))
          and ${admitted}
        returning ${memberColumns(sql)}`,
    );
    return row ?? null;
  }
}

/** Of `users`. */
function memberColumns(sql: Sql) {
  return sql`id, public_id as "publicId", email, name, role, status, metadata, version, created_at as "createdAt"`;
}
