/** The data side of the API, put together: stores, the engine, and what runs beside the requests. */

import type { Log } from '../platform/log.js';
import { OperationTimes } from '../platform/metrics/operation-times.js';
import type { Seals } from '../platform/redis/seal.js';
import { seeRunbook } from '../platform/runbook.js';
import { Cache } from './cache/cache.js';
import { CachedAccounts } from './cache/cached-accounts.js';
import { CachedCards } from './cache/cached-cards.js';
import { CachedTransactions } from './cache/cached-transactions.js';
import { Invalidations } from './cache/invalidations.js';
import { RedisCache } from './cache/redis-cache.js';
import type { ApiConfig } from './config.js';
import { EngineClient } from './engine-client.js';
import type { ChangeFeed } from './feed/change-feed.js';
import { PersonalCopies } from './feed/personal-copies.js';
import { PersonalHistory } from './feed/personal-history.js';
import type { Telemetry } from './http/telemetry.js';
import type { Health } from './ops/health.js';
import type { Effectiveness } from './routes/change-answers.js';
import type { AccountStore } from './stores/accounts.js';
import { type CardBook, CardStore } from './stores/cards.js';
import { Entries } from './stores/entries.js';
import { Holds } from './stores/holds.js';
import { LimitsStore } from './stores/limits.js';
import { MongoConnection } from './stores/personal/mongo-connection.js';
import { MongoCopies } from './stores/personal/mongo-copies.js';
import { MongoHistory } from './stores/personal/mongo-history.js';
import type { Database } from './stores/postgres.js';
import { PostgresTransactions } from './stores/postgres-transactions.js';
import { Quarantine } from './stores/quarantine.js';
import type { RedisConnection } from './stores/redis.js';
import { SearchStore } from './stores/search.js';
import { LedgerIdentity } from './stores/settled-ledger.js';
import { Owners } from './stores/tenancy.js';
import { Transactions } from './stores/transactions.js';

/** How often Postgres is asked for its name until it answers. */
const redisRetryMs = 1_000;

export interface DataServices {
  readonly engine: EngineClient;
  readonly accounts: AccountStore;
  readonly entries: Entries;
  readonly cards: CardBook;
  readonly limits: LimitsStore;
  readonly owners: Owners;
  readonly holds: Holds;
  readonly quarantine: Quarantine;
  readonly transactions: Transactions;
  readonly search: SearchStore;
  readonly feed: Effectiveness;
  readonly cache: Cache;
  readonly invalidations: Invalidations;
  /** Starts what runs beside the requests. */
  startData(): Promise<void>;
  stopData(): Promise<void>;
}

export interface DataParts {
  readonly config: ApiConfig;
  readonly log: Log;
  readonly database: Database;
  readonly redis: RedisConnection | null;
  readonly telemetry: Telemetry;
  readonly health: Health;
  readonly feed: ChangeFeed;
  readonly seals: Seals;
}

export function createDataServices({
  config,
  log,
  database,
  redis,
  telemetry,
  health,
  feed,
  seals,
}: DataParts): DataServices {
  const engine = new EngineClient(config.engineUrl, config.engineToken);
  const connection = config.mongodb === null ? null : new MongoConnection(config.mongodb, log);
  const cache = new Cache(config.cache);
  const invalidations = new Invalidations(database, cache, log);
  const accounts = new CachedAccounts(database, cache);
  const ledger = new PostgresTransactions(database);
  const identity = new LedgerIdentity(database);
  const settled = new CachedTransactions(ledger, database, cache);
  const history = connection === null ? null : new MongoHistory(connection, () => identity.read());
  const follower = history === null ? null : new PersonalHistory(history, database, identity, log);
  const copies = connection === null ? null : new PersonalCopies(new MongoCopies(connection), database, identity, log);
  watchMongo(connection, follower, copies, telemetry, health);
  watchEngine(engine, telemetry, health);
  watchHistory(follower, telemetry);
  watchCopies(copies, telemetry);
  watchCache(cache, invalidations, telemetry);
  return {
    engine,
    accounts,
    entries: new Entries(database),
    cards: new CachedCards(new CardStore(database, config.cardCaps), cache, invalidations),
    limits: new LimitsStore(database),
    owners: new Owners(database),
    holds: new Holds(database),
    quarantine: new Quarantine(database),
    transactions: new Transactions(settled, history ?? settled, ledger),
    search: new SearchStore(database),
    feed,
    cache,
    invalidations,
    startData: async () => {
      invalidations.start();
      void useRedisCache(cache, redis, database, seals, log);
      await connection?.start();
      follower?.tail.start();
      copies?.start();
      await feed.start();
    },
    stopData: async () => {
      await Promise.all([follower?.tail.stop(), copies?.stop()]);
      await feed.stop();
      await invalidations.stop();
      cache.stop();
      await connection?.close();
    },
  };
}

function watchMongo(
  connection: MongoConnection | null,
  history: PersonalHistory | null,
  copies: PersonalCopies | null,
  telemetry: Telemetry,
  health: Health,
): void {
  health.add('mongodb', () => {
    if (connection === null) return { status: 'disabled', detail: 'MONGODB_URI is not set: all data in Postgres' };
    const { isUp, detail } = connection.health();
    if (!isUp) return { status: 'unhealthy', detail };
    const faults = [
      history?.tail.age.complaint('history', history.tail.lag) ?? '',
      copies?.age.complaint('people and cards', copies.lag) ?? '',
      copies === null || copies.apart === 0 ? '' : `${copies.apart} rows are set apart, like ${copies.apartName}`,
    ].filter((fault) => fault !== '');
    if (faults.length === 0) return { status: 'healthy', detail };
    return { status: 'unhealthy', detail: [detail, ...faults, seeRunbook('late-copies')].join('; ') };
  });
  const counters: [string, string, () => number][] = [
    ['mongodb_operations_total', 'Operations sent to MongoDB', () => connection?.operations ?? 0],
    ['mongodb_slow_operations_total', 'Operations slower than 100 ms', () => connection?.slowOperations ?? 0],
    ['mongodb_failed_operations_total', 'Operations that failed', () => connection?.failedOperations ?? 0],
  ];
  for (const [name, help, value] of counters) telemetry.counter(name, help, [], (counter) => counter.inc(value()));
  const times = connection?.times ?? new OperationTimes();
  times.measure(telemetry, 'mongodb_operation_seconds', 'Time of an operation, by name', 'operation');
}

function watchCopies(copies: PersonalCopies | null, telemetry: Telemetry): void {
  telemetry.counter('personal_copies_total', 'Rows of people and cards copied to MongoDB', [], (counter) =>
    counter.inc(copies?.copied ?? 0),
  );
  telemetry.counter('personal_copies_rebuilds_total', 'Times that all of them were copied again', [], (counter) =>
    counter.inc(copies?.rebuilds ?? 0),
  );
  telemetry.gauge('personal_copies_lag', 'Changes and new rows that are not copied yet', [], (gauge) =>
    gauge.set(copies?.lag ?? 0),
  );
  telemetry.gauge('personal_copies_apart', 'Rows that cannot be copied', [], (gauge) => gauge.set(copies?.apart ?? 0));
}

/** Several databases may share a Redis: the cache uses Redis once Postgres has named our keys. */
async function useRedisCache(
  cache: Cache,
  redis: RedisConnection | null,
  database: Database,
  seals: Seals,
  log: Log,
): Promise<void> {
  if (redis === null) return;
  for (;;) {
    try {
      const [row] = await database.run('cache.space', (sql) => sql<{ id: string }[]>`select cache_space() as id`);
      return cache.useRedis(new RedisCache(redis, row!.id, seals));
    } catch (error) {
      log.debug({ error: (error as Error).message }, 'the cache in Redis waits for Postgres');
      await new Promise((resolve) => setTimeout(resolve, redisRetryMs).unref());
    }
  }
}

function watchCache(cache: Cache, invalidations: Invalidations, telemetry: Telemetry): void {
  telemetry.counter(
    'cache_reads_total',
    'Reads through the cache by where they were answered',
    ['level'],
    (counter) => {
      counter.inc({ level: 'local' }, cache.counts.localHits);
      counter.inc({ level: 'shared' }, cache.counts.redisHits);
      counter.inc({ level: 'store' }, cache.counts.misses);
    },
  );
  telemetry.counter('cache_messages_total', 'Notifications of changes that Postgres sent', [], (counter) =>
    counter.inc(invalidations.received),
  );
  telemetry.gauge('cache_local_entries', 'Values kept in this process', [], (gauge) => gauge.set(cache.localSize));
  telemetry.gauge('cache_owed', 'Changes that Redis does not have yet', [], (gauge) => gauge.set(cache.owed));
  telemetry.gauge(
    'cache_listening',
    '1 while this process receives the changes of other processes, else 0',
    [],
    (gauge) => gauge.set(invalidations.isListening ? 1 : 0),
  );
}

function watchHistory(follower: PersonalHistory | null, telemetry: Telemetry): void {
  telemetry.counter('personal_history_copied_total', 'Transactions copied to the history in MongoDB', [], (counter) =>
    counter.inc(follower?.copied ?? 0),
  );
  telemetry.counter(
    'personal_history_removed_total',
    'Transactions removed from the history in MongoDB because a restored ledger does not have them',
    [],
    (counter) => counter.inc(follower?.removed ?? 0),
  );
  telemetry.gauge('personal_history_lag_records', 'Settled messages that are not in the history yet', [], (gauge) =>
    gauge.set(follower?.tail.lag ?? 0),
  );
}

function watchEngine(engine: EngineClient, telemetry: Telemetry, health: Health): void {
  health.add('engine', async () => {
    const { isUp, detail } = await engine.health();
    return { status: isUp ? 'healthy' : 'unhealthy', detail };
  });
  health.add('marqeta', async () => {
    try {
      return await engine.marqeta();
    } catch (error) {
      return { status: 'unhealthy', detail: `the engines count Marqeta's calls: ${(error as Error).message}` };
    }
  });
  engine.times.measure(telemetry, 'engine_request_seconds', 'Time of a request to the engine', null);
  telemetry.counter('engine_requests_total', 'Requests to the engine', [], (counter) => counter.inc(engine.requests));
  telemetry.counter('engine_failed_requests_total', 'Requests to the engine that it did not answer', [], (counter) =>
    counter.inc(engine.failures),
  );
}
