/** Limits of users and accounts, whose truth is in Postgres for everybody. Those of cards stand with the cards. */
import type { Limits } from '../../engine/core/rules.js';
import { type Acting, isCustomer, type Keeper, type Role } from '../auth/principal.js';
import type { Database, Sql } from './postgres.js';
import { scopeOf, usersOf } from './tenancy.js';

export type LimitedTopic = 'user' | 'account';

export interface Limited {
  readonly number: number;
  readonly version: number;
  readonly limits: Limits;
  /** Of a user with a role; null otherwise. */
  readonly role: Role | null;
}

export type ReplaceOutcome =
  | { readonly outcome: 'changed'; readonly number: number; readonly version: number }
  | { readonly outcome: 'stale'; readonly version: number }
  | { readonly outcome: 'absent' };

export class LimitsStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Null also when it is another owner's. */
  async find(principal: Keeper, topic: LimitedTopic, publicId: string): Promise<Limited | null> {
    const [row] = await this.#database.run(
      `${topic}s.limits`,
      (sql) => sql<(Omit<Limited, 'limits'> & { limits: Limits | null })[]>`
        select e.id as number, e.version, l.limits, ${topic === 'user' ? sql`e.role` : sql`null`} as role
        from ${sql(`${topic}s`)} e left join limits l on l.level = ${levelOf(topic)} and l.entity_id = e.id
        where e.public_id = ${publicId} and ${owned(sql, principal, topic)}`,
    );
    return row === undefined ? null : { ...row, limits: row.limits ?? {} };
  }

  /**
   * Replaces all limits in one statement, with the version of their owner and, by its trigger, the entry that tells the
   * engines. @param version that the caller knows; null: whichever it is
   */
  async replace(
    principal: Acting<Keeper>,
    topic: LimitedTopic,
    publicId: string,
    limits: Limits,
    version: number | null,
  ): Promise<ReplaceOutcome> {
    // Only an owner may bind an owner.
    const rank = topic === 'user' && isCustomer(principal) && principal.role === 'admin';
    const [row] = await this.#database.write(
      principal,
      `${topic}s.limit`,
      (sql, { enter, admitted }) => sql<{ number: number; version: number }[]>`
        with ${enter}, written as (
          update ${sql(`${topic}s`)} e set version = e.version + 1
          where e.public_id = ${publicId} and ${owned(sql, principal, topic)}
            and (${version}::integer is null or e.version = ${version})
            ${rank ? sql`and e.role <> 'owner'` : sql``} and ${admitted}
          returning e.id, e.version
        ), limited as (
          insert into limits as l (level, entity_id, limits)
          select ${levelOf(topic)}, id, ${sql.json(limits as never)} from written
          on conflict (level, entity_id) do update set limits = excluded.limits, version = l.version + 1
        )
        select id as number, version from written`,
    );
    if (row !== undefined) return { outcome: 'changed', ...row };
    const found = await this.find(principal, topic, publicId);
    return found === null ? { outcome: 'absent' } : { outcome: 'stale', version: found.version };
  }
}

/** engine/core/limit-names.ts */
function levelOf(topic: LimitedTopic): 1 | 2 {
  return topic === 'user' ? 1 : 2;
}

/** Accounts of the owner; users of the company, or oneself. */
function owned(sql: Sql, principal: Keeper, topic: LimitedTopic) {
  const { ownerKey, onlyUser } = scopeOf(principal);
  if (topic === 'account') return onlyUser === null ? sql`e.owner_key = ${ownerKey}` : sql`false`;
  if (onlyUser !== null) return sql`e.id = ${onlyUser}`;
  return sql`e.id in (select u.id from users u where ${usersOf(sql, ownerKey)})`;
}
