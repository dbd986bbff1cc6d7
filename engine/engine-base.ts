/** What all parts of an engine use: its name, clock, Postgres, Redis, the feed, and shared progress. */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Log } from '../platform/log.js';
import { Seals } from '../platform/redis/seal.js';
import { seeRunbook } from '../platform/runbook.js';
import { openTraces } from '../platform/tracing/open-traces.js';
import { SystemClock } from './clock.js';
import type { EngineConfig } from './config.js';
import { createProgress } from './exchange/progress.js';
import { EngineFeed } from './feed/feed.js';
import { Database } from './lookups/database.js';
import { SetApart } from './lookups/set-apart.js';
import { claimsMax } from './membership/registry.js';
import { loadSchemaCompiler } from './protocols/reading/schema.js';
import { journalPlace } from './writer/journal-place.js';

export type EngineBase = Awaited<ReturnType<typeof engineBase>>;

/** Opens no connection and starts no thread. */
export async function engineBase(config: EngineConfig, log: Log) {
  const clock = new SystemClock();
  const { databaseUrl, redisUrl, feedStaleMsMax: staleMsMax } = config;
  const seals = new Seals(config.feedKeys, (fields, message) => log.warn(fields, message));
  const redis = redisUrl === '' ? null : (await import('./redis-parts.js')).redisParts(config, seals);
  const setApart = new SetApart(log);
  const holder = randomUUID();
  const traces = await openTraces(config.traces, 'engine', holder);
  const database = new Database(databaseUrl, config.journal === 'local' ? 1 : claimsMax);
  return {
    config,
    log,
    clock,
    nowMs: () => clock.nowMs(),
    /** Names this engine in the database, from its start to its end. */
    holder,
    authUrl: `http://${reachableHost(config.host)}:${config.authPort}`,
    opsUrl: `http://${reachableHost(config.opsHost)}:${config.opsPort}`,
    database,
    /** Once this engine may load files and open connections that it does not need to become a writer. */
    prepareLookups(): void {
      // Nothing of ours is loaded from disk any more once connections compete for file descriptors.
      loadSchemaCompiler();
      // The first lookup finds a connection, a plan and warm code: answered after 21 ms instead of 31 on a busy
      // machine.
      void database.warmUp(1);
    },
    /** Null: TRACE_URL is not set. */
    traces,
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
    lost: onceLost(log),
  };
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

/** @param host where a port listens; on every address of a machine it is reached by the machine's name */
export function reachableHost(host: string): string {
  return host === '0.0.0.0' || host === '::' ? hostname() : host;
}
