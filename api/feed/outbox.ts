/**
 * The queries of the API's end of the feed, on connections of its own. A change must be confirmed in milliseconds
 * however busy the pool of the routes is. Every question has a deadline, after which the connections are given up.
 */
import type postgres from 'postgres';
import type { FeedEntry, FeedTopic } from '../../engine/core/feed.js';
import { profileBytesMax } from '../../engine/core/limits.js';
import { BoundedConnections } from '../../platform/postgres/bounded-connections.js';
import { Listener } from '../../platform/postgres/listener.js';
import { noAnswer, withDeadline } from '../../platform/process/deadline.js';

const statementTimeoutMs = 5000;
const deadlineMs = 6000;
const connectTimeoutS = 2;
/** A session that hangs holds up a stop no longer. */
const resignWaitMs = 1000;
/** Confirmations, looks at the engines, and the leader's session. */
const connectionsMax = 4;
/** Profiles per look of the relay, and the longest one: what is longer the engines decline (engine/feed/outbox.ts). */
const pageBytesMax = 1024 * 1024;
const payloadBytesMax = profileBytesMax + 16 * 1024;

/** 'feel' in ASCII: the session lock of the one relay that publishes. */
const leaderLockKey = 1717921132;

/** A change as its maker knows it. */
export interface Change {
  readonly topic: FeedTopic;
  /** Number of the card, user or account, as decimal text. */
  readonly key: string;
  readonly version: number;
}

export interface Confirmation {
  /** Newest number given; the changes that are present have numbers up to it. */
  readonly newest: number;
  /** For each change asked for: its row has that version, or a newer one. */
  readonly present: readonly boolean[];
  /** Engines that may still approve, read after the numbers were given: all that have to obey. */
  readonly engines: readonly EngineRow[];
  /** What got its number here, oldest first; empty also when that was too much to bring. */
  readonly entries: readonly FeedEntry[];
}

export interface EngineRow {
  readonly id: string;
  readonly applied: number;
  /** How many profiles it declines because it cannot apply them. */
  readonly setApart: number;
}

interface ConfirmedRow extends Omit<Confirmation, 'entries'> {
  readonly more: boolean;
  readonly entries: FeedEntry[] | null;
}

/** One session with the relay's lock. */
export interface Leadership {
  /** Numbers what was committed. */
  number(): Promise<void>;
  /** Up to `limit` entries after `after`, and the newest number. Throws when the lock may be lost. */
  next(after: number, limit: number): Promise<{ readonly newest: number; readonly entries: readonly FeedEntry[] }>;
  prune(): Promise<void>;
  /** Gives the lock back, and waits a moment for that. */
  resign(): Promise<void>;
}

/** Entries are kept for an hour, and a million at most: a few hundred megabytes. */
const keep = '1 hour';
const keepCount = 1_000_000;

export class RelayOutbox {
  readonly #connections: BoundedConnections;
  /** Of its own: what listens must not be given up with connections that hang. */
  readonly #listener: Listener;

  constructor(url: string) {
    this.#connections = new BoundedConnections(url, {
      max: connectionsMax,
      connect_timeout: connectTimeoutS,
      onnotice: () => undefined,
      connection: { application_name: 'api feed', statement_timeout: statementTimeoutMs },
    });
    this.#listener = new Listener(url, 'api feed listener');
  }

  async #ask<T>(run: (sql: postgres.Sql) => Promise<T>): Promise<T> {
    if (this.#connections.isClosed) throw new Error('the feed is closed');
    return this.#connections.run(deadlineMs, run);
  }

  /** Name of the feed, where several use one Redis. */
  async feedId(): Promise<string> {
    const [row] = await this.#ask((sql) => sql<{ id: string }[]>`select feed_id() as id`);
    return row!.id;
  }

  /**
   * Numbers everything that was committed before the call.
   * @param carry brings what got its number, up to so many entries
   */
  async confirm(changes: readonly Change[], carry: number): Promise<Confirmation> {
    const topics = changes.map(({ topic }) => topic);
    const keys = changes.map(({ key }) => key);
    const versions = changes.map(({ version }) => version);
    let present: readonly boolean[] | null = null;
    for (;;) {
      const [row] = await this.#ask(
        (sql) => sql<ConfirmedRow[]>`
          select newest::float8 as newest, more, present, engines, entries
          from feed_confirm_live(${topics}::text[], ${keys}::bigint[], ${versions}::bigint[], ${carry}::integer)`,
      );
      present ??= row!.present;
      if (!row!.more) return { newest: row!.newest, present, engines: row!.engines, entries: row!.entries ?? [] };
    }
  }

  /**
   * Whether changes that every engine has applied are in force as they were asked: not set apart, or declined as
   * asked.
   */
  async inForce(changes: readonly Change[]): Promise<readonly boolean[]> {
    const topics = changes.map(({ topic }) => topic);
    const keys = changes.map(({ key }) => key);
    const [row] = await this.#ask(
      (sql) => sql<{ inForce: boolean[] }[]>`
        select feed_in_force(${topics}::text[], ${keys}::bigint[]) as "inForce"`,
    );
    return row!.inForce;
  }

  /** Listens on a channel, also after lost connections. `connected` is called each time that it begins. */
  async listen(channel: string, received: (text: string) => void, connected: () => void): Promise<void> {
    await this.#listener.listen(channel, received, connected);
  }

  /** Says the newest number on the database's own channel. */
  async notify(newest: number): Promise<void> {
    // Not for the disk to wait for: it is said again four times a second.
    await this.#ask(
      (sql) => sql`select set_config('synchronous_commit', 'off', true), pg_notify('feed', ${String(newest)})`,
    );
  }

  /** Takes the relay's lock; null when another process has it. */
  async lead(): Promise<Leadership | null> {
    const session = await this.#ask((sql) => sql.reserve());
    let isOver = false;
    const resign = async () => {
      if (isOver) return;
      isOver = true;
      const release = () => session.release();
      // A session that hangs is given up with its connections; one that works gives the lock back first. The driver
      // would close a connection that is still reserved only at the end of its time.
      const released = session`select pg_advisory_unlock_all()`.then(release, release);
      await withDeadline(released, resignWaitMs, () => undefined);
    };
    try {
      const [row] = await inTime(
        session<{ held: boolean; pid: number }[]>`
          select pg_try_advisory_lock(${leaderLockKey}) as held, pg_backend_pid() as pid`,
      );
      if (row?.held !== true) {
        await resign();
        return null;
      }
      return { ...this.#leadership(session, row.pid), resign };
    } catch (error) {
      await resign();
      throw error;
    }
  }

  #leadership(session: postgres.ReservedSql, pid: number): Omit<Leadership, 'resign'> {
    return {
      async number() {
        await inTime(session`select feed_number()`);
      },
      async next(after, limit) {
        const [row] = await inTime(
          session<{ pid: number; newest: number; entries: FeedEntry[] | null }[]>`
            select pg_backend_pid() as pid, newest::float8 as newest, (
              select json_agg(json_build_object('sequence', e.sequence, 'topic', e.topic, 'payload', e.payload,
                'atMs', extract(epoch from e.created_at) * 1000) order by e.sequence)
              from feed_page(${after}, ${limit}, ${pageBytesMax}, ${payloadBytesMax}) e) as entries
            from feed_position`,
        );
        // The driver connects again by itself, and the lock stayed with the session that was lost.
        if (row!.pid !== pid) throw new Error('the session with the lock was lost');
        return { newest: row!.newest, entries: row!.entries ?? [] };
      },
      async prune() {
        await inTime(session`select feed_prune(${keep}::interval, ${keepCount})`);
      },
    };
  }

  async close(): Promise<void> {
    await Promise.all([this.#connections.close(), this.#listener.close()]);
  }
}

function inTime<T>(answer: PromiseLike<T>): Promise<T> {
  return withDeadline(answer, deadlineMs, () => noAnswer(deadlineMs));
}
