/** Password hashes of users, and the links that replace them. A new password ends every session and every link. */
import type { Acting, Principal } from '../auth/principal.js';
import type { Database, Sql } from './postgres.js';
import { type Device, visitorFrom } from './sessions.js';

export const resetMinutes = 30;
/** Links of a user that live at once: all of them go to the user's address. */
const linksMax = 10;
const sweepRowsMax = 1000;

/** Whose password it is: what the password itself must not contain. */
export interface PasswordOwner {
  readonly id: number;
  readonly email: string;
  readonly name: string;
  readonly passwordHash: string | null;
}

export interface ChangedPassword {
  readonly email: string;
  /** Sessions that ended with the change. */
  readonly endedSessions: readonly number[];
}

export class PasswordStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** An active user by number. */
  async owner(userId: number): Promise<PasswordOwner | null> {
    const [row] = await this.#database.run(
      'passwords.owner',
      (sql) => sql<PasswordOwner[]>`
        select id, email, name, password_hash as "passwordHash" from users where id = ${userId} and status = 'active'`,
    );
    return row ?? null;
  }

  /** @returns null when the hash is not `expected` any more, or the user is not active */
  async change(
    principal: Acting<Principal>,
    expected: string | null,
    passwordHash: string,
  ): Promise<ChangedPassword | null> {
    const [row] = await this.#database.write(
      principal,
      'passwords.change',
      (sql, { enter, admitted }) => sql<ChangedPassword[]>`
        with ${enter}, changed as (
          update users set password_hash = ${passwordHash}
          where id = ${principal.userId} and password_hash is not distinct from ${expected} and status = 'active'
            and ${admitted}
          returning id, email
        ), links as (
          delete from password_resets where user_id = (select id from changed)
        ), ${endedSessions(sql)}`,
    );
    return row ?? null;
  }

  /** Keeps a new link for the active user of an address. @returns the address, null when there is no such user */
  async addLink(account: string, tokenHash: Buffer): Promise<string | null> {
    const [row] = await this.#database.run(
      'passwords.addLink',
      (sql) => sql<{ email: string }[]>`
        with owner as (
          select id, email from users where email = ${account} and status = 'active'
            and (select count(*) from password_resets r where r.user_id = users.id and r.expires_at >
            now()) < ${linksMax}
        ), link as (
          insert into password_resets (user_id, token_hash, expires_at)
          select id, ${tokenHash}::bytea, now() + make_interval(mins => ${resetMinutes}) from owner
        )
        select email from owner`,
    );
    return row?.email ?? null;
  }

  /** The active user of a living link. */
  async byLink(tokenHash: Buffer): Promise<PasswordOwner | null> {
    const [row] = await this.#database.run(
      'passwords.byLink',
      (sql) => sql<PasswordOwner[]>`
        select u.id, u.email, u.name, u.password_hash as "passwordHash"
        from password_resets r join users u on u.id = r.user_id
        where r.token_hash = ${tokenHash} and r.expires_at > now() and u.status = 'active'`,
    );
    return row ?? null;
  }

  /** Uses a link. @returns null when it was used or has lapsed, or its user is not active */
  async useLink(tokenHash: Buffer, passwordHash: string, device: Device): Promise<ChangedPassword | null> {
    const [row] = await this.#database.write(
      visitorFrom(device),
      'passwords.useLink',
      (sql, { enter, admitted }) => sql<ChangedPassword[]>`
        with ${enter}, used as (
          delete from password_resets where user_id = (
            select user_id from password_resets where token_hash = ${tokenHash} and expires_at > now()
          ) and ${admitted} returning user_id
        ), changed as (
          update users set password_hash = ${passwordHash}
          where id = (select max(user_id) from used) and status = 'active'
          returning id, email
        ), ${endedSessions(sql)}`,
    );
    return row ?? null;
  }

  /** Deletes links that have lapsed, a bounded number. @returns how many */
  async sweep(): Promise<number> {
    const rows = await this.#database.run(
      'passwords.sweep',
      (sql) => sql`
        delete from password_resets where id in (
          select id from password_resets where expires_at < now() limit ${sweepRowsMax}
        ) returning id`,
    );
    return rows.length;
  }
}

/** The end of a statement with a row set `changed (id, email)`: ends the sessions of that user. */
function endedSessions(sql: Sql) {
  return sql`ended as (
      update sessions set ended_at = now(), end_reason = 'password'
      where user_id = (select id from changed) and ended_at is null
      returning id
    )
    select changed.email, (select coalesce(json_agg(id), '[]') from ended) as "endedSessions" from changed`;
}
