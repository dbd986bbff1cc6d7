/** Users as sign-in and authorization see them. */
import type { Acting, Kind, KycStatus, Operator, Principal, Role } from '../auth/principal.js';
import type { Metadata } from './cards.js';
import type { Database, Sql } from './postgres.js';

export type UserStatus = 'active' | 'frozen' | 'closed';

export interface UserRow {
  readonly id: number;
  readonly publicId: string;
  readonly email: string;
  readonly name: string;
  readonly kind: Kind;
  readonly status: UserStatus;
  readonly role: Role | null;
  readonly companyId: number | null;
  readonly companyPublicId: string | null;
  /** Of the company, where there is one. */
  readonly kycStatus: KycStatus;
  readonly metadata: Metadata;
  /** Hash of the picture's files; null: there is none. */
  readonly picture: string | null;
}

export interface SelfChange {
  readonly name?: string | undefined;
  readonly metadata?: Metadata | undefined;
}

export interface UserWithHash extends UserRow {
  /** Null: the user has no password. */
  readonly passwordHash: string | null;
}

/** The columns of a UserRow, of `users u left join companies c`. */
export function userColumns(sql: Sql) {
  return sql`u.id, u.public_id as "publicId", u.email, u.name, u.kind, u.status, u.role,
    u.company_id as "companyId", c.public_id as "companyPublicId",
    coalesce(c.kyc_status, u.kyc_status) as "kycStatus", u.metadata, u.picture`;
}

export class UserStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async byNumber(id: number): Promise<UserRow | null> {
    const [row] = await this.#database.run(
      'users.byNumber',
      (sql) => sql<UserRow[]>`
        select ${userColumns(sql)} from users u left join companies c on c.id = u.company_id where u.id = ${id}`,
    );
    return row ?? null;
  }

  /** Changes the user who asks; metadata are replaced as a whole. @returns null when there is no such user */
  async changeSelf(principal: Acting<Principal>, change: SelfChange): Promise<UserRow | null> {
    const { name = null, metadata = null } = change;
    const [row] = await this.#database.write(
      principal,
      'users.changeSelf',
      (sql, { enter, admitted }) => sql<UserRow[]>`
        with ${enter}, u as (
          update users set name = coalesce(${name}, name),
            metadata = coalesce(${metadata === null ? null : sql.json(metadata)}::jsonb, metadata),
            version = version + 1
          where id = ${principal.userId} and ${admitted}
          returning *
        )
        select ${userColumns(sql)} from u left join companies c on c.id = u.company_id`,
    );
    return row ?? null;
  }

  /** @returns the user as they are now, unchanged where they are closed; null: there is no such user */
  async setStatus(
    operator: Acting<Operator>,
    publicId: string,
    status: 'active' | 'frozen',
  ): Promise<{ readonly id: number; readonly version: number; readonly status: UserRow['status'] } | null> {
    const [row] = await this.#database.write(
      operator,
      'users.setStatus',
      (sql, { enter, admitted }) => sql<{ id: number; version: number; status: UserRow['status'] }[]>`
        with ${enter}, changed as (
          update users set status = ${status}, version = version + 1
          where public_id = ${publicId} and status not in ('closed', ${status}) and ${admitted}
          returning id, version, status
        )
        select * from changed
        union all
        select id, version, status from users where public_id = ${publicId} and not exists (select from changed)`,
    );
    return row ?? null;
  }

  /**
   * For sign-in: the address as the database folds it, and its user with the password's hash. The database alone folds
   * addresses, so that every part of the API takes the same ones for equal.
   */
  async byEmail(email: string): Promise<{ readonly account: string; readonly user: UserWithHash | null }> {
    const [row] = await this.#database.run(
      'users.byEmail',
      (sql) => sql<(UserWithHash & { account: string })[]>`
        select given.account, ${userColumns(sql)}, u.password_hash as "passwordHash"
        from (select lower(${email}) as account) given
        left join users u on u.email = given.account left join companies c on c.id = u.company_id`,
    );
    const { account, ...user } = row!;
    return { account, user: user.id === null ? null : user };
  }
}

export function principalOf(user: UserRow, sessionId: number): Principal {
  return {
    userId: user.id,
    publicId: user.publicId,
    kind: user.kind,
    companyId: user.companyId,
    companyPublicId: user.companyPublicId,
    role: user.role,
    sessionId,
  };
}
