/** Metrics of an engine among others: which partitions it owns, and the messages that hop between engines. */
import type { Metrics } from '../../platform/metrics/metrics.js';
import type { Forwarder } from '../ledger/forwarder.js';
import type { PartitionState } from '../ledger/owned-partition.js';
import type { Ownership } from '../ownership.js';
import type { PeerLinks } from '../peers/peer-links.js';
import type { PeerServer } from '../peers/peer-server.js';

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
