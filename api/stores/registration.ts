/** Opening a customer: company where there is one, user and one account, in one statement: all of it or nothing. */

import type { Kind } from '../auth/principal.js';
import { newId } from '../ids.js';
import type { Visitor } from './acting.js';
import { isUniqueViolation } from './database-errors.js';
import type { Database } from './postgres.js';
import type { UserRow } from './users.js';

export interface Registration {
  readonly email: string;
  readonly passwordHash: string;
  readonly name: string;
  readonly kind: Kind;
  /** Null for personal customers. */
  readonly companyName: string | null;
  readonly currency: string;
  readonly timeZone: string;
}

export class RegistrationStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** @returns the new user, null when the e-mail address is taken */
  async register(by: Visitor, registration: Registration): Promise<UserRow | null> {
    try {
      return await this.#insert(by, registration);
    } catch (error) {
      if (isUniqueViolation(error, 'users_email_key')) return null;
      throw error;
    }
  }

  async #insert(by: Visitor, registration: Registration): Promise<UserRow> {
    const { email, passwordHash, name, kind, companyName, currency, timeZone } = registration;
    const role = kind === 'business' ? 'owner' : null;
    const companyPublicId = companyName === null ? null : newId('co');
    const [row] = await this.#database.write(
      by,
      'registration.insert',
      (sql, { enter, admitted }) => sql<UserRow[]>`
        with ${enter}, kyc as (
          -- A demo verifies at once.
          select case when demo then 'verified' else 'pending' end as status from program
        ), company as (
          insert into companies (public_id, name, kyc_status)
          select ${companyPublicId}::text, ${companyName}::text, kyc.status from kyc
          where ${companyName}::text is not null and ${admitted}
          returning id, public_id
        ), person as (
          insert into users (public_id, company_id, role, email, name, kind, password_hash, kyc_status)
          select ${newId('usr')}, (select id from company), ${role}, lower(${email}), ${name}, ${kind}, ${passwordHash},
            kyc.status from kyc
          where ${admitted}
          returning id, public_id, company_id, role, email, name, kind, status, kyc_status
        ), account as (
          insert into accounts (public_id, kind, company_id, user_id, owner_key, currency, time_zone)
          select ${newId('acct')}, kind, company_id, case when company_id is null then id end,
            coalesce(company_id * 2 + 1, id * 2), ${currency}, ${timeZone}
          from person
        )
        select person.id, person.public_id as "publicId", person.email, person.name, person.kind, person.status,
          person.role, person.company_id as "companyId", company.public_id as "companyPublicId",
          person.kyc_status as "kycStatus", '{}'::jsonb as metadata, null::text as picture
        from person left join company on company.id = person.company_id`,
    );
    return row!;
  }
}
