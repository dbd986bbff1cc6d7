/** What watches an engine: metrics, health, the log of declines, and the looks that they take once a second. */

import { measureTraces } from '../platform/tracing/traces.js';
import { Protocol } from './core/codes.js';
import type { EngineBase } from './engine-base.js';
import type { PartitionStats } from './exchange/partition-task.js';
import type { LedgerParts } from './ledger-parts.js';
import { declineKinds } from './ops/decline-kinds.js';
import { DeclineLog } from './ops/decline-log.js';
import { measureDatabase, measureFeed, measureOwnership, measureRoom, measureStandIn } from './ops/engine-metrics.js';
import { Health } from './ops/health.js';
import { JournalRoom } from './ops/journal-room.js';
import { Live } from './ops/live.js';
import { LiveSample } from './ops/live-sample.js';
import { MarqetaWatch } from './ops/marqeta-watch.js';
import { MemoryRoom } from './ops/memory-room.js';
import { Counted } from './ops/message-counts.js';
import { SettleWatch } from './ops/settle-watch.js';
import type { StartTimes } from './ops/start-times.js';
import { type EngineGauges, Telemetry } from './ops/telemetry.js';
import { UnknownFieldCounts } from './ops/unknown-fields.js';
import type { Ownership } from './ownership.js';
import { createCodecs } from './protocols/registry.js';

export type OpsParts = ReturnType<typeof opsParts>;

export function opsParts(base: EngineBase, parts: LedgerParts, ownership: Ownership, times: StartTimes) {
  const { config, log, database, progress, feed, setApart } = base;
  const { hosts, shipper, ledger } = parts;
  const settling = new SettleWatch(progress.partitions, performance.now());
  const unknownFields = new UnknownFieldCounts((field) =>
    log.warn({ field }, 'a message has a field that the native form does not know; STRICT_FIELDS=true refuses it'),
  );
  let stats: PartitionStats[] = [];
  const telemetry = new Telemetry(progress, () => ({
    ...partitionGauges(stats),
    ...frontGauges(base, parts),
    unknownFields: unknownFields.counts,
    memory: (store) => memory.figures(store),
    startPhases: [times, ...hosts.map((host) => host.startTimes)].map(({ phases }) => phases),
    quarantined: settling.quarantine.count,
  }));
  measureDatabase(telemetry, database);
  measureFeed(telemetry, feed);
  measureStandIn(telemetry, parts.standIn);
  measureOwnership(telemetry, hosts, ownership);
  ownership.measure(telemetry);
  measureTraces(telemetry, base.traces, () => telemetry.countOf(Counted.tracesDropped));
  const room = new JournalRoom(config, base.journal.directory, hosts);
  measureRoom(telemetry, config, room);
  const memory = new MemoryRoom(config, hosts);
  const marqeta = new MarqetaWatch(() => telemetry.callsOf(Protocol.marqeta));
  ownership.countCalls(() => marqeta.figures(performance.now()));
  const watched = { config, database, hosts, shipper, feed, setApart, settling, ownership, room, memory, marqeta };
  const health = new Health(watched);
  const declines = new DeclineLog(
    declineKinds({ telemetry, hosts, room, health, memory, roomRefusals: () => ledger.roomRefusals }),
    log,
  );
  return {
    telemetry,
    health,
    ...liveParts(base, parts, ownership, telemetry),
    async lookAtQuarantine(): Promise<void> {
      try {
        settling.quarantine = await database.quarantined();
      } catch {
        // Postgres is away: what was known stays.
      }
    },
    lookAtPartitions(): void {
      const now = performance.now();
      settling.look(now);
      marqeta.look(now);
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
    },
  };
}

function liveParts(base: EngineBase, { standIn }: LedgerParts, ownership: Ownership, telemetry: Telemetry) {
  const { config, feed, holder, nowMs, progress } = base;
  const sample = new LiveSample({
    codecs: createCodecs(config),
    deadlineMs: config.deadlineMs,
    isStale: () => feed.isStale || !ownership.mayApprove,
  });
  const live = new Live({
    id: holder,
    nowMs,
    telemetry,
    sample,
    progress: progress.partitions,
    segmentsMax: config.journalSizes.segmentsMax,
    feedAgeMs: () => feed.state.ageMs,
    feedStaleMsMax: config.feedStaleMsMax,
    standInUnbooked: () => standIn?.unbooked ?? 0,
    engines: () => ownership.engines(),
  });
  return { sample, live };
}

/** Of all partitions together. */
function partitionGauges(stats: readonly PartitionStats[]) {
  const sum = (pick: (of: PartitionStats) => number) => stats.reduce((total, of) => total + pick(of), 0);
  return {
    cards: sum((of) => of.cards),
    cardHits: sum((of) => of.cardHits),
    cardMisses: sum((of) => of.cardMisses),
    transactions: sum((of) => of.transactions),
    accounts: sum((of) => of.accounts),
    spendRows: sum((of) => of.spendRows),
    seenIds: sum((of) => of.seenIds),
    outdated: sum((of) => of.outdated),
  } satisfies Partial<EngineGauges>;
}

function frontGauges({ feed, seals }: EngineBase, { admission, hosts, lookups, ledger, redisCards }: LedgerParts) {
  return {
    inFlight: admission.count,
    laneDepth: hosts.reduce((depth, host) => depth + host.lane.depth, 0),
    lookupsWaiting: ledger.lookupsWaiting,
    lookupFailures: lookups.failures,
    partitionsReady: hosts.filter((host) => host.state === 'ready').length,
    restarts: hosts.reduce((restarts, host) => restarts + host.restarts, 0),
    resting: lookups.resting,
    roomRefusals: ledger.roomRefusals,
    feed: feed.state,
    cache: redisCards?.counts ?? null,
    redisRefused: seals.refused,
  } satisfies Partial<EngineGauges>;
}
