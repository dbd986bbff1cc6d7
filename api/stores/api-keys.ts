/** API keys: made by operators, shown once, kept as hashes. A key has 256 bits, so a plain hash is enough. */
import { createHash, randomBytes } from 'node:crypto';
import type { ApiKey, KeyScope } from '../auth/principal.js';
import type { By } from './acting.js';
import { withLock } from './database-errors.js';
import type { Database } from './postgres.js';

const secretBytes = 32;
/** Enough of a key to tell it from others, and far too little to guess the rest. */
const hintLength = 13;
/** A key's row is written at most this often, however much it is used. */
const usedEveryS = 60;
/** Living keys: a program has a handful, and two of each while they are rotated. */
export const keysMax = 100;

export interface NewKey {
  readonly publicId: string;
  readonly name: string;
  readonly scopes: readonly KeyScope[];
  /** Null: until it is revoked. */
  readonly expiresAt: string | null;
  /** Number of the operator. */
  readonly createdBy: number;
}

export interface KeyRow {
  readonly id: number;
  readonly publicId: string;
  readonly name: string;
  readonly hint: string;
  readonly scopes: readonly KeyScope[];
  readonly createdAt: string;
  readonly lastUsedAt: string | null;
  readonly expiresAt: string | null;
}

export class ApiKeyStore {
  readonly #database: Database;
  readonly #prefix: string;

  /** @param isDemo keys of a demo say so by their first letters */
  constructor(database: Database, isDemo: boolean) {
    this.#database = database;
    this.#prefix = isDemo ? 'afc_test_' : 'afc_live_';
  }

  /** @returns the key, shown this once; null when too many live. A key of the same id is made once. */
  async add(
    by: By,
    { publicId, name, scopes, expiresAt, createdBy }: NewKey,
  ): Promise<{ row: KeyRow; key: string } | null> {
    const key = this.#prefix + randomBytes(secretBytes).toString('base64url');
    const add = () =>
      this.#database.write(
        by,
        'keys.add',
        (sql, { enter, admitted }) => sql<KeyRow[]>`
        with ${enter}, living as materialized (select living_keys_locked() as keys where ${admitted})
        insert into api_keys (public_id, name, key_hash, hint, scopes, expires_at, created_by)
        select ${publicId}, ${name}, ${hashOf(key)}::bytea, ${key.slice(0, hintLength)}, ${[...scopes]}::text[],
          ${expiresAt}::timestamptz, ${createdBy}::bigint
        from living where living.keys < ${keysMax}
        returning id, public_id as "publicId", name, hint, scopes, created_at as "createdAt",
          last_used_at as "lastUsedAt", expires_at as "expiresAt"`,
      );
    const [row] = await withLock('others are making keys', add);
    return row === undefined ? null : { row, key };
  }

  /** Living keys, newest first, one more than `limit` so that the caller knows whether there is more. */
  async list(beforeId: number, limit: number): Promise<readonly KeyRow[]> {
    return this.#database.run(
      'keys.list',
      (sql) => sql<KeyRow[]>`
        select id, public_id as "publicId", name, hint, scopes, created_at as "createdAt",
          last_used_at as "lastUsedAt", expires_at as "expiresAt"
        from api_keys where id < ${beforeId} and revoked_at is null and (expires_at is null or expires_at > now())
        order by id desc limit ${limit + 1}`,
    );
  }

  /** @returns the key's number, null when there is no such living key */
  async revoke(by: By, publicId: string): Promise<number | null> {
    const [row] = await this.#database.write(
      by,
      'keys.revoke',
      (sql, { enter, admitted }) => sql<{ id: number }[]>`
        with ${enter}
        update api_keys set revoked_at = now() where public_id = ${publicId} and revoked_at is null and ${admitted}
        returning id`,
    );
    return row?.id ?? null;
  }

  /** The living key of this text; says that it was used. */
  async byKey(key: string): Promise<ApiKey | null> {
    const [row] = await this.#database.run(
      'keys.byKey',
      (sql) => sql<ApiKey[]>`
        with found as (
          select id, public_id, scopes, last_used_at from api_keys
          where key_hash = ${hashOf(key)} and revoked_at is null and (expires_at is null or expires_at > now())
        ), used as (
          update api_keys set last_used_at = now()
          from found where api_keys.id = found.id
            and coalesce(found.last_used_at, '-infinity') < now() - make_interval(secs => ${usedEveryS})
        )
        select 'key' as kind, id as "keyId", public_id as "publicId", scopes from found`,
    );
    return row ?? null;
  }
}

function hashOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
