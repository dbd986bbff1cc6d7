/** What all parts of an engine use: its clock, Postgres, Redis, the feed, the writer's lease, and shared progress. */
import { randomUUID } from 'node:crypto';
import type { Log } from '../platform/log.js';
import { Seals } from '../platform/redis/seal.js';
import { seeRunbook } from '../platform/runbook.js';
import { SystemClock } from './clock.js';
import type { EngineConfig } from './config.js';
import { createProgress } from './exchange/progress.js';
import { EngineFeed } from './feed/feed.js';
import { Database } from './lookups/database.js';
import { SetApart } from './lookups/set-apart.js';
import { journalPlace } from './writer/journal-place.js';
import { WriterLease } from './writer/writer-lease.js';

/**
 * How much longer the lease lasts than the feed's limit: twice the longest time between two renewals, which are of
 * both.
 */
const staleBeforeLapseMsMax = 2000;

export type EngineBase = Awaited<ReturnType<typeof engineBase>>;

/** Opens no connection and starts no thread. */
export async function engineBase(config: EngineConfig, log: Log) {
  const clock = new SystemClock();
  const { databaseUrl, redisUrl, feedStaleMsMax: staleMsMax } = config;
  const seals = new Seals(config.feedKeys, (fields, message) => log.warn(fields, message));
  const redis = redisUrl === '' ? null : (await import('./redis-parts.js')).redisParts(config, seals);
  const setApart = new SetApart(log);
  const lost = onceLost(log);
  const holder = randomUUID();
  return {
    config,
    log,
    clock,
    nowMs: () => clock.nowMs(),
    database: new Database(databaseUrl),
    seals,
    redis,
    setApart,
    feed: new EngineFeed({
      databaseUrl,
      messenger: redis?.messenger ?? null,
      staleMsMax,
      setApart,
      log,
      setBack: (newest) => setBack(log, newest),
    }),
    progress: createProgress(config.partitionCount),
    journal: journalPlace(config, holder, log),
    writer: new WriterLease({
      databaseUrl,
      leaseMs: leaseMsOf(config),
      holder,
      authUrl: `http://${config.host}:${config.authPort}`,
      opsUrl: `http://${config.opsHost}:${config.opsPort}`,
      log,
      lost,
    }),
    lost,
  };
}

/**
 * How long another engine waits for one that did not say that it stopped. A local journal's engine decides with
 * Postgres away until the feed is stale, and is the writer that long.
 */
function leaseMsOf({ journal, leaseMs, feedStaleMsMax }: EngineConfig): number {
  if (journal === 'postgres') return leaseMs;
  return Math.max(leaseMs, feedStaleMsMax + Math.min(staleBeforeLapseMsMax, feedStaleMsMax / 4));
}

function setBack(log: Log, newest: number): void {
  log.fatal(
    { newest },
    'the database was restored from an older copy, and this engine has newer cards in memory, behind which a ' +
      'freeze would not be in force: stopping; start it again, it reads everything again ' +
      `(${seeRunbook('backup-and-restore')})`,
  );
  process.exit(1);
}

/** Anything that an engine without its lease still approved would be lost, and could be spent a second time. */
function onceLost(log: Log): (why: string) => void {
  let isLost = false;
  return (why) => {
    if (isLost) return;
    isLost = true;
    log.fatal(
      { why },
      'another engine is the writer of this database now: stopping so that no account has two writers',
    );
    process.exit(1);
  };
}
