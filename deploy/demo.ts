/** The demo data of `make run`: one user, one funded account, three cards. Adding it again changes nothing. */
import { hash } from '@node-rs/argon2';
import type postgres from 'postgres';

export const demoEmail = 'test@example.com';
export const demoOperatorEmail = 'operator@example.com';
/** Publicly known: only `make run` seeds this user. */
export const demoPassword = 'password123';
export const demoCardToken = 'card_demo';
const demoFundsMinor = 100_000;
const demoLimits = {
  perAuthorization: 5_000,
  daily: { amount: 20_000, count: 10 },
  // Betting.
  mcc: { block: ['7995'] },
};

export async function seedDemo(sql: postgres.Sql): Promise<void> {
  // One statement: the account exists with its money or not at all.
  await sql`
    with person as (
      insert into users (public_id, email, name, kind, kyc_status)
      values ('usr_demo', ${demoEmail}, 'Demo User', 'personal', 'verified')
      on conflict do nothing
      returning id
    ), account as (
      insert into accounts (public_id, kind, user_id, owner_key, currency, funds, available)
      select 'acct_demo', 'personal', id, id * 2, 'USD', ${demoFundsMinor}::bigint, ${demoFundsMinor}::bigint
      from person
      returning id, funds, user_id
    ), opening as (
      insert into ledger_adjustments (public_id, account_id, funds_delta, available_delta, external_delta, reason)
      select 'adj_acct_demo', id, funds, funds, -funds, 'opening balance' from account
    ), card as (
      insert into cards (public_id, token, account_id, user_id, name, status, expires)
      select name, name, account.id, account.user_id, title, status,
        (date_trunc('month', now() + interval '4 years') - interval '1 day')::date
      from account, (values
        ('card_demo', 'Demo card', 'active'),
        ('card_demo_frozen', 'Frozen card', 'frozen'),
        ('card_demo_limited', 'Card with limits', 'active')
      ) as demo (name, title, status)
      returning id, token
    )
    insert into limits (level, entity_id, limits)
    select 0, id, ${sql.json(demoLimits)} from card where token = 'card_demo_limited'`;
  await sql`update program set demo = true`;
  await setDemoPassword(sql);
  await addDemoOperator(sql);
}

/** Signs in without a code, as no other operator does. */
async function addDemoOperator(sql: postgres.Sql): Promise<void> {
  if ((await sql`select from operators where email = ${demoOperatorEmail}`).length > 0) return;
  await sql`
    insert into operators (public_id, email, name, role, password_hash)
    values ('op_demo', ${demoOperatorEmail}, 'Demo Operator', 'admin', ${await hashOf(demoPassword)})
    on conflict do nothing`;
}

async function setDemoPassword(sql: postgres.Sql): Promise<void> {
  const [user] = await sql`select from users where public_id = 'usr_demo' and password_hash is null`;
  if (user === undefined) return;
  await sql`update users set password_hash = ${await hashOf(demoPassword)}
    where public_id = 'usr_demo' and password_hash is null`;
}

/** The same parameters as in api/auth/passwords.ts: argon2id, 19 MiB, two passes, one lane. */
function hashOf(password: string): Promise<string> {
  return hash(password, { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 });
}
