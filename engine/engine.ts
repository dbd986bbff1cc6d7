/**
 * The engine put together: database, shipper, partitions, front, ops port. Started by main.ts; tests start it in their
 * own process.
 */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ChangeLog } from '../platform/cache/change-log.js';
import type { Log } from '../platform/log.js';
import { checkDatabaseRole } from '../platform/postgres/database-role.js';
import { ConnectionGate, measureConnections } from '../platform/process/connection-gate.js';
import { Seals } from '../platform/redis/seal.js';
import { seeRunbook } from '../platform/runbook.js';
import { SystemClock } from './clock.js';
import type { EngineConfig } from './config.js';
import { Protocol } from './core/codes.js';
import type { PartitionStats } from './exchange/partition-task.js';
import { createProgress } from './exchange/progress.js';
import { EngineFeed } from './feed/feed.js';
import { LookupGuard } from './feed/lookup-guard.js';
import { Admission } from './ledger/admission.js';
import { LapseClock } from './ledger/lapse-clock.js';
import { LedgerCommands } from './ledger/ledger-commands.js';
import { LedgerReader } from './ledger/ledger-reader.js';
import { MemoryLedger } from './ledger/memory-ledger.js';
import { PartitionHost, type StorageFaults } from './ledger/partition-host.js';
import { partitionOf, Router } from './ledger/router.js';
import { ShipperClient } from './ledger/shipper-client.js';
import { Database } from './lookups/database.js';
import { LookupReads } from './lookups/lookup-reads.js';
import { Lookups } from './lookups/lookups.js';
import { OwnerFinder } from './lookups/owner-finder.js';
import { SetApart } from './lookups/set-apart.js';
import { Warmer } from './lookups/warmer.js';
import { declineKinds } from './ops/decline-kinds.js';
import { DeclineLog } from './ops/decline-log.js';
import { Health } from './ops/health.js';
import { JournalRoom } from './ops/journal-room.js';
import { MarqetaWatch } from './ops/marqeta-watch.js';
import { MemoryRoom } from './ops/memory-room.js';
import { Ops } from './ops/ops.js';
import { SettleWatch } from './ops/settle-watch.js';
import { StartTimes } from './ops/start-times.js';
import { Telemetry } from './ops/telemetry.js';
import { UnknownFieldCounts } from './ops/unknown-fields.js';
import { compileNextCheck, loadSchemaCompiler } from './protocols/reading/schema.js';
import { createCodecs } from './protocols/registry.js';
import { BasicAuth } from './transports/http/basic-auth.js';
import { routesOf } from './transports/http/routes.js';
import { Server } from './transports/http/server.js';
import { assertLedger } from './writer/journal-ledger.js';
import { JournalLock, type JournalLockOptions, journalInUse } from './writer/journal-lock.js';
import { WriterLease } from './writer/writer-lease.js';

/** How often waiting requests are held against their deadlines: late by this much at most. */
const deadlineTickMs = 5;
/** How often lapsed holds are looked for: a hold of seven days does not mind. */
const expiryTickMs = 2000;
const statsTickMs = 1000;
/** How often Postgres is asked what is quarantined: an operator may have settled it meanwhile. */
const quarantineTickMs = 5000;
const warmUpDelayMs = 250;
/** How long a start waits for a predecessor that is stopping. */
const lockWaitMs = 10_000;
const lockPollMs = 100;
/**
 * How much longer the lease lasts than the feed's limit: twice the longest time between two renewals, which are of
 * both.
 */
const staleBeforeLapseMsMax = 2000;
/** At most so many warnings of one kind a second. */
const warningsPerSecondMax = 10;

export interface Engine {
  /** Answers what is in flight, settles, and closes everything. */
  stop(): Promise<void>;
}

/** Starts the engine. Throws with one line for a person when it cannot. */
export async function startEngine(
  config: EngineConfig,
  log: Log,
  faults: StorageFaults | null = null,
): Promise<Engine> {
  const times = new StartTimes(0);
  times.ended('load');
  const clock = new SystemClock();
  const nowMs = () => clock.nowMs();
  const database = new Database(config.databaseUrl);
  const { databaseUrl, redisUrl, feedStaleMsMax: staleMsMax } = config;
  const seals = new Seals(config.feedKeys, (fields, message) => log.warn(fields, message));
  const redis = redisUrl === '' ? null : (await import('./redis-parts.js')).redisParts(config, seals);
  const setApart = new SetApart(log);
  const feed = new EngineFeed({
    databaseUrl,
    messenger: redis?.messenger ?? null,
    staleMsMax,
    setApart,
    log,
    setBack: (newest) => {
      log.fatal(
        { newest },
        'the database was restored from an older copy, and this engine has newer cards in memory, behind which a ' +
          'freeze would not be in force: stopping; start it again, it reads everything again ' +
          `(${seeRunbook('backup-and-restore')})`,
      );
      process.exit(1);
    },
  });
  const progress = createProgress(config.workers);
  const journalDirectory = join(config.dataDir, 'journal');
  let journalLock: JournalLock | null = null;
  const lease = randomUUID();
  const writer = new WriterLease({
    databaseUrl,
    // Behind the feed's limit: while this engine declines because the feed is stale, it is still the writer.
    leaseMs: Math.max(config.leaseMs, staleMsMax + Math.min(staleBeforeLapseMsMax, staleMsMax / 4)),
    holder: lease,
    authUrl: `http://${config.host}:${config.authPort}`,
    opsUrl: `http://${config.opsHost}:${config.opsPort}`,
    log,
    lost,
  });

  let isLost = false;
  /** Anything that this engine still approved would be lost, and could be spent a second time. */
  function lost(why: string): void {
    if (isLost) return;
    isLost = true;
    log.fatal(
      { why },
      'another engine is the writer of this database now: stopping so that no account has two writers',
    );
    process.exit(1);
  }

  const shipper = new ShipperClient({
    config,
    progress,
    journalDirectory,
    log,
    openPosition: (partition) => database.openPosition(partition, config.workers, writer.fence),
    endSettlers: () => database.endSettlers(),
    fence: () => writer.fence,
    fenced: () => lost('it has raised the epoch of the ledger'),
    onQuarantined: () => void lookAtQuarantine(),
  });
  const settling = new SettleWatch(progress.partitions, performance.now());
  const partitionOfOwner = (ownerKey: number) => partitionOf(ownerKey, config.workers);
  const guard = new LookupGuard();
  const changeLog = redis === null ? null : new ChangeLog();
  const redisCards = changeLog === null ? null : redis!.redisCards(() => feed.cacheSpace, changeLog);
  const lookupReads = new LookupReads(
    database,
    redisCards,
    nowMs,
    partitionOfOwner,
    guard,
    setApart,
    (tokens, partition) => router.learnCards(tokens, partition),
  );
  const lookups = new Lookups(
    lookupReads,
    nowMs,
    config.maxInFlight,
    config.accountsMax,
    (source, tookMs) => telemetry.lookedUp(source, tookMs),
    (partition) => progress.partitions[partition]!.settledSequence,
  );
  const warmer = new Warmer(
    database,
    lookupReads,
    () => lookups.waiting,
    Math.min(config.cardsMax, config.accountsMax),
    config.workers,
    log,
  );
  const cardOwners = new OwnerFinder(
    (tokens) => database.ownersOf('card', tokens),
    redisCards === null ? null : (tokens) => lookupReads.lookForOwners(tokens),
  );
  const accountOwners = new OwnerFinder((publicIds) => database.ownersOf('account', publicIds));
  const admission = new Admission(config.maxInFlight);
  const authGate = new ConnectionGate('auth', config.authConnections, log);
  const opsGate = new ConnectionGate('ops', config.opsConnections, log);
  const hosts: PartitionHost[] = [];
  let stats: PartitionStats[] = [];
  const unknownFields = new UnknownFieldCounts((field) =>
    log.warn({ field }, 'a message has a field that the native form does not know; STRICT_FIELDS=true refuses it'),
  );
  const sum = (pick: (of: PartitionStats) => number) => stats.reduce((total, of) => total + pick(of), 0);
  const telemetry = new Telemetry(progress, () => ({
    inFlight: admission.count,
    laneDepth: hosts.reduce((depth, host) => depth + host.lane.depth, 0),
    lookupsWaiting: ledger.lookupsWaiting,
    lookupFailures: lookups.failures,
    partitionsReady: hosts.filter((host) => host.state === 'ready').length,
    restarts: hosts.reduce((restarts, host) => restarts + host.restarts, 0),
    cards: sum((of) => of.cards),
    cardHits: sum((of) => of.cardHits),
    cardMisses: sum((of) => of.cardMisses),
    transactions: sum((of) => of.transactions),
    accounts: sum((of) => of.accounts),
    spendRows: sum((of) => of.spendRows),
    seenIds: sum((of) => of.seenIds),
    unknownFields: unknownFields.counts,
    outdated: sum((of) => of.outdated),
    resting: lookups.resting,
    roomRefusals: ledger.roomRefusals,
    memory: (store) => memory.figures(store),
    startPhases: [times, ...hosts.map((host) => host.startTimes)].map(({ phases }) => phases),
    quarantined: settling.quarantine.count,
    feed: feed.state,
    cache: redisCards?.counts ?? null,
    redisRefused: seals.refused,
  }));
  measureConnections(telemetry, [authGate, opsGate]);
  for (let partition = 0; partition < config.workers; partition++) {
    hosts.push(
      new PartitionHost(
        partition,
        config,
        progress,
        database,
        shipper,
        nowMs,
        {
          lookUp: (host, lookup, again) => lookups.lookUp(host.lane, host.partition, lookup, again),
          batch: (_host, slab, waitedMs, ranMs, returnedMs) =>
            telemetry.batch(slab, waitedMs, ranMs, clock.nowMs() - returnedMs),
          knows: (host, low, high, sequence) => router.learnJournaledId(low, high, host.partition, sequence),
          revoking: (count) => {
            telemetry.revocations += count;
          },
          isStale: () => feed.isStale || writer.isLapsed,
          restoring: (host) => feed.restoring(host),
          restored: (message) => setApart.soundRows(message),
          opened: (host) => {
            lookupReads.opened(host.partition);
            if (!feed.opened(host)) return false;
            void Promise.all([feed.recalled, redisCards?.connected()]).then(() => warmer.warm(host));
            return true;
          },
        },
        log,
        faults,
      ),
    );
  }
  const router = new Router(hosts, config.seenIdsMax, config.cardsMax);
  const reader = new LedgerReader(database, hosts, nowMs);
  const { deadlineMs } = config;
  const ledger = new MemoryLedger({
    hosts,
    router,
    reader,
    lookups,
    cardOwners,
    accountOwners,
    admission,
    deadlineMs,
  });
  const room = new JournalRoom(config, hosts);
  const memory = new MemoryRoom(config, hosts);
  const marqetaWatch = new MarqetaWatch(() => telemetry.callsOf(Protocol.marqeta));
  const parts = {
    config,
    database,
    hosts,
    shipper,
    feed,
    setApart,
    settling,
    writer,
    room,
    memory,
    marqeta: marqetaWatch,
  };
  const health = new Health(parts);
  const declines = new DeclineLog(
    declineKinds({ telemetry, hosts, room, health, memory, roomRefusals: () => ledger.roomRefusals }),
    log,
  );
  const codecs = createCodecs(config);
  const slowWarnings = new RateLimit(warningsPerSecondMax);
  const unsupportedWarnings = new RateLimit(warningsPerSecondMax);
  const server = new Server({
    host: config.host,
    port: config.authPort,
    routes: routesOf(codecs),
    auth: new BasicAuth(config.processorUser, config.processorPasswords),
    clock,
    admission,
    gate: authGate,
    telemetry,
    ledger,
    unsupported(answer) {
      if (unsupportedWarnings.allows(nowMs())) log.warn({ answer }, 'declined a kind of message that is not served');
    },
    slowMs: config.slowAuthorizationMs,
    slow(totalMs, waitMs, runMs) {
      if (!slowWarnings.allows(nowMs())) return;
      const answerMs = totalMs - waitMs - runMs;
      const hop = waitMs >= runMs && waitMs >= answerMs ? 'wait' : runMs >= answerMs ? 'decide' : 'answer';
      log.warn({ hop, totalMs: round(totalMs), waitMs: round(waitMs), decideMs: round(runMs) }, 'slow authorization');
    },
  });

  const commands = new LedgerCommands({ admission, telemetry, codec: codecs[Protocol.ledger]!, nowMs, ledger });
  const ops = new Ops({
    host: config.opsHost,
    port: config.opsPort,
    gate: opsGate,
    engineTokens: config.engineTokens,
    health,
    metrics: () => telemetry.scrape(),
    admin: {
      ledger,
      command: (name, account, body) => commands.submit(name, account, body),
    },
  });

  const lapseClock = new LapseClock(nowMs, () => performance.now(), log);
  const timers = [
    setInterval(() => {
      const now = nowMs();
      ledger.expire(now);
      progress.setRequestsInFlight(admission.recentPeak());
      progress.setWaitingForRoom(lookups.resting);
    }, deadlineTickMs),
    setInterval(() => {
      for (const host of hosts) {
        host
          .lapse(lapseClock)
          .catch((error: Error) => log.warn({ error: error.message }, 'no look for transactions whose lifetime ended'));
      }
    }, expiryTickMs),
  ];

  async function lookAtQuarantine(): Promise<void> {
    try {
      settling.quarantine = await database.quarantined();
    } catch {
      // Postgres is away: what was known stays.
    }
  }

  function lookAtPartitions(): void {
    compileNextCheck();
    const now = performance.now();
    settling.look(now);
    marqetaWatch.look(now);
    declines.look(now);
    void room.look();
    void Promise.all(hosts.map((host) => host.stats())).then(
      (all) => {
        stats = all.filter((of) => of !== null);
        unknownFields.see(stats);
        memory.look(stats);
      },
      () => undefined,
    );
  }

  async function closeAll(): Promise<void> {
    for (const timer of timers) clearInterval(timer);
    server.close();
    await ops.close();
    await Promise.all(hosts.map((host) => host.stop()));
    // Behind the last decision: from here on no client waits for this engine.
    await feed.stop();
    redisCards?.close();
    await shipper.stop();
    await writer.stop();
    await database.close();
    journalLock?.release();
  }

  try {
    const { authPort, opsPort } = config;
    journalLock = await lockJournal({ directory: journalDirectory, authPort, opsPort, lease }, log);
    times.ended('journal');
    // Nothing of ours is loaded from disk any more once connections compete for file descriptors.
    loadSchemaCompiler();
    // The first lookup finds a connection, a plan and warm code: answered after 21 ms instead of 31 on a busy machine.
    void database.warmUp(1);
    await Promise.all([writer.take(journalLock), telemetry.load()]);
    const roleWarning = checkDatabaseRole(await database.role());
    if (roleWarning !== '') log.warn(roleWarning);
    times.ended('lease');
    // Before anything is read: what is settled stands still, and whatever changes from here on comes by the feed. The
    // fence waits for statements under way, so those of an engine that is gone are ended.
    await Promise.all([writer.raiseFence(), database.endSettlers(), feed.register()]);
    assertLedger(journalDirectory, await database.ledgerId());
    times.ended('register');
    await ops.listen();
    feed.start(hosts, partitionOfOwner, guard, changeLog, nowMs);
    await Promise.all(hosts.map((host) => host.start(writer.fence.epoch)));
    // An id that another partition has answered must lead there from the first message on.
    if (hosts.length > 1) await Promise.all(hosts.map((host) => host.idsKnown));
    times.ended('partitions');
    await server.listen();
    times.ended('listen');
    commands.open();
    health.serving();
    // Not before: the first looks compile what a start does without.
    timers.push(setInterval(lookAtPartitions, statsTickMs));
    timers.push(setInterval(() => void lookAtQuarantine(), quarantineTickMs));
    // Nor this: it would take Postgres from the first messages, which open what they need.
    timers.push(setTimeout(() => void database.warmUp(), warmUpDelayMs));
  } catch (error) {
    await closeAll();
    throw error;
  }
  log.info(
    {
      authPort: config.authPort,
      opsPort: config.opsPort,
      workers: config.workers,
      connectionsMax: config.authConnections.max,
      ...times.summary(),
    },
    'engine ready',
  );

  return {
    async stop() {
      log.info('stopping: answering what is in flight');
      health.stopping();
      server.stopAccepting();
      commands.close();
      await ledger.drain(config.deadlineMs + 1000);
      // Nothing is lost when Postgres is away: the journal keeps the rest for the next start.
      const drained = await shipper.drain(drainTimeoutMs);
      if (!drained) log.warn('the journal keeps what Postgres did not take yet');
      await closeAll();
      log.info('stopped');
    },
  };
}

/** Long enough for a backlog of a second or two; a longer one waits in the journal for the next start. */
const drainTimeoutMs = 5000;

/** A predecessor that is stopping has the lock until its last record is settled. */
async function lockJournal(options: JournalLockOptions, log: Log): Promise<JournalLock> {
  const giveUpAtMs = performance.now() + lockWaitMs;
  for (let isFirst = true; ; isFirst = false) {
    const taken = JournalLock.take(options);
    if (taken instanceof JournalLock) return taken;
    const inUse = journalInUse(options.directory, taken);
    if (performance.now() > giveUpAtMs) throw new Error(inUse);
    if (isFirst) log.warn(`waiting ${lockWaitMs / 1000} s for its end: ${inUse}`);
    await delay(lockPollMs);
  }
}

/** So many a second, the rest is dropped. */
class RateLimit {
  readonly #perSecond: number;
  #second = 0;
  #count = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  allows(nowMs: number): boolean {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#count = 0;
    }
    return ++this.#count <= this.#perSecond;
  }
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
