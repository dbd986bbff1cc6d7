/**
 * The engine's connections to the ledger in Postgres. They serve lookups under a deadline of our own, and the reads of
 * a start. No query here moves money: the shipper does, in one statement.
 */
import type postgres from 'postgres';
import { OperationTimes } from '../../platform/metrics/operation-times.js';
import { BoundedConnections } from '../../platform/postgres/bounded-connections.js';
import { connectPostgres } from '../../platform/postgres/connect.js';
import { type DatabaseRole, databaseRoleQuery } from '../../platform/postgres/database-role.js';
import { knownTypes } from '../../platform/postgres/driver-types.js';
import { firstFailure } from '../../platform/postgres/server-version.js';
import type { JournalKind } from '../config.js';
import type { CardPayload } from '../core/feed.js';
import type { PartitionRows } from '../core/partition-rows.js';
import type { WriterFence } from '../core/writer-fence.js';
import { endSettlers, fixJournal, ledgerId, openPosition } from '../writer/settled-position.js';
import {
  type AccountSummary,
  accountOwners,
  accountSummaries,
  type BooksRead,
  cardOwners,
  readAccounts,
  readBooks,
  type SpendEntities,
  type SpendSummary,
  spendSummaries,
} from './database-accounts.js';
import { type CardsRead, type OwnedRows, readCards } from './database-cards.js';
import {
  type KeysRead,
  readDecision,
  readRecords,
  readTransactions,
  type SettledDecision,
} from './database-transactions.js';
import { type LapsedPage, type LapsePlace, lapsed, type Quarantine, quarantined } from './lapsed.js';
import {
  type FramesRead,
  newestFrames,
  type RestoreKeys,
  recentCards,
  restoreRows,
  type SeenChunk,
  seenBefore,
  settledRecord,
} from './restore.js';

/** Longest a lookup may run: far above the 100 ms that a waiting terminal has, so that only a sick server hits it. */
const lookupTimeoutMs = 1000;
/** Restoring after a crash reads what the journal's tail touches: more rows, and no terminal waits for one of them. */
const restoreTimeoutMs = 60_000;
/** Above the server's own limit, with room for a queue: only a connection that hangs runs into it. */
const lookupDeadlineMs = 2000;
const connectTimeoutS = 2;
/** As the API's SLOW_QUERY_MS is by default: a terminal waits no longer for the whole answer. */
const slowLookupMs = 100;
/** Lookups run side by side (lookups.ts); more connections would only queue inside Postgres. */
const connectionsMax = 5;
/** Ids and cards are read in the background: of two partitions at a time. */
const readsMax = 2;
export class Database {
  readonly #lookupConnections: BoundedConnections;
  readonly #restoreSql: postgres.Sql;
  /** What is read beside the messages: a start, which they wait for, must not queue behind it. */
  readonly #readSql: postgres.Sql;
  // For the metrics.
  readonly times = new OperationTimes();
  readonly lookupsMax = connectionsMax;
  lookups = 0;
  slowLookups = 0;
  failedLookups = 0;
  lookupsBusy = 0;

  /** @param restoresMax partitions that are restored side by side */
  constructor(url: string, restoresMax = 1) {
    const lookups = options(connectionsMax, lookupTimeoutMs, 'engine lookups', planOnce);
    this.#lookupConnections = new BoundedConnections(url, lookups);
    // Without a deadline of ours: what a start reads may take a minute, and a start that hangs has no customers.
    this.#restoreSql = connectPostgres(url, options(restoresMax, restoreTimeoutMs, 'engine restore'));
    this.#readSql = connectPostgres(url, options(readsMax, restoreTimeoutMs, 'engine reads'));
  }

  async #lookUp<T>(run: (sql: postgres.Sql) => Promise<T>): Promise<T> {
    const startedMs = performance.now();
    this.lookups++;
    this.lookupsBusy++;
    try {
      return await this.#lookupConnections.run(lookupDeadlineMs, run);
    } catch (error) {
      this.failedLookups++;
      throw error;
    } finally {
      this.lookupsBusy--;
      const tookMs = performance.now() - startedMs;
      this.times.add('lookups', tookMs);
      if (tookMs > slowLookupMs) this.slowLookups++;
    }
  }

  /**
   * Opens connections for lookups and runs each kind once, with nothing to find. The first message would otherwise wait
   * for a connection, a plan and cold code in turn. Never rejects.
   */
  async warmUp(connectionCount = connectionsMax): Promise<void> {
    const all = Array.from({ length: connectionCount }, async () => {
      await this.readCards([''], () => false, 0);
      await this.readRecords(0, ['']);
    });
    await Promise.all(all).catch(() => undefined);
  }

  /** Throws when Postgres does not answer. */
  async ping(): Promise<void> {
    await this.#lookUp((sql) => sql`select 1`);
  }

  async close(): Promise<void> {
    const pools = [this.#restoreSql, this.#readSql];
    await Promise.all([this.#lookupConnections.close(), ...pools.map((sql) => sql.end({ timeout: 1 }))]);
  }

  /** Which role this engine signs in as. */
  async role(): Promise<DatabaseRole> {
    const [role] = await this.#restoreSql.unsafe<DatabaseRole[]>(databaseRoleQuery);
    return role!;
  }

  /** What the start says when its first statement failed. */
  firstFailure(error: unknown): Promise<unknown> {
    return firstFailure(error, (text) => this.#restoreSql.unsafe(text));
  }

  /** @param partition null: of all partitions */
  endSettlers(partition: number | null): Promise<void> {
    return endSettlers(this.#restoreSql, partition);
  }

  /** Before anything is taken: the ledger is kept by this journal and so many partitions. */
  async fixJournal(partitionCount: number, journal: JournalKind): Promise<void> {
    await this.#restoreSql.begin((sql) => fixJournal(sql, partitionCount, journal));
  }

  openPosition(partition: number, partitionCount: number, journal: JournalKind, fence: WriterFence): Promise<number> {
    return openPosition(this.#restoreSql, partition, partitionCount, journal, fence);
  }

  ledgerId(): Promise<string> {
    return ledgerId(this.#restoreSql);
  }

  restore(keys: RestoreKeys): Promise<PartitionRows> {
    return restoreRows(this.#restoreSql, keys);
  }

  /** Has a connection and plans ready for restore(), which messages wait for. Never rejects. */
  async prepareRestore(partition: number): Promise<void> {
    const none = { accounts: [0], cards: [0], users: [0], userSpend: [0], transactions: [''] };
    try {
      await this.restore({ partition, holdMs: 0, ...none });
      await this.settledRecord(partition, 0);
    } catch {
      // The start itself says what is wrong.
    }
  }

  settledRecord(partition: number, sequence: number): Promise<Uint8Array | null> {
    return settledRecord(this.#restoreSql, partition, sequence);
  }

  seenBefore(partition: number, beforeSequence: number): Promise<SeenChunk> {
    return seenBefore(this.#readSql, partition, beforeSequence);
  }

  newestFrames(partition: number, beforePosition: number): Promise<FramesRead> {
    return newestFrames(this.#readSql, partition, beforePosition);
  }

  recentCards(partition: number, partitionCount: number, limit: number): Promise<string[]> {
    return recentCards(this.#readSql, partition, partitionCount, limit);
  }

  readCards(tokens: readonly string[], isOurs: (ownerKey: number) => boolean, partition: number): Promise<CardsRead> {
    return this.#lookUp((sql) => readCards(sql, tokens, isOurs, partition));
  }

  /** What cards whose profiles are known spend from. */
  readBooks(cards: readonly CardPayload[], partition: number): Promise<BooksRead> {
    return this.#lookUp((sql) => readBooks(sql, cards, partition));
  }

  /** Owner keys by card token, or by public id of an account; unknown ones are left out. */
  async ownersOf(kind: 'card' | 'account', keys: readonly string[]): Promise<ReadonlyMap<string, number>> {
    return this.#lookUp((sql) => (kind === 'card' ? cardOwners(sql, keys) : accountOwners(sql, keys)));
  }

  /** Accounts by public id, as readCards: for ledger commands. */
  readAccounts(
    publicIds: readonly string[],
    isOurs: (ownerKey: number) => boolean,
    partition: number,
  ): Promise<OwnedRows> {
    return this.#lookUp((sql) => readAccounts(sql, publicIds, isOurs, partition));
  }

  /**
   * A partition's transactions by their name, or by the id of a later message of theirs, with the books of their
   * accounts.
   */
  readTransactions(partition: number, ids: readonly string[]): Promise<KeysRead> {
    return this.#lookUp((sql) => readTransactions(sql, partition, ids));
  }

  readRecords(partition: number, ids: readonly string[]): Promise<KeysRead> {
    return this.#lookUp((sql) => readRecords(sql, partition, ids));
  }

  /** The newest settled record of a message with that id, or of the one that opened the transaction of that name. */
  decision(id: string): Promise<SettledDecision | null> {
    return this.#lookUp((sql) => readDecision(sql, id));
  }

  lapsed(partition: number, nowMs: number, after: LapsePlace | null, limit: number): Promise<LapsedPage> {
    return this.#lookUp((sql) => lapsed(sql, partition, nowMs, after, limit));
  }

  quarantined(): Promise<Quarantine> {
    return this.#lookUp((sql) => quarantined(sql));
  }

  /** Accounts with those public ids, with their owners and settled books; unknown ones are left out. */
  accountSummaries(publicIds: readonly string[]): Promise<readonly AccountSummary[]> {
    return this.#lookUp((sql) => accountSummaries(sql, publicIds));
  }

  /** Owners, zones and settled spend windows of a card, a user and an account; unknown ones are left out. */
  spendSummaries(entities: SpendEntities): Promise<readonly SpendSummary[]> {
    return this.#lookUp((sql) => spendSummaries(sql, entities));
  }
}

/**
 * A lookup reads a few keys of many tables. Its plan takes longer than its run (2 ms of 2.5 for four cards), so it is
 * planned once for a connection. Always by index, because the plan outlives the moment in which the tables were empty.
 */
const planOnce = { plan_cache_mode: 'force_generic_plan', enable_seqscan: 'off' };

function options(
  max: number,
  statementTimeoutMs: number,
  name: string,
  settings: Readonly<Record<string, string>> = {},
) {
  return {
    max,
    idle_timeout: 30,
    connect_timeout: connectTimeoutS,
    onnotice: () => undefined,
    connection: { application_name: name, statement_timeout: statementTimeoutMs, ...settings },
    ...knownTypes,
  };
}
