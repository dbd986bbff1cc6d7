/**
 * Customers as the program sees them: people, and companies with everyone who works for them. Operators and API keys
 * say whose identity was checked.
 */
import type { Acting, ApiKey, Kind, KycStatus, Operator, Role } from '../auth/principal.js';
import type { Database, Sql } from './postgres.js';
import { type Scope, usersOf } from './tenancy.js';

export interface CustomerRow {
  /** Of the user, or of the company. */
  readonly publicId: string;
  readonly kind: Kind;
  readonly name: string;
  /** Null for companies. */
  readonly email: string | null;
  readonly kycStatus: KycStatus;
  readonly createdAt: string;
}

export interface CustomerUser {
  readonly number: number;
  readonly id: string;
  readonly email: string;
  readonly name: string;
  /** Null: a person. */
  readonly role: Role | null;
  readonly status: 'active' | 'frozen' | 'closed';
  readonly createdAt: string;
}

export interface CustomerSession {
  readonly number: number;
  readonly id: string;
  readonly userId: string;
  readonly device: string | null;
  readonly address: string | null;
  readonly createdAt: string;
  readonly lastSeenAt: string;
  readonly expiresAt: string;
}

export interface CustomerPage {
  readonly kycStatus: KycStatus;
  /** Sort key of the last one of the page before. */
  readonly after: readonly [createdAt: string, publicId: string] | null;
  readonly limit: number;
}

export class CustomerStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Oldest first: who has waited longest comes first. */
  async list({ kycStatus, after, limit }: CustomerPage): Promise<readonly CustomerRow[]> {
    return this.#database.run('customers.list', (sql) => {
      const keyset =
        after === null ? sql`` : sql`and (created_at, public_id) > (${after[0]}::timestamptz, ${after[1]})`;
      return sql<CustomerRow[]>`
        select * from (
          (select ${personColumns(sql)} from users
            where company_id is null and kyc_status = ${kycStatus} ${keyset}
            order by created_at, public_id limit ${limit})
          union all
          (select ${companyColumns(sql)} from companies
            where kyc_status = ${kycStatus} ${keyset}
            order by created_at, public_id limit ${limit})
        ) customers order by "createdAt", "publicId" limit ${limit}`;
    });
  }

  async find(publicId: string): Promise<CustomerRow | null> {
    const [row] = await this.#database.run(
      'customers.find',
      (sql) => sql<CustomerRow[]>`
        select ${personColumns(sql)} from users where public_id = ${publicId} and company_id is null
        union all select ${companyColumns(sql)} from companies where public_id = ${publicId}`,
    );
    return row ?? null;
  }

  /** The person, or the users of the company; oldest first, one more than `limit`. */
  users({ ownerKey }: Scope, afterId: number, limit: number): Promise<readonly CustomerUser[]> {
    return this.#database.run(
      'customers.users',
      (sql) => sql<CustomerUser[]>`
        select u.id as number, u.public_id as id, u.email, u.name, u.role, u.status, u.created_at as "createdAt"
        from users u where ${usersOf(sql, ownerKey)} and u.id > ${afterId} order by u.id limit ${limit + 1}`,
    );
  }

  /** Living sessions of all users of a customer, newest first, one more than `limit`. */
  sessions({ ownerKey }: Scope, beforeId: number, limit: number): Promise<readonly CustomerSession[]> {
    return this.#database.run(
      'customers.sessions',
      (sql) => sql<CustomerSession[]>`
        select s.id as number, s.public_id as id, u.public_id as "userId", s.user_agent as device, s.address,
          s.created_at as "createdAt", s.last_seen_at as "lastSeenAt", s.expires_at as "expiresAt"
        from sessions s join users u on u.id = s.user_id
        where ${usersOf(sql, ownerKey)} and s.id < ${beforeId} and s.ended_at is null and s.expires_at > now()
        order by s.id desc limit ${limit + 1}`,
    );
  }

  /** @returns null when there is no such customer */
  async setKycStatus(
    actor: Acting<Operator | ApiKey>,
    publicId: string,
    kycStatus: KycStatus,
  ): Promise<CustomerRow | null> {
    const [row] = await this.#database.write(
      actor,
      'customers.setKycStatus',
      (sql, { enter, admitted }) => sql<CustomerRow[]>`
        with ${enter}, person as (
          update users set kyc_status = ${kycStatus}
          where public_id = ${publicId} and company_id is null and ${admitted}
          returning ${personColumns(sql)}
        ), company as (
          update companies set kyc_status = ${kycStatus} where public_id = ${publicId} and ${admitted}
          returning ${companyColumns(sql)}
        )
        select * from person union all select * from company`,
    );
    return row ?? null;
  }
}

const personColumns = (sql: Sql) => sql`
  public_id as "publicId", 'personal' as kind, name, email, kyc_status as "kycStatus", created_at as "createdAt"`;

const companyColumns = (sql: Sql) => sql`
  public_id as "publicId", 'business' as kind, name, null as email, kyc_status as "kycStatus",
  created_at as "createdAt"`;
