/** Tenants for tests: a company with one user per role, or a personal customer, each with an account and a card. */
import type postgres from 'postgres';
import type { Caller } from '../auth/principal.js';

export interface TenantUser {
  readonly caller: Caller;
  readonly id: number;
  readonly publicId: string;
}

export interface Tenant {
  readonly name: string;
  /** Public id; null for personal customers. */
  readonly companyId: string | null;
  readonly users: readonly TenantUser[];
  readonly accountId: string;
  /** Of the first user. */
  readonly cardId: string;
  /** The user of that role. */
  user(caller: Caller): TenantUser;
}

const roles = ['owner', 'admin', 'member'] as const;

/** @param name unique within the test, lower-case letters */
export async function createCompany(sql: postgres.Sql, name: string, fundsMinor = 0): Promise<Tenant> {
  const companyId = `co_${name}`;
  const rows = await sql<
    { id: number; public_id: string; role: (typeof roles)[number]; account: string; card: string }[]
  >`
    with company as (
      insert into companies (public_id, name, kyc_status) values (${companyId}, ${name}, 'verified') returning id
    ), person as (
      insert into users (public_id, company_id, role, email, name, kind)
      select ${`usr_${name}`} || '_' || role, company.id, role, role || '@' || ${name} || '.example', role, 'business'
      from company, unnest(${[...roles]}::text[]) with ordinality as r (role, n) order by n
      returning id, public_id, role
    ), account as (
      insert into accounts (public_id, kind, company_id, owner_key, currency, funds, available)
      select ${`acct_${name}`}, 'business', id, id * 2 + 1, 'USD', ${fundsMinor}::bigint, ${fundsMinor}::bigint
      from company
      returning id
    ), opening as (
      insert into ledger_adjustments (account_id, funds_delta, available_delta, external_delta, reason)
      select id, ${fundsMinor}::bigint, ${fundsMinor}::bigint, -(${fundsMinor}::bigint), 'opening balance' from account
    ), card as (
      insert into cards (public_id, token, account_id, user_id, name, expires)
      select ${`card_${name}_`} || role, ${`card_${name}_`} || role, account.id, person.id, 'Card', date '2099-12-31'
      from account, person
    )
    select id::integer, public_id, role from person`;
  return tenantOf(
    name,
    companyId,
    rows.map(({ id, public_id, role }) => ({ caller: role, id, publicId: public_id })),
    `card_${name}_owner`,
  );
}

export async function createPerson(sql: postgres.Sql, name: string, fundsMinor = 0): Promise<Tenant> {
  const [row] = await sql<{ id: number; public_id: string }[]>`
    with person as (
      insert into users (public_id, email, name, kind, kyc_status)
      values (${`usr_${name}`}, ${`${name}@person.example`}, ${name}, 'personal', 'verified')
      returning id, public_id
    ), account as (
      insert into accounts (public_id, kind, user_id, owner_key, currency, funds, available)
      select ${`acct_${name}`}, 'personal', id, id * 2, 'USD', ${fundsMinor}::bigint, ${fundsMinor}::bigint from person
      returning id
    ), opening as (
      insert into ledger_adjustments (account_id, funds_delta, available_delta, external_delta, reason)
      select id, ${fundsMinor}::bigint, ${fundsMinor}::bigint, -(${fundsMinor}::bigint), 'opening balance' from account
    ), card as (
      insert into cards (public_id, token, account_id, user_id, name, expires)
      select ${`card_${name}`}, ${`card_${name}`}, account.id, person.id, 'Card', date '2099-12-31' from account, person
    )
    select id::integer, public_id from person`;
  return tenantOf(name, null, [{ caller: 'personal', id: row!.id, publicId: row!.public_id }], `card_${name}`);
}

function tenantOf(name: string, companyId: string | null, users: readonly TenantUser[], cardId: string): Tenant {
  return {
    name,
    companyId,
    users,
    accountId: `acct_${name}`,
    cardId,
    user: (caller) => {
      const found = users.find((user) => user.caller === caller);
      if (found === undefined) throw new Error(`${name} has no ${caller}`);
      return found;
    },
  };
}
