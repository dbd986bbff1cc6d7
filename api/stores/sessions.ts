/**
 * Sign-ins and their refresh tokens. A token is two random halves: the first finds the row, the second proves that it is
 * the newest of its chain. Only a hash of the second is kept; it has 256 bits, so a plain hash is enough.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Database } from './postgres.js';
import { type UserRow, userColumns } from './users.js';

const keyBytes = 16;
const secretBytes = 32;
const tokenPattern = /^[A-Za-z0-9_-]{64}$/;
/** Sign-ins of one user that are kept; the oldest goes first. An app that signs in for every request must not fill the disk. */
const perUserMax = 100;
/** Deleted at most with one sign-in: more than one, so that the excess shrinks when the bound is lowered. */
const trimMax = 5;
const sweepRowsMax = 5000;

export interface NewSession {
  readonly sessionId: number;
  readonly refreshToken: string;
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
   * Opens a session. Its commit does not wait for the disk: who is signed in within the last moments before a power cut
   * signs in again, and everybody else need not wait. (Refreshing and ending do wait: they take something away.)
   */
  async open(userId: number): Promise<NewSession> {
    const token = newToken();
    const { key, secretHash } = partsOf(token)!;
    const [row] = await this.#database.run(
      'sessions.open',
      (sql) => sql<{ id: number }[]>`
        with excess as (
          delete from sessions where id in (
            select id from sessions where user_id = ${userId} order by id desc
            offset ${perUserMax - 1} limit ${trimMax} for update skip locked
          )
        ), unsynced as materialized (
          select set_config('synchronous_commit', 'off', true) as setting
        )
        insert into sessions (user_id, key, secret_hash, expires_at)
        select ${userId}::bigint, ${key}::bytea, ${secretHash}::bytea, now() + make_interval(days => ${this.#lifetimeDays})
        from unsynced where setting is not null
        returning id`,
    );
    return { sessionId: row!.id, refreshToken: token };
  }

  /** Trades a refresh token for the next one of its chain. An old one ends the chain. One statement: of two calls with the same token, one wins. */
  async refresh(token: string): Promise<Refreshed> {
    const parts = partsOf(token);
    if (parts === null) return { outcome: 'unknown' };
    const next = tokenOf(parts.key, randomBytes(secretBytes));
    const { secretHash: nextHash } = partsOf(next)!;
    const [row] = await this.#database.run(
      'sessions.refresh',
      (sql) => sql<(UserRow & { sessionId: number; renewed: boolean })[]>`
        with session as (
          update sessions set
            secret_hash = case when secret_hash = ${parts.secretHash} then ${nextHash}::bytea else secret_hash end,
            expires_at = case when secret_hash = ${parts.secretHash}
              then now() + make_interval(days => ${this.#lifetimeDays}) else expires_at end,
            ended_at = case when secret_hash = ${parts.secretHash} then null else now() end,
            end_reason = case when secret_hash = ${parts.secretHash} then null else 'reuse' end
          where key = ${parts.key} and ended_at is null and expires_at > now()
          returning id, user_id, ended_at is null as renewed
        )
        select session.id as "sessionId", session.renewed, ${userColumns(sql)}
        from session join users u on u.id = session.user_id left join companies c on c.id = u.company_id`,
    );
    if (row === undefined) return { outcome: 'unknown' };
    const { sessionId, renewed, ...user } = row;
    if (!renewed) return { outcome: 'reused', sessionId, userId: user.id };
    return { outcome: 'renewed', session: { sessionId, refreshToken: next }, user };
  }

  /** Ends the session that the token is the newest of. @returns its id, null when there is none */
  async end(token: string): Promise<number | null> {
    const parts = partsOf(token);
    if (parts === null) return null;
    const [row] = await this.#database.run(
      'sessions.end',
      (sql) => sql<{ id: number }[]>`
        update sessions set ended_at = now(), end_reason = 'logout'
        where key = ${parts.key} and secret_hash = ${parts.secretHash} and ended_at is null
        returning id`,
    );
    return row?.id ?? null;
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

function newToken(): string {
  return tokenOf(randomBytes(keyBytes), randomBytes(secretBytes));
}

/** 48 bytes are 64 characters without padding. */
function tokenOf(key: Buffer, secret: Buffer): string {
  return Buffer.concat([key, secret]).toString('base64url');
}

function partsOf(token: string): { readonly key: Buffer; readonly secretHash: Buffer } | null {
  if (!tokenPattern.test(token)) return null;
  const bytes = Buffer.from(token, 'base64url');
  return {
    key: bytes.subarray(0, keyBytes),
    secretHash: createHash('sha256').update(bytes.subarray(keyBytes)).digest(),
  };
}
