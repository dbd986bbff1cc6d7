/** Metrics of an engine among others: which partitions it owns, and the messages that hop between engines. */
import type { Metrics } from '../../platform/metrics/metrics.js';
import type { EngineConfig } from '../config.js';
import type { EngineFeed } from '../feed/feed.js';
import type { Forwarder } from '../ledger/forwarder.js';
import type { PartitionState } from '../ledger/owned-partition.js';
import type { Database } from '../lookups/database.js';
import type { Ownership } from '../ownership.js';
import type { PeerLinks } from '../peers/peer-links.js';
import type { PeerServer } from '../peers/peer-server.js';
import type { StandIn } from '../standin/stand-in.js';
import type { JournalRoom } from './journal-room.js';

/** The engine's pool for lookups; the names are the API's. */
export function measureDatabase(metrics: Metrics, database: Database): void {
  const counters: [string, string, () => number][] = [
    ['postgres_queries_total', 'Lookups in Postgres', () => database.lookups],
    ['postgres_slow_queries_total', 'Lookups slower than 100 ms', () => database.slowLookups],
    ['postgres_failed_queries_total', 'Lookups that failed', () => database.failedLookups],
  ];
  for (const [name, help, value] of counters) metrics.counter(name, help, [], (counter) => counter.inc(value()));
  const gauges: [string, string, () => number][] = [
    ['postgres_connections_busy', 'Lookups that have or wait for a connection', () => database.lookupsBusy],
    ['postgres_connections_max', 'Connections for lookups', () => database.lookupsMax],
  ];
  for (const [name, help, value] of gauges) metrics.gauge(name, help, [], (target) => target.set(value()));
  database.times.measure(metrics, 'postgres_query_seconds', 'Time of a query, by use', 'use');
}

export function measureFeed(metrics: Metrics, { changeTimes }: Pick<EngineFeed, 'changeTimes'>): void {
  const help = 'Time from a change to its being in force at this engine, of the newest one of each page';
  changeTimes.measure(metrics, 'feed_change_seconds', help, null);
}

/** Bounds of what alerts compare, and the disk of the journal. */
export function measureRoom(metrics: Metrics, config: EngineConfig, room: JournalRoom): void {
  const gauges: [string, string, () => number | null][] = [
    ['journal_segments_max', 'Segments that a journal may have', () => config.journalSizes.segmentsMax],
    ['journal_disk_free_bytes', 'Free bytes on the disk of the journal', () => room.freeBytes],
    ['journal_disk_bytes', 'Size of the disk of the journal', () => room.diskBytes],
    ['feed_stale_ms_max', 'Age of the feed beyond which nothing is approved', () => config.feedStaleMsMax],
  ];
  for (const [name, help, value] of gauges)
    metrics.gauge(name, help, [], (target) => target.set(value() ?? Number.NaN));
}

/** @param standIn null: it is off, and all of these say 0 */
export function measureStandIn(metrics: Metrics, standIn: StandIn | null): void {
  const counters: [string, string, () => number | undefined][] = [
    ['standin_approved_total', 'Authorizations approved without their partition', () => standIn?.approved],
    ['standin_repeated_total', 'Repeats of stand-in approvals that were not booked yet', () => standIn?.repeated],
    ['standin_cancelled_total', 'Stand-in approvals that missed the deadline, answered 503', () => standIn?.cancelled],
    ['standin_booked_total', 'Stand-in approvals that their partition has booked', () => standIn?.booked],
    [
      'standin_booked_empty_total',
      'Of those booked, the ones that hold nothing: reversed before, or not possible to book',
      () => standIn?.bookedEmpty,
    ],
  ];
  for (const [name, help, value] of counters) metrics.counter(name, help, [], (counter) => counter.inc(value() ?? 0));
  metrics.counter(
    'standin_refused_total',
    'Messages that the stand-in rule did not approve, by reason',
    ['reason'],
    (counter) => {
      for (const [reason, count] of standIn?.refused ?? []) counter.inc({ reason }, count);
    },
  );
  const gauges: [string, string, () => number | undefined][] = [
    ['standin_unbooked', 'Stand-in approvals that wait for their partition', () => standIn?.unbooked],
    ['standin_exposure_minor', 'What stand-in approvals of this UTC day come to', () => standIn?.exposure.totalMinor],
    ['standin_exposure_max_minor', 'What they may come to at this engine', () => standIn?.rule?.perDayMinor],
    ['standin_journal_bytes', 'Size of the stand-in journal', () => standIn?.journalBytes],
    [
      'standin_journal_failed',
      '1 where the stand-in journal could not be written, and there is no stand-in until a restart',
      () => (standIn?.journalFailure ? 1 : 0),
    ],
  ];
  for (const [name, help, value] of gauges) metrics.gauge(name, help, [], (target) => target.set(value() ?? 0));
}

interface Host {
  readonly partition: number;
  readonly state: PartitionState;
}

export function measureOwnership(metrics: Metrics, hosts: readonly Host[], ownership: Ownership): void {
  const gauge = (name: string, help: string, value: () => number) =>
    metrics.gauge(name, help, [], (target) => target.set(value()));
  const count = (isCounted: (host: Host) => boolean) => hosts.filter(isCounted).length;
  gauge('engines_alive', 'Engines of this database whose lease goes on', () => ownership.engines().length);
  gauge('partitions_owned', 'Partitions that this engine decides', () => count(({ state }) => state === 'ready'));
  gauge('partitions_without_owner', 'Partitions that no engine decides, or none that this one can reach', () =>
    count(({ partition, state }) => state !== 'ready' && ownership.elsewhere(partition) !== ''),
  );
  metrics.gauge('partition_ready', '1 where this engine decides the partition, else 0', ['partition'], (target) => {
    for (const { partition, state } of hosts) target.set({ partition: String(partition) }, state === 'ready' ? 1 : 0);
  });
  metrics.gauge(
    'partition_epoch',
    "Epoch of the partition's owner, as this engine knows it",
    ['partition'],
    (target) => {
      for (const { partition } of hosts) target.set({ partition: String(partition) }, ownership.epochOf(partition));
    },
  );
}

/** With JOURNAL=postgres only. */
export function measurePeers(
  metrics: Metrics,
  { links, server, forwarder }: { links: PeerLinks; server: PeerServer; forwarder: Forwarder },
): void {
  const connected = () => [...links.links].filter(({ isConnected }) => isConnected).length;
  const gauges: [string, string, () => number][] = [
    ['peers_connected', 'Engines that this one is connected to', connected],
    ['peer_messages_waiting', 'Messages that wait for an owner, or for its answer', () => forwarder.waiting],
    ['peer_withdrawals_waiting', 'Approvals to withdraw that are not acknowledged', () => forwarder.withdrawalsWaiting],
  ];
  for (const [name, help, value] of gauges) metrics.gauge(name, help, [], (target) => target.set(value()));
  metrics.histogram(
    'peer_round_trip_seconds',
    'Time from a ping to its pong: the way to another engine and back, with the event loops of both',
    [],
    () => [links.roundTrips.observed()],
  );
  const counters: [string, string, () => number][] = [
    ['peer_asked_total', 'Messages that were sent to their owner', () => links.asked],
    ['peer_lost_total', 'Messages whose outcome is unknown because a connection broke', () => forwarder.lost],
    ['peer_answered_total', 'Messages of other engines that were answered', () => server.answered],
    [
      'peer_withdrawn_total',
      'Withdrawals that an owner has carried out, or found without effect',
      () => forwarder.withdrawn,
    ],
    [
      'peer_withdrawals_dropped_total',
      'Approvals that could not be withdrawn: their money stays held until the lifetime of the hold ends',
      () => forwarder.withdrawalsDropped,
    ],
    [
      'peer_connections_rejected_total',
      'Connections without a key of ours, or with bytes of no engine',
      () => server.rejected,
    ],
    ['peer_bytes_total', 'Bytes sent to other engines', () => links.bytesOut + server.bytesOut],
  ];
  for (const [name, help, value] of counters) metrics.counter(name, help, [], (counter) => counter.inc(value()));
}
