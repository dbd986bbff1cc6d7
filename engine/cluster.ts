/**
 * JOURNAL=postgres: this engine is one of several on its database. It has an entry in the registry, takes and gives
 * away partitions as the plan says, and reaches the others by the hop.
 */
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Metrics } from '../platform/metrics/metrics.js';
import { endYielding } from '../platform/process/start-priority.js';
import { version } from '../platform/version.js';
import { type EngineBase, reachableHost } from './engine-base.js';
import type { WindowEntity } from './exchange/partition-task.js';
import { learnForeignCards } from './ledger/foreign-cards.js';
import { ForeignIds } from './ledger/foreign-ids.js';
import type { Forwarder } from './ledger/forwarder.js';
import { looksAt, type PartitionLooks } from './ledger/ledger-reader.js';
import type { PartitionHost } from './ledger/partition-host.js';
import type { Router } from './ledger/router.js';
import { DeathWatch } from './membership/death-watch.js';
import { Mover } from './membership/mover.js';
import { Registry } from './membership/registry.js';
import { describeEngines, type View } from './membership/view.js';
import { measurePeers } from './ops/engine-metrics.js';
import type { CallFigures } from './ops/marqeta-watch.js';
import { PeerTraces } from './ops/message-traces.js';
import type { StartTimes } from './ops/start-times.js';
import type { EngineView, Ownership } from './ownership.js';
import { PeerLinks } from './peers/peer-links.js';
import { PeerServer } from './peers/peer-server.js';

/** A holder settles, and answers what is in flight, before it gives a partition away. */
const handoverTimeoutMs = 10_000;
/** A look at a partition that moves waits for its next owner. */
const lookTimeoutMs = 1000;
const lookAttemptsMax = 10;
const lookPauseMs = 100;
/** How long the others have to take over what a stopping engine owns. */
const leaveTimeoutMs = 10_000;
/** And until the last of it is claimed, which takes milliseconds. */
const takenWaitMs = 2000;
/** How long a start waits until every partition has an owner that can be reached. */
const placedWaitMs = 30_000;
const placedLookMs = 20;
/** And until the others report ids: they connect as soon as they see this engine. One that hangs has nothing to say. */
const toldWaitMs = 3000;

export interface ClusterParts {
  readonly registry: Registry;
  readonly links: PeerLinks;
  readonly hosts: readonly PartitionHost[];
  readonly router: Router;
  readonly forwarder: Forwarder;
}

/**
 * What the forwarder and the looks need before there are partitions.
 * @param changed called when an engine is connected, or no longer
 * @param claimed called with a partition that this engine has claimed, before it takes messages
 */
export function clusterLinks(
  { config, holder, nowMs, log }: EngineBase,
  changed: () => void,
  claimed: (partition: number) => Promise<void>,
) {
  const { databaseUrl, partitionCount, leaseMs, peer } = config;
  return {
    registry: new Registry({
      ...{ databaseUrl, leaseMs, id: holder, partitionCount, version, log },
      claimed(partition) {
        // Its messages wait for this engine.
        endYielding();
        return claimed(partition);
      },
    }),
    links: new PeerLinks({ keys: peer.keys, selfId: holder, nowMs, log, changed }),
  };
}

/**
 * Looks at partitions here. An engine that stood still may have lost them without knowing it: what it has in memory
 * counts as long as its lease does.
 */
function looksHere(registry: Registry, hosts: readonly PartitionHost[]): PartitionLooks {
  const local = looksAt(hosts);
  const leased = async <T>(look: Promise<T>): Promise<T> => {
    const found = await look;
    if (registry.mayBeReplaced) throw new Error('the lease of this engine has lapsed');
    return found;
  };
  return {
    accounts: (partition, numbers) => leased(local.accounts(partition, numbers)),
    windows: (partition, entities) => leased(local.windows(partition, entities)),
    decision: (partition, id) => leased(local.decision(partition, id)),
  };
}

/** Looks at a partition where it is now. */
export function looksThrough(registry: Registry, links: PeerLinks, hosts: readonly PartitionHost[]): PartitionLooks {
  const local = looksHere(registry, hosts);
  const ask = (partition: number, method: string, payload: unknown): Promise<unknown> => {
    const holder = registry.view.leases[partition]?.holder ?? null;
    if (holder === null) throw new Error(`partition ${partition} has no owner now`);
    return links.call(holder, method, payload, lookTimeoutMs);
  };
  const look = async <T>(partition: number, method: string, payload: object, here: () => Promise<T>): Promise<T> => {
    for (let attempt = 1; ; attempt++) {
      try {
        if (hosts[partition]!.state === 'ready') return await here();
        return (await ask(partition, method, { partition, ...payload })) as T;
      } catch (error) {
        if (attempt === lookAttemptsMax) throw error;
        await delay(lookPauseMs);
      }
    }
  };
  return {
    accounts: (partition, numbers) =>
      look(partition, 'accounts', { numbers }, () => local.accounts(partition, numbers)),
    windows: (partition, entities) =>
      look(partition, 'windows', { entities }, () => local.windows(partition, entities)),
    decision: (partition, id) => look(partition, 'decision', { id }, () => local.decision(partition, id)),
  };
}

export class Cluster implements Ownership {
  readonly #base: EngineBase;
  readonly #times: StartTimes;
  readonly #registry: Registry;
  readonly #links: PeerLinks;
  readonly #parts: ClusterParts;
  readonly #server: PeerServer;
  readonly #mover: Mover;
  readonly #deathWatch: DeathWatch;
  readonly #looks: PartitionLooks;
  readonly #foreignIds: ForeignIds;
  /** Engines that report the ids that they see first. */
  readonly #reporting = new Set<string>();
  #isStopped = false;
  #ownCalls: (() => CallFigures) | null = null;

  constructor(base: EngineBase, times: StartTimes, parts: ClusterParts) {
    const { registry, links, hosts, router, forwarder } = parts;
    this.#base = base;
    this.#times = times;
    this.#registry = registry;
    this.#links = links;
    this.#parts = parts;
    this.#looks = looksHere(registry, hosts);
    const { config, holder, nowMs, log, traces } = base;
    this.#server = new PeerServer({
      keys: config.peer.keys,
      selfId: holder,
      partitionCount: config.partitionCount,
      nowMs,
      log,
      ...(traces === null ? {} : { traces: new PeerTraces(traces, nowMs, config.slowAuthorizationMs) }),
      handlers: {
        submit: (partition, protocol, body, waiter) => forwarder.fromPeer(partition, protocol, body, waiter),
        withdraw: (partition, protocol, body) => forwarder.withdraw(partition, protocol, body),
        learn: (low, high, partition) => router.learnPeerId(low, high, partition),
        connected: (engineId) => {
          this.#reporting.add(engineId);
          // What that engine was asked before is journaled by then.
          this.#foreignIds.catchUpIn(config.deadlineMs);
        },
        call: (method, payload, from) => this.#called(method, payload, from),
      },
    });
    this.#deathWatch = new DeathWatch({
      registry,
      isConnected: (engineId) => links.isConnected(engineId),
      changed: () => this.#mover.wake(),
      leaseMs: config.leaseMs,
    });
    this.#mover = new Mover({
      registry,
      partitions: hosts,
      askHandover: async (engineId, partition) => {
        // From its release on, the messages of the partition wait for this engine.
        endYielding();
        const answer = await links.call(engineId, 'handover', { partition, takes: true }, handoverTimeoutMs);
        return typeof answer === 'number' ? answer : answer === true;
      },
      isSuspected: (engineId) => this.#deathWatch.isSuspected(engineId),
      tellReady: (engineId, partition) => links.call(engineId, 'taken', { partition }, handoverTimeoutMs),
      log,
    });
    this.#foreignIds = new ForeignIds({
      database: base.database,
      partitionCount: config.partitionCount,
      isOurs: (partition) => hosts[partition]!.state !== 'away',
      learn: (low, high, partition, sequence) => router.learnJournaledId(low, high, partition, sequence),
      isStopped: () => this.#isStopped,
    });
    registry.onView((view) => this.#seen(view));
  }

  #seen({ engines }: View): void {
    const { holder } = this.#base;
    const peers = engines.filter(({ id }) => id !== holder);
    this.#base.progress.setEngines(engines.length);
    this.#links.setPeers(peers.map(({ id, peerHost, peerPort }) => ({ id, host: peerHost, port: peerPort })));
    this.#parts.forwarder.wake();
    this.#deathWatch.look();
  }

  async #called(method: string, payload: unknown, from: string): Promise<unknown> {
    if (method === 'calls') return this.#ownCalls!();
    if (method === 'panKeys') return this.#hasSameKeys(payload as { readonly keys: readonly string[] });
    const { partition, takes, numbers, entities, id } = payload as {
      readonly partition: number;
      /** Of a handover: see Mover.handover. */
      readonly takes?: boolean;
      readonly numbers: readonly number[];
      readonly entities: readonly WindowEntity[];
      readonly id: string;
    };
    if (this.#parts.hosts[partition] === undefined) throw new Error(`there is no partition ${partition}`);
    switch (method) {
      case 'handover':
        // One that cannot be reached here would have the partition for itself: messages that come here find no way.
        return this.#links.isConnected(from) && this.#mover.handover(partition, from, takes === true);
      case 'taken':
        return this.#mover.isTaken(partition);
      case 'accounts':
        return this.#looks.accounts(partition, numbers);
      case 'windows':
        return this.#looks.windows(partition, entities);
      case 'decision':
        return this.#looks.decision(partition, id);
      default:
        throw new Error(`this version does not know the call ${method}`);
    }
  }

  #hasSameKeys({ keys }: { readonly keys: readonly string[] }): boolean {
    const ours = keyNames(this.#base.config.panKeys);
    return ours.includes(keys[0]!) && keys.includes(ours[0]!);
  }

  /** Makes this engine known; it owns nothing yet. */
  async take(): Promise<void> {
    const { config, authUrl, opsUrl, database, feed, journal } = this.#base;
    await journal.take();
    this.#base.prepareLookups();
    const port = await this.#server.listen(config.host, config.peer.port);
    const peer = peerAddress(config.host, port, config.peer.address);
    await this.#registry.join({ authUrl, opsUrl, ...peer }).catch(async (error: unknown) => {
      throw await database.firstFailure(error);
    });
    this.#times.ended('lease');
    // Before any partition is read: whatever changes from here on comes by the feed.
    await feed.register();
  }

  /**
   * Identifiers with card numbers are kept as hashes. An engine that has not the key of another one would not know
   * them again, and would decide a repeat once more.
   * @throws one line for a person when another engine has other keys
   */
  async #assertSameKeys(): Promise<void> {
    const { holder, config } = this.#base;
    const others = () => this.#registry.view.engines.filter(({ id }) => id !== holder);
    await until(() => others().every(({ id }) => this.#links.isConnected(id)), toldWaitMs);
    const asked = others().map(async ({ id, opsUrl }) => {
      // One that does not answer is no reason to stay away.
      const payload = { keys: keyNames(config.panKeys) };
      const isSame = await this.#links.call(id, 'panKeys', payload, lookTimeoutMs).catch(() => true);
      if (isSame !== false) return;
      throw new Error(
        `PAN_KEY differs from that of the engine ${opsUrl}: each must have the newest key of the other one in its list`,
      );
    });
    await Promise.all(asked);
  }

  async startPartitions(): Promise<void> {
    await this.#assertSameKeys();
    this.#mover.start();
    await until(() => this.#isPlaced, placedWaitMs);
    await until(() => this.#isTold, toldWaitMs);
    await this.#foreignIds.readNewest();
    const { config, database } = this.#base;
    const { hosts, router } = this.#parts;
    const isOurs = (partition: number): boolean => hosts[partition]!.state !== 'away';
    await learnForeignCards({ database, router, partitionCount: config.partitionCount, isOurs });
    this.#foreignIds.readAll();
  }

  /** Every other engine reports the ids that it sees. */
  get #isTold(): boolean {
    return this.#registry.view.engines.every(({ id }) => id === this.#base.holder || this.#reporting.has(id));
  }

  get #isPlaced(): boolean {
    return this.#parts.hosts.every((host) => host.state === 'ready' || this.elsewhere(host.partition) === '');
  }

  partitionChanged(): void {
    this.#deathWatch.look();
    this.#mover.wake();
  }

  measure(metrics: Metrics): void {
    const { links, forwarder } = this.#parts;
    measurePeers(metrics, { links, server: this.#server, forwarder });
  }

  async leave(): Promise<boolean> {
    await this.#mover.leave(leaveTimeoutMs);
    // The last one may be on its way still: meanwhile its messages wait here.
    const hasOthers = this.engines().some(({ id }) => id !== this.#base.holder);
    if (hasOthers) await until(() => this.#isPlaced, takenWaitMs);
    return this.#isPlaced;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#foreignIds.stop();
    this.#mover.stop();
    this.#deathWatch.stop();
    this.#server.close();
    this.#links.close();
    await this.#registry.stop();
  }

  get isLapsed(): boolean {
    return this.#registry.isLapsed;
  }

  /** The position of a frame says who the writer is, and no clock does. */
  readonly mayApprove = true;

  elsewhere(partition: number): string {
    const holder = this.#registry.view.leases[partition]?.holder ?? null;
    if (holder === null || holder === this.#base.holder) return `partition ${partition} has no owner now`;
    if (this.#links.isConnected(holder)) return '';
    return `partition ${partition} is another engine's, which cannot be reached: see PEER_PORT and PEER_KEY`;
  }

  epochOf(partition: number): number {
    return this.#registry.view.leases[partition]?.epoch ?? 0;
  }

  countCalls(own: () => CallFigures): void {
    this.#ownCalls = own;
  }

  async calls(): Promise<readonly CallFigures[]> {
    const others = this.#registry.view.engines.filter(({ id }) => id !== this.#base.holder);
    // One that does not answer, or has an older version, is left out.
    const asked = others.map(({ id }) => this.#links.call(id, 'calls', {}, lookTimeoutMs).catch(() => null));
    const figures = (await Promise.all(asked)) as (CallFigures | null)[];
    return [this.#ownCalls!(), ...figures.filter((each) => each !== null)];
  }

  engines(): readonly EngineView[] {
    return describeEngines(this.#registry.view).data;
  }
}

/** Names of keys, newest first, which say nothing about them. */
function keyNames(keys: readonly string[]): readonly string[] {
  return keys.map((key) => createHash('sha256').update(`atlanticfrewaycard name of ${key}`).digest('hex').slice(0, 8));
}

async function until(isSo: () => boolean, longestMs: number): Promise<void> {
  const giveUpAtMs = performance.now() + longestMs;
  while (!isSo() && performance.now() < giveUpAtMs) await delay(placedLookMs);
}

/** @param advertised PEER_ADDRESS, or '' */
function peerAddress(host: string, port: number, advertised: string): { peerHost: string; peerPort: number } {
  if (advertised === '') return { peerHost: reachableHost(host), peerPort: port };
  const colon = advertised.lastIndexOf(':');
  // An IPv6 address stands in brackets.
  return {
    peerHost: advertised.slice(0, colon).replace(/^\[|\]$/g, ''),
    peerPort: Number(advertised.slice(colon + 1)),
  };
}
