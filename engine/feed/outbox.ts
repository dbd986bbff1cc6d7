/**
 * What the feed asks of Postgres, on connections of its own: a storm of unknown cards must not keep the engine from
 * renewing its lease. Every question has a deadline of ours, after which the connections are given up for new ones.
 */
import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';
import type { PastChange } from '../../platform/cache/change-log.js';
import { BoundedConnections } from '../../platform/postgres/bounded-connections.js';
import { knownTypes } from '../../platform/postgres/driver-types.js';
import { type FeedTopic, feedTopics, type RawEntry } from '../core/feed.js';
import { profileBytesMax } from '../core/limits.js';
import { isIdentified } from '../core/profile-shape.js';
import type { Apart } from '../lookups/set-apart.js';
import { appliedReport } from './feed-packet.js';
import type { FeedSource, OutboxPage } from './follower.js';
import { isDead, processPlace } from './process-place.js';

/** Far above what any of these needs; a snapshot's page reads the most. */
const statementTimeoutMs = 2000;
const deadlineMs = 3000;
const connectTimeoutS = 2;
/** Renewals beside a repair. */
const connectionsMax = 2;
/** Rows looked at per page of a snapshot, of which those that ever changed are brought. */
const snapshotRows = 20_000;
/** Profiles per page: some milliseconds of this thread. */
const pageBytesMax = 1024 * 1024;
/** A profile as the outbox has it: with the name, and a space behind each comma. */
const payloadBytesMax = profileBytesMax + 16 * 1024;
/** As many as an engine names. */
const setApartMax = 10_000;

export interface Registration {
  /** Names the feed, where several use one Redis. */
  readonly feedId: string;
  /** Names what is cached of this database. */
  readonly cacheSpace: string;
  /** Everything up to this number is in what will be read from now on. */
  readonly newest: number;
}

export interface PastChanges {
  /** All changes after this number are here. */
  readonly after: number;
  readonly changes: readonly PastChange[];
}

/** Engines of this process: tests run several. */
const ownEngines = new Set<string>();

export class Outbox implements FeedSource {
  readonly engineId = randomUUID();
  readonly #staleMs: number;
  readonly #connections: BoundedConnections;

  constructor(url: string, staleMs: number) {
    this.#staleMs = staleMs;
    this.#connections = new BoundedConnections(url, {
      max: connectionsMax,
      idle_timeout: 0,
      connect_timeout: connectTimeoutS,
      onnotice: () => undefined,
      connection: { application_name: 'engine feed', statement_timeout: statementTimeoutMs },
      ...knownTypes,
    });
  }

  async #ask<T>(run: (sql: postgres.Sql) => Promise<T>): Promise<T> {
    if (this.#connections.isClosed) throw new Error('the feed is closed');
    return this.#connections.run(deadlineMs, run);
  }

  /**
   * Makes the engine known, before it reads anything: from now on changes wait for it. Predecessors on this machine
   * whose process is dead are removed, so that no change waits for them.
   */
  async register(): Promise<Registration> {
    const [named] = await this.#ask(
      (sql) => sql<{ id: string; space: string }[]>`select feed_id() as id, cache_space() as space`,
    );
    const others = await this.#ask(
      (sql) => sql<{ id: string; pid: number }[]>`
        select id, pid from feed_engines where place = ${processPlace()}`,
    );
    const dead = others.filter(({ id, pid }) => isDead(pid) && !ownEngines.has(id)).map(({ id }) => id);
    ownEngines.add(this.engineId);
    if (dead.length > 0)
      await this.#ask((sql) => sql`delete from feed_engines where id = any(${dead}::text[]::uuid[])`);
    const newest = await this.renew(0, 0);
    return { feedId: named!.id, cacheSpace: named!.space, newest };
  }

  /**
   * Writes that the engine is alive, then numbers what is committed and reads the newest number: in this order, in two
   * statements (lease.ts says why). @returns that number
   */
  async renew(applied: number, setApart: number): Promise<number> {
    await this.#ask(
      (sql) => sql`
        insert into feed_engines (id, place, pid, stale_ms, applied, set_apart)
        values (${this.engineId}, ${processPlace()}, ${process.pid}, ${this.#staleMs}, ${applied}, ${setApart})
        on conflict (id) do update
        set applied = excluded.applied, set_apart = excluded.set_apart, seen_at = clock_timestamp()`,
    );
    for (;;) {
      const [row] = await this.#ask(
        (sql) => sql<{ newest: number; more: boolean }[]>`select newest::float8 as newest, more from feed_number()`,
      );
      if (row?.more !== true) return row!.newest;
    }
  }

  async read(after: number, limit: number): Promise<OutboxPage> {
    const [row] = await this.#ask(
      (sql) => sql<{ newest: number; pruned: number; entries: RawEntry[] | null }[]>`
        select newest::float8 as newest, pruned::float8 as pruned, (
          select json_agg(json_build_object('sequence', e.sequence, 'topic', e.topic, 'payload', e.payload, 'key',
          e.key,
            'version', e.version, 'atMs', extract(epoch from e.created_at) * 1000) order by e.sequence)
          from feed_page(${after}, ${limit}, ${pageBytesMax}, ${payloadBytesMax}) e) as entries
        from feed_position`,
    );
    return { newest: row!.newest, pruned: row!.pruned, entries: await this.#readable(row!.entries ?? []) };
  }

  /** An entry that does not say whose it is stands for its row as it is now, where there is one. */
  async #readable(entries: readonly RawEntry[]): Promise<readonly RawEntry[]> {
    const unreadable = entries.filter(({ topic, payload }) => !isIdentified(topic, payload));
    if (unreadable.length === 0) return entries;
    const found = new Map<string, unknown>();
    for (const topic of feedTopics) {
      const keys = unreadable.filter((entry) => entry.topic === topic && isNumber(entry.key)).map(({ key }) => key!);
      if (keys.length === 0) continue;
      const rows = await this.#ask(
        (sql) => sql<{ key: string; payload: unknown }[]>`
          select t.id::text as key, feed_bounded(${sql(`${topic}_profile`)}(t), ${payloadBytesMax}) as payload
          from ${sql(topic === 'user' ? 'engine_users' : `${topic}s`)} t where t.id = any(${keys}::text[]::bigint[])`,
      );
      for (const { key, payload } of rows) found.set(`${topic} ${key}`, payload);
    }
    return entries.map((entry) =>
      isIdentified(entry.topic, entry.payload)
        ? entry
        : { ...entry, payload: found.get(`${entry.topic} ${entry.key}`) ?? entry.payload },
    );
  }

  /** What changed after `after` up to `upTo`, as far as the outbox reaches back; without the profiles. */
  async changesBetween(after: number, upTo: number): Promise<PastChanges> {
    const [row] = await this.#ask(
      (sql) => sql<{ pruned: number; changes: PastChange[] | null }[]>`
        select pruned::float8 as pruned, (
          select json_agg(json_build_object('topic', topic, 'number', key::bigint, 'version', version))
          from outbox where sequence > ${after} and sequence <= ${upTo}) as changes
        from feed_position`,
    );
    return { after: Math.max(after, row!.pruned), changes: row!.changes ?? [] };
  }

  /** A row that never changed has version 1, and is in no memory otherwise than as it is. */
  async *snapshot(): AsyncIterable<readonly RawEntry[]> {
    for (const topic of ['account', 'user', 'card'] as const) {
      let after = 0;
      for (;;) {
        const page = await this.#ask((sql) => snapshotPage(sql, topic, after));
        if (page.last === null) break;
        after = page.last;
        if (page.payloads !== null) {
          yield page.payloads.map((payload) => ({ sequence: 0, atMs: 0, topic, payload }));
        }
      }
    }
  }

  /** Says on the database's own channel how far changes are in force here. */
  async notifyApplied(applied: number, setApart: number): Promise<void> {
    const report = appliedReport(this.engineId, applied, setApart);
    // A word, and nothing that the disk has to keep.
    await this.#ask(
      (sql) => sql`select set_config('synchronous_commit', 'off', true), pg_notify('feed_applied', ${report})`,
    );
  }

  /** Profiles that engines have set apart and that are still as they were. */
  async setApart(): Promise<readonly Apart[]> {
    return this.#ask(
      (sql) => sql<Apart[]>`
        select f.topic, f.key, f.version::float8 as version, f.reason
        from (select *, case when key ~ '^[0-9]{1,18}$' then key::bigint end as number from feed_set_apart) f
        where f.version = coalesce(
          (select version from cards t where f.topic = 'card' and t.id = f.number),
          (select version from users t where f.topic = 'user' and t.id = f.number),
          (select version from accounts t where f.topic = 'account' and t.id = f.number), f.version)
        limit ${setApartMax}`,
    );
  }

  /** Writes what is set apart, and takes out what no longer is (without a reason). */
  async writeSetApart(list: readonly Apart[]): Promise<void> {
    const of = <K extends keyof Apart>(name: K) => list.map((apart) => apart[name]);
    await this.#ask(
      (sql) => sql`
        with reported as (
          select * from unnest(${of('topic')}::text[], ${of('key')}::text[], ${of('version')}::bigint[],
            ${of('reason')}::text[]) t (topic, key, version, reason)
        ), ended as (
          delete from feed_set_apart f using reported t
          where f.topic = t.topic and f.key = t.key and t.reason = '' and f.version <= t.version
        )
        insert into feed_set_apart as f (topic, key, version, reason)
        select topic, key, version, reason from reported where reason <> ''
        on conflict (topic, key) do update set version = excluded.version, reason = excluded.reason,
        since = excluded.since
        where f.version < excluded.version`,
    );
  }

  /** The engine approves nothing any more: no change needs to wait for it. */
  async unregister(): Promise<void> {
    await this.#ask((sql) => sql`delete from feed_engines where id = ${this.engineId}`);
  }

  async close(): Promise<void> {
    ownEngines.delete(this.engineId);
    await this.#connections.close();
  }
}

function isNumber(key: string | undefined): boolean {
  return key !== undefined && /^[0-9]{1,18}$/.test(key);
}

interface SnapshotPage {
  /** Last number looked at; null: there are no more. */
  readonly last: number | null;
  readonly payloads: unknown[] | null;
}

async function snapshotPage(sql: postgres.Sql, topic: FeedTopic, after: number): Promise<SnapshotPage> {
  const [page] = await sql<SnapshotPage[]>`
    select max(number)::float8 as last, json_agg(payload) filter (where payload is not null) as payloads
    from feed_snapshot_page(${topic}, ${after}, ${snapshotRows}, ${pageBytesMax}, ${payloadBytesMax})`;
  return page!;
}
