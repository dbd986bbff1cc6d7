/**
 * Sign-ins and their refresh tokens. A token is two random halves: the first finds the row, the second proves that it
 * is the newest of its chain. Only a hash of the second is kept; it has 256 bits, so a plain hash is enough.
 */
import { createHash, randomBytes } from 'node:crypto';
import { type Acting, isCustomer, type Operator, type Principal } from '../auth/principal.js';
import { newId } from '../ids.js';
import type { Visitor } from './acting.js';
import type { Database } from './postgres.js';
import { type UserRow, userColumns } from './users.js';

const keyBytes = 16;
const secretBytes = 32;
const saltBytes = 32;
const tokenPattern = /^[A-Za-z0-9_-]{64}$/;
/**
 * Sign-ins of one user that are kept; the oldest goes first. An app that signs in for every request must not fill the
 * disk.
 */
const perUserMax = 100;
/** Deleted at most with one sign-in: more than one, so that the excess shrinks when the bound is lowered. */
const trimMax = 5;
const sweepRowsMax = 5000;
/**
 * A replaced token still leads to its successor for so long. It covers parallel requests of one device, and a lost
 * answer.
 */
export const graceS = 10;
/** Replaced tokens of a session that have their grace. Of more, the oldest counts as one after its grace. */
const replacedMax = 5;
/** The longest life of a sign-in, however often it is refreshed. */
export const sessionDaysMax = 90;
const userAgentLengthMax = 200;

/** Where a sign-in comes from. */
export interface Device {
  readonly address: string;
  /** The address' network (auth/networks.ts). */
  readonly network: string;
  /** As the client names itself: free text from outside. */
  readonly userAgent: string;
  readonly requestId: string;
}

/** Who signs in from a device. */
export function visitorFrom({ address, requestId }: Pick<Device, 'address' | 'requestId'>): Visitor {
  return { kind: 'visitor', origin: { address, requestId } };
}

export interface NewSession {
  readonly sessionId: number;
  readonly refreshToken: string;
}

/** A sign-in as its owner sees it. */
export interface SessionRow {
  readonly id: number;
  readonly publicId: string;
  readonly address: string | null;
  readonly userAgent: string | null;
  readonly createdAt: string;
  readonly lastSeenAt: string;
  readonly expiresAt: string;
}

export type Refreshed =
  | { readonly outcome: 'renewed'; readonly session: NewSession; readonly user: UserRow }
  | { readonly outcome: 'reused'; readonly sessionId: number; readonly userId: number }
  | { readonly outcome: 'unknown' };

export class SessionStore {
  readonly #database: Database;
  readonly #lifetimeDays: number;

  constructor(database: Database, lifetimeDays: number) {
    this.#database = database;
    this.#lifetimeDays = lifetimeDays;
  }

  /**
   * Opens a session. Its commit does not wait for the disk: a user who signed in within the last moments before a power
   * cut signs in again. (Refreshing and ending do wait: they take something away.)
   * @param passwordHash what the user's password was compared with
   * @returns null when the password was changed meanwhile: the change ended all sessions, and this one must not follow
   *   it
   */
  async open(userId: number, passwordHash: string, device: Device): Promise<NewSession | null> {
    const { address, network, userAgent } = device;
    const key = randomBytes(keyBytes);
    const secret = randomBytes(secretBytes);
    const [row] = await this.#database.write(
      visitorFrom(device),
      'sessions.open',
      (sql, { enter, admitted }) => sql<{ id: number }[]>`
        with ${enter}, excess as (
          delete from sessions where id in (
            select id from sessions where user_id = ${userId} order by id desc
            offset ${perUserMax - 1} limit ${trimMax} for update skip locked
          )
        ), unsynced as materialized (
          select set_config('synchronous_commit', 'off', true) as setting
        )
        insert into sessions (user_id, public_id, key, secret_hash, salt, address, network, user_agent, expires_at)
        select ${userId}::bigint, ${newId('ses')}, ${key}::bytea, ${hashOf(secret)}::bytea,
          ${randomBytes(saltBytes)}::bytea, ${address}, ${network}, ${displayable(userAgent)},
          now() + make_interval(days => ${this.#lifetimeDays})
        from unsynced where setting is not null
          and exists (select from users where id = ${userId} and password_hash = ${passwordHash}) and ${admitted}
        returning id`,
    );
    return row === undefined ? null : { sessionId: row.id, refreshToken: tokenOf(key, secret) };
  }

  /**
   * Trades a refresh token for the next one of its chain. One that was replaced leads to the newest for `graceS`
   * seconds; after that it ends the chain, for it was stolen (or its successor was). One statement: of two calls with
   * the same token the second waits for the first, and gets the same successor.
   */
  async refresh(token: string, device: Device): Promise<Refreshed> {
    const { address, network, userAgent } = device;
    const parts = partsOf(token);
    if (parts === null) return { outcome: 'unknown' };
    const given = hashOf(parts.secret);
    const proof = proofOf(parts.secret);
    const [row] = await this.#database.write(visitorFrom(device), 'sessions.refresh', (sql, { enter, admitted }) => {
      const isNewest = sql`secret_hash = ${given}`;
      const graceStart = sql`now() - make_interval(secs => ${graceS})`;
      const isGood = sql`(secret_hash = ${given} or (previous_hash = ${given} and replaced_at > ${graceStart})
        or coalesce((replaced_before ->> ${given.toString('hex')}::text)::timestamptz > ${graceStart}, false))`;
      return sql<(UserRow & { sessionId: number; renewed: boolean; salt: Buffer; newestHash: Buffer })[]>`
        with ${enter}, session as (
          update sessions set
            previous_hash = case when ${isNewest} then secret_hash else previous_hash end,
            replaced_at = case when ${isNewest} then now() else replaced_at end,
            replaced_before = case when ${isNewest} then (
              select coalesce(jsonb_object_agg(hash, since), '{}') from (
                select * from (
                  select encode(previous_hash, 'hex') as hash, replaced_at as since
                  union all select key, value::timestamptz from jsonb_each_text(replaced_before)
                ) replaced where since > ${graceStart} order by since desc limit ${replacedMax - 1}
              ) known
            ) else replaced_before end,
            secret_hash = case when ${isNewest} then sha256(sha256(salt || ${proof}::bytea)) else secret_hash end,
            expires_at = case when ${isNewest}
              then least(now() + make_interval(days => ${this.#lifetimeDays}),
                created_at + make_interval(days => ${sessionDaysMax})) else expires_at end,
            last_seen_at = case when ${isGood} then now() else last_seen_at end,
            address = case when ${isGood} then ${address} else address end,
            network = case when ${isGood} then ${network} else network end,
            user_agent = case when ${isGood} then ${displayable(userAgent)} else user_agent end,
            ended_at = case when ${isGood} then null else now() end,
            end_reason = case when ${isGood} then null else 'reuse' end
          where key = ${parts.key} and ended_at is null and expires_at > now() and ${admitted}
          returning id, user_id, ended_at is null as renewed, salt, secret_hash
        )
        select session.id as "sessionId", session.renewed, session.salt, session.secret_hash as "newestHash",
          ${userColumns(sql)}
        from session join users u on u.id = session.user_id left join companies c on c.id = u.company_id`;
    });
    if (row === undefined) return { outcome: 'unknown' };
    const { sessionId, renewed, salt, newestHash, ...user } = row;
    if (!renewed) return { outcome: 'reused', sessionId, userId: user.id };
    const secret = newestAfter(parts.secret, salt, newestHash);
    if (secret === null) return { outcome: 'unknown' };
    return { outcome: 'renewed', session: { sessionId, refreshToken: tokenOf(parts.key, secret) }, user };
  }

  /**
   * Ends the session of which the token is the newest, or the one before it. @returns its id, null when there is none
   */
  async end(token: string, device: Device): Promise<number | null> {
    const parts = partsOf(token);
    if (parts === null) return null;
    const given = hashOf(parts.secret);
    const [row] = await this.#database.write(
      visitorFrom(device),
      'sessions.end',
      (sql, { enter, admitted }) => sql<{ id: number }[]>`
        with ${enter}
        update sessions set ended_at = now(), end_reason = 'logout'
        where key = ${parts.key} and (secret_hash = ${given} or previous_hash = ${given}) and ended_at is null
          and ${admitted}
        returning id`,
    );
    return row?.id ?? null;
  }

  /** Living sessions of a user, newest first, one more than `limit` so that the caller knows whether there is more. */
  async list(userId: number, beforeId: number, limit: number): Promise<readonly SessionRow[]> {
    return this.#database.run(
      'sessions.list',
      (sql) => sql<SessionRow[]>`
        select id, public_id as "publicId", address, user_agent as "userAgent", created_at as "createdAt",
          last_seen_at as "lastSeenAt", expires_at as "expiresAt"
        from sessions
        where user_id = ${userId} and id < ${beforeId} and ended_at is null and expires_at > now()
        order by id desc limit ${limit + 1}`,
    );
  }

  /**
   * Ends a session of this user by its public id, or of any user for an operator.
   * @returns its number, null when there is no such living session
   */
  async endOwn(actor: Acting<Principal> | Acting<Operator>, publicId: string): Promise<number | null> {
    const [row] = await this.#database.write(
      actor,
      'sessions.endOwn',
      (sql, { enter, admitted }) => sql<{ id: number }[]>`
        with ${enter}
        update sessions set ended_at = now(), end_reason = ${isCustomer(actor) ? 'owner' : 'operator'}
        where public_id = ${publicId} and ended_at is null
          ${isCustomer(actor) ? sql`and user_id = ${actor.userId}` : sql``} and ${admitted}
        returning id`,
    );
    return row?.id ?? null;
  }

  /** Whether the owner of an account (its e-mail address as the database folds it) has signed in from this network. */
  async isKnownNetwork(account: string, network: string): Promise<boolean> {
    const [row] = await this.#database.run(
      'sessions.isKnownNetwork',
      (sql) => sql<{ known: boolean }[]>`
        select exists (
          select from sessions s join users u on u.id = s.user_id where u.email = ${account} and s.network = ${network}
        ) as known`,
    );
    return row!.known;
  }

  /** Deletes sessions that have lapsed, a bounded number. @returns how many */
  async sweep(): Promise<number> {
    const rows = await this.#database.run(
      'sessions.sweep',
      (sql) => sql`
        delete from sessions where id in (select id from sessions where expires_at < now() limit ${sweepRowsMax})
        returning id`,
    );
    return rows.length;
  }
}

/** 48 bytes are 64 characters without padding. */
function tokenOf(key: Buffer, secret: Buffer): string {
  return Buffer.concat([key, secret]).toString('base64url');
}

function partsOf(token: string): { readonly key: Buffer; readonly secret: Buffer } | null {
  if (!tokenPattern.test(token)) return null;
  const bytes = Buffer.from(token, 'base64url');
  return { key: bytes.subarray(0, keyBytes), secret: bytes.subarray(keyBytes) };
}

function hashOf(secret: Buffer): Buffer {
  return createHash('sha256').update(secret).digest();
}

/** Not the hash by which the row knows the secret: a copy of the row must not give the successor. */
function proofOf(secret: Buffer): Buffer {
  return createHash('sha256').update('successor\0').update(secret).digest();
}

/** The newest secret of a chain, from one that was replaced; null: it is not among its next successors. */
function newestAfter(secret: Buffer, salt: Buffer, newestHash: Buffer): Buffer | null {
  let next = secret;
  for (let step = 0; step < replacedMax; step++) {
    next = createHash('sha256').update(salt).update(proofOf(next)).digest();
    if (hashOf(next).equals(newestHash)) return next;
  }
  return null;
}

/** Free text from outside, shown to its owner: without control and direction characters, and cut. */
function displayable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '').slice(0, userAgentLengthMax);
}
