/** Invitations of companies: who invited whom, until the link is used, withdrawn or lapsed. */
import type { Acting, Principal, Role } from '../auth/principal.js';
import { system } from './acting.js';
import { isUniqueViolation, withLock } from './database-errors.js';
import type { Database, Sql } from './postgres.js';
import { type Device, visitorFrom } from './sessions.js';
import type { UserRow } from './users.js';

/** Links of a company that live at once. */
export const pendingMax = 200;
export const invitationDays = 7;
/** A lapsed invitation is shown no more, and deleted a month later. */
const keptDays = 30;
const sweepRowsMax = 1000;

export interface NewInvitation {
  /** Of a first invitation of this address; an earlier one keeps its own. */
  readonly publicId: string;
  readonly email: string;
  readonly name: string;
  readonly role: Role;
  readonly tokenHash: Buffer;
}

export interface InvitationRow {
  readonly id: number;
  readonly publicId: string;
  readonly email: string;
  readonly name: string;
  readonly role: Role;
  readonly createdAt: string;
  readonly expiresAt: string;
}

export interface Invited {
  /** The address as the database folds it. */
  readonly account: string;
  readonly company: string;
  /** Whether the address has a user: for the mail, and for nothing that the inviter sees. */
  readonly hasUser: boolean;
}

/** What the person behind a link is to become. */
export interface OpenInvitation {
  readonly email: string;
  readonly name: string;
  readonly company: string;
}

export type Accepted =
  | { readonly outcome: 'accepted'; readonly user: UserRow }
  /** `full`: the company has as many users as it may have. */
  | { readonly outcome: 'taken' | 'full' | 'unknown' };

/** Whether the inviter `u` is active and may still give the role. */
const mayGive = (sql: Sql, role: ReturnType<Sql>) => sql`
  u.status = 'active' and (u.role = 'owner' or (u.role = 'admin' and ${role} <> 'owner'))`;

export class InvitationStore {
  readonly #database: Database;
  readonly #usersMax: number;

  /** @param usersMax users of a company, with those that are invited */
  constructor(database: Database, usersMax: number) {
    this.#database = database;
    this.#usersMax = usersMax;
  }

  get usersMax(): number {
    return this.#usersMax;
  }

  /** Whether users and invitations are as many as a company may have. */
  async isFull(companyId: number): Promise<boolean> {
    const [row] = await this.#database.run(
      'invitations.isFull',
      (sql) => sql<{ count: number }[]>`
        select ((select count(*) from users where company_id = ${companyId} and status <> 'closed')
          + (select count(*) from invitations where company_id = ${companyId} and expires_at >
          now()))::integer as count`,
    );
    return row!.count >= this.#usersMax;
  }

  /**
   * @returns null when the inviter may not give the role now, too many invitations of the company live, or they and the
   *   users are as many as a company may have
   */
  async add(principal: Acting<Principal>, invitation: NewInvitation): Promise<Invited | null> {
    const { publicId, email, name, role, tokenHash } = invitation;
    const { companyId, userId } = principal;
    const add = () =>
      this.#database.write(
        principal,
        'invitations.add',
        (sql, { enter, admitted }) => sql<Invited[]>`
        with ${enter}, inviter as materialized (
          select u.id, u.company_id, l.members, l.pending
          from users u cross join lateral members_locked(u.company_id, lower(${email})) l
          where ${admitted} and u.id = ${userId} and u.company_id = ${companyId} and ${mayGive(sql, sql`${role}::text`)}
        ), added as (
          insert into invitations (public_id, company_id, email, name, role, token_hash, invited_by, expires_at)
          select ${publicId}, company_id, lower(${email}), ${name}, ${role}, ${tokenHash}::bytea, id,
            now() + make_interval(days => ${invitationDays})
          from inviter where pending < ${pendingMax} and pending + members < ${this.#usersMax}
          on conflict (company_id, email) do update set name = excluded.name, role = excluded.role,
            token_hash = excluded.token_hash, invited_by = excluded.invited_by, created_at = now(),
            expires_at = excluded.expires_at
          returning email, company_id
        )
        select added.email as account, c.name as company,
          exists (select from users where users.email = added.email) as "hasUser"
        from added join companies c on c.id = added.company_id`,
      );
    const [row] = await withLock('others are invited to the company', add);
    return row ?? null;
  }

  /**
   * Living invitations of a company, newest first, one more than `limit` so that the caller knows whether there is
   * more.
   */
  async list(companyId: number, beforeId: number, limit: number): Promise<readonly InvitationRow[]> {
    return this.#database.run(
      'invitations.list',
      (sql) => sql<InvitationRow[]>`
        select id, public_id as "publicId", email, name, role, created_at as "createdAt", expires_at as "expiresAt"
        from invitations where company_id = ${companyId} and id < ${beforeId} and expires_at > now()
        order by id desc limit ${limit + 1}`,
    );
  }

  /** @returns false when the company has no such invitation */
  async withdraw(principal: Acting<Principal>, publicId: string): Promise<boolean> {
    const rows = await this.#database.write(
      principal,
      'invitations.withdraw',
      (sql, { enter, admitted }) => sql`
        with ${enter}
        delete from invitations
        where public_id = ${publicId} and company_id = ${principal.companyId} and ${admitted}
        returning id`,
    );
    return rows.length === 1;
  }

  /** The living invitation of a link. */
  async byToken(tokenHash: Buffer): Promise<OpenInvitation | null> {
    const [row] = await this.#database.run(
      'invitations.byToken',
      (sql) => sql<OpenInvitation[]>`
        select i.email, i.name, c.name as company from ${living(sql, tokenHash)} join companies c
        on c.id = i.company_id`,
    );
    return row ?? null;
  }

  /** Uses a link: the invitation becomes a user, or nothing happens. */
  async accept(tokenHash: Buffer, publicId: string, passwordHash: string, device: Device): Promise<Accepted> {
    try {
      const accept = () =>
        this.#database.write(
          visitorFrom(device),
          'invitations.accept',
          (sql, { enter, admitted }) => sql<(UserRow & { hasRoom: boolean })[]>`
          with ${enter}, invited as materialized (
            select i.id, l.members < ${this.#usersMax} as has_room
            from ${living(sql, tokenHash)} cross join lateral members_locked(i.company_id, i.email) l where ${admitted}
          ), used as (
            -- The link again: while this waited for the lock, a new one may have taken its place.
            delete from invitations where id = (select id from invited where has_room) and token_hash = ${tokenHash}
            returning company_id, role, email, name
          ), person as (
            insert into users (public_id, company_id, role, email, name, kind, password_hash)
            select ${publicId}, company_id, role, email, name, 'business', ${passwordHash} from used
            returning id, public_id, company_id, role, email, name, kind, status
          )
          select person.id, person.public_id as "publicId", person.email, person.name, person.kind, person.status,
            person.role, person.company_id as "companyId", c.public_id as "companyPublicId",
            c.kyc_status as "kycStatus", '{}'::jsonb as metadata, null::text as picture, invited.has_room as "hasRoom"
          from invited left join person on true left join companies c on c.id = person.company_id`,
        );
      const [row] = await withLock('others join the company', accept);
      if (row === undefined) return { outcome: 'unknown' };
      const { hasRoom, ...user } = row;
      if (!hasRoom) return { outcome: 'full' };
      // Used up by another request meanwhile.
      return user.id === null ? { outcome: 'unknown' } : { outcome: 'accepted', user };
    } catch (error) {
      if (isUniqueViolation(error, 'users_email_key')) return { outcome: 'taken' };
      throw error;
    }
  }

  /** Deletes invitations that lapsed long ago, a bounded number. @returns how many */
  async sweep(): Promise<number> {
    const rows = await this.#database.write(
      system('housekeeping'),
      'invitations.sweep',
      (sql, { enter, admitted }) => sql`
        with ${enter}
        delete from invitations where id in (
          select id from invitations where expires_at < now() - make_interval(days => ${keptDays}) limit ${sweepRowsMax}
        ) and ${admitted} returning id`,
    );
    return rows.length;
  }
}

/** `invitations i` of this token, if the link has not lapsed and its inviter may still give the role. */
function living(sql: Sql, tokenHash: Buffer) {
  return sql`(
    select i.* from invitations i join users u on u.id = i.invited_by and u.company_id = i.company_id
    where i.token_hash = ${tokenHash} and i.expires_at > now() and ${mayGive(sql, sql`i.role`)}
  ) i`;
}
