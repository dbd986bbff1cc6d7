/** The ledger put together: settling, lookups, one host a partition, and what finds the partition of a message. */
import { existsSync } from 'node:fs';
import { ChangeLog } from '../platform/cache/change-log.js';
import { clusterLinks, looksThrough } from './cluster.js';
import type { EngineBase } from './engine-base.js';
import { markBytes, type Slab } from './exchange/slab.js';
import { LookupGuard } from './feed/lookup-guard.js';
import { SharedAdmission } from './fronts/shared-admission.js';
import { Admission } from './ledger/admission.js';
import { DecisionReader } from './ledger/decision-reader.js';
import { Forwarder } from './ledger/forwarder.js';
import { LedgerReader, looksAt } from './ledger/ledger-reader.js';
import { MemoryLedger } from './ledger/memory-ledger.js';
import { type HostEvents, PartitionHost } from './ledger/partition-host.js';
import { LocalPlacement, type Placement } from './ledger/placement.js';
import { partitionOf, Router } from './ledger/router.js';
import { ShipperClient } from './ledger/shipper-client.js';
import { PartitionThreads, type StorageFaults } from './ledger/threads.js';
import { LookupReads } from './lookups/lookup-reads.js';
import { type LookupSource, Lookups } from './lookups/lookups.js';
import { OwnerFinder } from './lookups/owner-finder.js';
import { Warmer } from './lookups/warmer.js';
import type { Registry } from './membership/registry.js';
import { createCodecs } from './protocols/registry.js';
import { KnownCards } from './standin/known-cards.js';
import { SharedApprovals } from './standin/shared-approvals.js';
import { StandIn } from './standin/stand-in.js';
import { standInDirectory } from './writer/journal-place.js';

/** What the ledger reports while it works. */
export interface LedgerEvents {
  lookedUp(source: LookupSource, tookMs: number): void;
  /** @param answeredMs how long the front took to send the answers */
  batch(slab: Slab, waitedMs: number, ranMs: number, answeredMs: number): void;
  revoking(count: number): void;
  /** Settling has set a record apart. */
  quarantined(): void;
  /** The state of a partition is another one, or of a connection to another engine. */
  partitionChanged(): void;
  /** Another engine may be the writer of what this one would approve: see Ownership. Asked twice a batch. */
  mayApprove(): boolean;
}

/** Partitions come one after the other: the next ones come first. */
const warmerRestMs = 1000;
/** Engines that have just taken a partition share Postgres and its cores with messages of all the others. */
const warmerPauseShare = 3;

export type LedgerParts = ReturnType<typeof ledgerParts>;
type LookupParts = ReturnType<typeof lookupParts>;

export function ledgerParts(base: EngineBase, faults: StorageFaults | null, events: LedgerEvents) {
  const { config, log, nowMs, database, progress, journal } = base;
  const shipper = shipperClient(base, events, (partition, message) => hosts[partition]!.fenced(message));
  const submit: Placement['submit'] = (...booking) => placement.submit(...booking);
  const { standIn, knownCards, shared } = standInParts(base, events, submit, () => cluster!.registry);
  const learn = (tokens: readonly string[], partition: number) => router.learnCards(tokens, partition);
  const lookup = lookupParts(base, events, knownCards, learn, () => startingOf(hosts));
  const hostEvents: HostEvents = {
    ...eventsOfHosts(base, lookup, events),
    knows: (host, low, high, sequence) => void router.learnJournaledId(low, high, host.partition, sequence),
    changed: () => {
      cluster?.forwarder.wake();
      events.partitionChanged();
    },
  };
  const threads = new PartitionThreads(config, progress, journal, faults, () => cluster?.links.flushIds());
  const hosts = Array.from(
    { length: config.partitionCount },
    (_, partition) =>
      new PartitionHost(partition, config, progress, database, shipper, nowMs, hostEvents, log, journal, threads),
  );
  const { placement, looks, cluster } =
    config.journal === 'local' ? alone(hosts) : amongEngines(base, events, hosts, standIn!, shared!);
  const { partitionCount, seenIdsMax: idsPerPartition, cardsMax: cardsPerPartition } = config;
  const readerPartition = () => placement.readerPartition;
  const router = new Router({
    partitionCount,
    idsPerPartition,
    cardsPerPartition,
    alwaysRemembersIds: config.standIn !== null,
    readerPartition,
    learned: (low, high, partition) => cluster?.links.gossip(low, high, partition),
  });
  const reader = new LedgerReader(database, looks, partitionCount, nowMs);
  const decisions = new DecisionReader({
    database,
    looks,
    partitionCount,
    partitionOfId: (id) => router.partitionOfId(id),
  });
  const { admission, sharedAdmission } = admissionOf(config);
  const { lookups, cardOwners, accountOwners } = lookup;
  const { partitionDeadlineMs: deadlineMs } = config;
  const ledger = new MemoryLedger({
    hosts,
    router,
    placement,
    reader,
    decisions,
    lookups,
    cardOwners,
    accountOwners,
    admission,
    deadlineMs,
    standIn,
  });
  return {
    ...lookup,
    standIn,
    knownCards,
    shared,
    shipper,
    hosts,
    admission,
    sharedAdmission,
    ledger,
    cluster: cluster === null ? null : { ...cluster, hosts, router },
  };
}

/** @returns sharedAdmission null: the main thread alone admits */
function admissionOf({ fronts, maxInFlight }: EngineBase['config']) {
  const sharedAdmission = fronts > 1 ? new SharedAdmission(maxInFlight) : null;
  return { sharedAdmission, admission: sharedAdmission ?? new Admission(maxInFlight) };
}

function startingOf(hosts: readonly PartitionHost[]): number {
  return hosts.filter(({ state }) => state === 'starting').length;
}

function alone(hosts: readonly PartitionHost[]) {
  return { placement: new LocalPlacement(hosts), looks: looksAt(hosts), cluster: null };
}

function amongEngines(
  base: EngineBase,
  events: LedgerEvents,
  hosts: readonly PartitionHost[],
  standIn: StandIn,
  shared: SharedApprovals,
) {
  const codecs = createCodecs(base.config);
  const { config, holder, nowMs } = base;
  const { registry, links } = clusterLinks(
    base,
    () => {
      forwarder.wake();
      events.partitionChanged();
    },
    async (partition) => standIn.adopt(partition, await shared.read(partition)),
  );
  const forwarder = new Forwarder({
    hosts,
    links,
    viewOf: () => registry.view,
    selfId: holder,
    deadlineMs: config.partitionDeadlineMs,
    nowMs,
    guard(protocol, marked, waiter) {
      const codec = codecs[protocol];
      // Its own engine has asked for the id before, and alone may say that it is new.
      return codec === undefined ? waiter : standIn.guard(codec, 0, marked.subarray(0, -markBytes), waiter, false);
    },
    isAnswered(protocol, body, waiter) {
      const codec = codecs[protocol];
      return codec !== undefined && standIn.isAnswered(codec, body, waiter);
    },
  });
  return { placement: forwarder, looks: looksThrough(registry, links, hosts), cluster: { registry, links, forwarder } };
}

/** @param fenced another engine is the owner of a partition now */
function shipperClient(
  base: EngineBase,
  events: LedgerEvents,
  fenced: (partition: number, message: string) => void,
): ShipperClient {
  const { config, log, database, progress, journal } = base;
  return new ShipperClient({
    config,
    progress,
    journal,
    log,
    openPosition: (partition, fence) => database.openPosition(partition, config.partitionCount, config.journal, fence),
    endSettlers: (partition) => database.endSettlers(partition),
    fenced: config.journal === 'local' ? (_partition, message) => base.lost(message) : fenced,
    onQuarantined: () => events.quarantined(),
  });
}

/**
 * No cards where it is off. No stand-in either where nothing of an earlier run may be left to book, and no other engine
 * may have approved for a partition that comes here.
 */
function standInParts(
  { config, log, nowMs, feed, holder }: EngineBase,
  events: LedgerEvents,
  submit: (...booking: Parameters<Placement['submit']>) => void,
  registryOf: () => Registry,
) {
  const { standIn: rule, deadlineMs, databaseUrl, journal } = config;
  if (rule === null && journal === 'local' && !existsSync(standInDirectory(config))) {
    return { standIn: null, knownCards: null, shared: null };
  }
  const epochOf = (partition: number): number | null => {
    const lease = registryOf().view.leases[partition];
    return lease?.holder === holder ? lease.epoch : null;
  };
  const shared =
    journal === 'local'
      ? null
      : new SharedApprovals({
          databaseUrl,
          holder,
          deadlineMs,
          epochOf,
          isLapsed: () => registryOf().mayBeReplaced,
          log,
        });
  const knownCards = rule === null ? null : new KnownCards();
  const standIn = new StandIn({
    ...{ rule, deadlineMs, log, nowMs, shared },
    cards: knownCards ?? { find: () => null },
    stateAgeMs: () => feed.state.ageMs,
    isStale: () => feed.isStale,
    mayApprove: () => events.mayApprove(),
    book: submit,
  });
  return { standIn, knownCards, shared };
}

/**
 * @param learn takes the tokens of cards that a partition is brought
 * @param starting how many partitions are being started
 */
function lookupParts(
  base: EngineBase,
  events: LedgerEvents,
  knownCards: KnownCards | null,
  learn: (tokens: readonly string[], partition: number) => void,
  starting: () => number,
) {
  const { config, log, nowMs, database, redis, feed, setApart, progress } = base;
  const partitionOfOwner = (ownerKey: number) => partitionOf(ownerKey, config.partitionCount);
  const guard = new LookupGuard();
  const changeLog = redis === null ? null : new ChangeLog();
  const redisCards = changeLog === null ? null : redis!.redisCards(() => feed.cacheSpace, changeLog);
  const reads = new LookupReads(database, redisCards, nowMs, partitionOfOwner, guard, setApart, learn, (rows) =>
    knownCards?.take(rows),
  );
  const lookups = new Lookups(
    reads,
    nowMs,
    config.maxInFlight,
    config.accountsMax,
    (source, tookMs) => events.lookedUp(source, tookMs),
    (partition) => progress.partitions[partition]!.settledSequence,
  );
  const warmer = new Warmer(
    database,
    reads,
    () => lookups.waiting + starting(),
    Math.min(config.cardsMax, config.accountsMax),
    config.partitionCount,
    log,
    config.journal === 'local' ? 0 : warmerRestMs,
    config.journal === 'local' ? 0 : warmerPauseShare,
  );
  const cardOwners = new OwnerFinder(
    (tokens) => database.ownersOf('card', tokens),
    redisCards === null ? null : (tokens) => reads.lookForOwners(tokens),
  );
  const accountOwners = new OwnerFinder((publicIds) => database.ownersOf('account', publicIds));
  return { partitionOfOwner, guard, changeLog, redisCards, reads, lookups, warmer, cardOwners, accountOwners };
}

function eventsOfHosts(
  { clock, feed, setApart }: EngineBase,
  { reads, lookups, redisCards, warmer }: LookupParts,
  events: LedgerEvents,
): Omit<HostEvents, 'knows' | 'changed'> {
  return {
    lookUp: (host, lookup, again) => lookups.lookUp(host.lane, host.partition, lookup, again),
    batch: (host, slab, waitedMs, ranMs, returnedMs) => {
      const answeredMs = clock.nowMs() - returnedMs;
      host.times.add(slab, answeredMs);
      events.batch(slab, waitedMs, ranMs, answeredMs);
    },
    revoking: (count) => events.revoking(count),
    isStale: () => feed.isStale || !events.mayApprove(),
    // The host drops the partition, and the registry says whose it is.
    fenced: () => undefined,
    restoring: (host) => feed.restoring(host),
    restored: (message) => setApart.soundRows(message),
    opened(host) {
      reads.opened(host.partition);
      if (!feed.opened(host)) return false;
      void Promise.all([feed.recalled, redisCards?.connected()]).then(() => warmer.warm(host));
      return true;
    },
  };
}
