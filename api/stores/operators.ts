/** Operators and their sessions: people who run the program. */
import { createHash, randomBytes } from 'node:crypto';
import type postgres from 'postgres';
import type { Acting, Operator } from '../auth/principal.js';
import { newId } from '../ids.js';
import type { Database, Sql } from './postgres.js';
import { type Device, visitorFrom } from './sessions.js';

/** An operator signs in for a working day. */
export const operatorSessionHours = 12;
/** An unused screen is left to itself for no longer than this. */
const idleMinutes = 60;
/** A session's row is written at most this often, however much it is used. */
const seenEveryS = 60;
const tokenBytes = 32;
const sweepRowsMax = 1000;

export interface OperatorCredentials {
  readonly id: number;
  readonly publicId: string;
  readonly email: string;
  readonly name: string;
  readonly role: Operator['role'];
  readonly status: 'active' | 'closed';
  readonly passwordHash: string;
  /** Base32; null: signs in without a code. */
  readonly totpSecret: string | null;
}

export class OperatorStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The address as the database folds it, and its operator. */
  async byEmail(email: string): Promise<{ readonly account: string; readonly operator: OperatorCredentials | null }> {
    const [row] = await this.#database.run(
      'operators.byEmail',
      (sql) => sql<(OperatorCredentials & { account: string })[]>`
        select given.account, o.id, o.public_id as "publicId", o.email, o.name, o.role, o.status,
          o.password_hash as "passwordHash", o.totp_secret as "totpSecret"
        from (select lower(${email}) as account) given left join operators o on o.email = given.account`,
    );
    const { account, ...operator } = row!;
    return { account, operator: operator.id === null ? null : operator };
  }

  /** Takes the code of a time step. @returns false when this step, or a later one, was taken before */
  async takeStep(operatorId: number, step: number): Promise<boolean> {
    const rows = await this.#database.run(
      'operators.takeStep',
      (sql) => sql`
        update operators set totp_step = ${step} where id = ${operatorId} and totp_step < ${step} returning id`,
    );
    return rows.length === 1;
  }

  /** Opens a session. @returns its token, which is shown this once */
  async open(operatorId: number, device: Device): Promise<string> {
    const { address, network } = device;
    const token = `afo_${randomBytes(tokenBytes).toString('base64url')}`;
    await this.#database.write(
      visitorFrom(device),
      'operators.open',
      (sql, { enter, admitted }) => sql`
        with ${enter}
        insert into operator_sessions (operator_id, token_hash, address, network, expires_at)
        select ${operatorId}::bigint, ${hashOf(token)}::bytea, ${address}, ${network},
          now() + make_interval(hours => ${operatorSessionHours})
        where ${admitted}`,
    );
    return token;
  }

  /** The operator of a living session; says that it was used. */
  async bySession(token: string): Promise<Operator | null> {
    const [row] = await this.#database.run(
      'operators.bySession',
      (sql) => sql<Operator[]>`
        with session as (
          select id, operator_id, last_seen_at from operator_sessions where ${isLiving(sql, token)}
        ), seen as (
          update operator_sessions set last_seen_at = now()
          from session where operator_sessions.id = session.id
            and session.last_seen_at < now() - make_interval(secs => ${seenEveryS})
        )
        select 'operator' as kind, o.id as "operatorId", o.public_id as "publicId", o.email, o.name, o.role,
          session.id as "sessionId"
        from session join operators o on o.id = session.operator_id where o.status = 'active'`,
    );
    return row ?? null;
  }

  /** Ends the session of this token. @returns false when there is no such living session */
  async end(operator: Acting<Operator>, token: string): Promise<boolean> {
    const rows = await this.#database.write(
      operator,
      'operators.end',
      (sql, { enter, admitted }) => sql`
        with ${enter}
        update operator_sessions set ended_at = now() where ${isLiving(sql, token)} and ${admitted} returning id`,
    );
    return rows.length === 1;
  }

  /** Whether the operator with this folded address has signed in from this network. */
  async isKnownNetwork(account: string, network: string): Promise<boolean> {
    const [row] = await this.#database.run(
      'operators.isKnownNetwork',
      (sql) => sql<{ known: boolean }[]>`
        select exists (
          select from operator_sessions s join operators o on o.id = s.operator_id
          where o.email = ${account} and s.network = ${network}
        ) as known`,
    );
    return row!.known;
  }

  /** Deletes sessions that have lapsed for a month: until then they say which networks are known. @returns how many */
  async sweep(): Promise<number> {
    const rows = await this.#database.run(
      'operators.sweep',
      (sql) => sql`
        delete from operator_sessions where id in (
          select id from operator_sessions where expires_at < now() - interval '30 days' limit ${sweepRowsMax}
        ) returning id`,
    );
    return rows.length;
  }
}

function isLiving(sql: Sql, token: string) {
  return sql`token_hash = ${hashOf(token)} and ended_at is null and expires_at > now()
    and last_seen_at > now() - make_interval(mins => ${idleMinutes})`;
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/** An operator as a tool adds them. */
export interface NewOperator {
  readonly email: string;
  readonly name: string;
  readonly role: Operator['role'];
  readonly passwordHash: string;
  readonly totpSecret: string | null;
}

/** Adds an operator. @returns false when the address is taken */
export async function addOperator(sql: postgres.Sql, operator: NewOperator): Promise<boolean> {
  const { email, name, role, passwordHash, totpSecret } = operator;
  const rows = await sql`
    insert into operators (public_id, email, name, role, password_hash, totp_secret)
    values (${newId('op')}, lower(${email}), ${name}, ${role}, ${passwordHash}, ${totpSecret})
    on conflict (email) do nothing returning id`;
  return rows.length === 1;
}
