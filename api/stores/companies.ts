/** Companies and the people who work for them. */
import type { Acting, Principal, Role } from '../http/principal.js';
import type { Database } from './postgres.js';
import type { UserStatus } from './users.js';

export interface CompanyRow {
  readonly publicId: string;
  readonly name: string;
  readonly version: number;
  readonly createdAt: string;
}

export interface MemberRow {
  readonly id: number;
  readonly publicId: string;
  readonly email: string;
  readonly name: string;
  readonly role: Role;
  readonly status: UserStatus;
  readonly version: number;
  readonly createdAt: string;
}

export interface MemberChange {
  readonly name?: string | undefined;
  readonly role?: Role | undefined;
  readonly status?: UserStatus | undefined;
}

export class CompanyStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async company(companyId: number): Promise<CompanyRow> {
    const [row] = await this.#database.run(
      'companies.one',
      (sql) => sql<CompanyRow[]>`
        select public_id as "publicId", name, version, created_at as "createdAt" from companies where id = ${companyId}`,
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
        returning public_id as "publicId", name, version, created_at as "createdAt"`,
    );
    return row ?? null;
  }

  /** In the order they joined, one more than `limit` so that the caller knows whether there is more. */
  async members(companyId: number, afterId: number, limit: number): Promise<readonly MemberRow[]> {
    return this.#database.run(
      'companies.members',
      (sql) => sql<MemberRow[]>`
        select id, public_id as "publicId", email, name, role, status, version, created_at as "createdAt"
        from users where company_id = ${companyId} and id > ${afterId} order by id limit ${limit + 1}`,
    );
  }

  /** Null also when the user is another company's. */
  async member(companyId: number, publicId: string): Promise<MemberRow | null> {
    const [row] = await this.#database.run(
      'companies.member',
      (sql) => sql<MemberRow[]>`
        select id, public_id as "publicId", email, name, role, status, version, created_at as "createdAt"
        from users where public_id = ${publicId} and company_id = ${companyId}`,
    );
    return row ?? null;
  }

  /**
   * Changes a member. The last active owner stays one: without an owner nobody could ever make one.
   * @param expected version that the caller knows; null: any will do
   */
  async changeMember(
    principal: Acting<Principal>,
    publicId: string,
    change: MemberChange,
    expected: number | null,
  ): Promise<MemberRow | null> {
    const { name = null, role = null, status = null } = change;
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
          status = coalesce(${status}, status), version = version + 1
        where public_id = ${publicId} and company_id = ${companyId} and version = coalesce(${expected}::integer, version)
          and ((coalesce(${role}, role) = 'owner' and coalesce(${status}, status) = 'active')
            or exists (select from owners where owners.id <> users.id))
          and ${admitted}
        returning id, public_id as "publicId", email, name, role, status, version, created_at as "createdAt"`,
    );
    return row ?? null;
  }
}
