/**
 * What `/health` says: each component healthy, unhealthy or disabled, with a detail that a person can act on. Ready
 * means that some message can be approved. An absent database makes the engine unhealthy in that part but not unready.
 * Known cards are decided without it until the feed is stale.
 */

import { noAnswer, withDeadline } from '../../platform/process/deadline.js';
import { seeRunbook } from '../../platform/runbook.js';
import type { EngineConfig } from '../config.js';
import type { EngineFeed } from '../feed/feed.js';
import type { PartitionHost } from '../ledger/partition-host.js';
import type { ShipperClient } from '../ledger/shipper-client.js';
import type { Database } from '../lookups/database.js';
import type { SetApart } from '../lookups/set-apart.js';
import type { Ownership } from '../ownership.js';
import { type ComponentHealth, disabled, healthy, unhealthy } from './component-health.js';
import type { JournalRoom } from './journal-room.js';
import type { MarqetaWatch } from './marqeta-watch.js';
import type { MemoryRoom } from './memory-room.js';
import type { SettleWatch } from './settle-watch.js';

export interface HealthReport {
  readonly status: 'healthy' | 'degraded' | 'unhealthy';
  readonly components: Readonly<Record<string, ComponentHealth>>;
}

const staleFeed = `the feed is stale: changes of cards may be unknown (${seeRunbook('stale-feed')})`;
/** Longest that one look may take. */
const pingTimeoutMs = 1000;
/** Below this much free disk the journal may soon find no room for a segment. */
const freeSegmentsMin = 4;
/** A journal with this share of its segments in use will soon decline. */
const segmentsShareMax = 7 / 8;
/** More resident memory than this is no fault but deserves a look. */
const residentBytesMax = 4 * 1024 * 1024 * 1024;

const lapsedLease = seeRunbook('lapsed-lease');
const leaseLapsed = `the lease of the ledger has lapsed: another engine may be the writer (${lapsedLease})`;
const journalPlaces = { local: 'DATA_DIR/journal', postgres: 'its copy, in TMPDIR' } as const;
const awayEffects = {
  local: 'known cards are decided without it',
  postgres: 'nothing is approved: it has the journal',
} as const;

export interface HealthParts {
  readonly config: Pick<EngineConfig, 'journal' | 'journalSizes'>;
  readonly database: Pick<Database, 'ping'>;
  readonly hosts: readonly Pick<PartitionHost, 'partition' | 'state' | 'failure' | 'progress'>[];
  readonly shipper: Pick<ShipperClient, 'failure' | 'trouble'>;
  readonly settling: Pick<SettleWatch, 'stalled' | 'quarantine'>;
  readonly feed: Pick<EngineFeed, 'health' | 'isStale'>;
  readonly setApart: Pick<SetApart, 'detail'>;
  readonly ownership: Pick<Ownership, 'isLapsed' | 'elsewhere'>;
  readonly room: JournalRoom;
  readonly memory: Pick<MemoryRoom, 'problem' | 'detail'>;
  readonly marqeta: MarqetaWatch;
}

export class Health {
  readonly #parts: HealthParts;
  /** Each names why nothing can be approved now, or is ''. */
  readonly #blockers: (() => string)[] = [];
  /** Between listening and stopping; partitions may be ready earlier, while ids are still being read. */
  #isServing = false;

  constructor(parts: HealthParts) {
    this.#parts = parts;
    this.addBlocker(() => (this.#isServing ? '' : 'the authorization port is not open: starting or stopping'));
    this.addBlocker(() => (parts.feed.isStale ? staleFeed : ''));
    this.addBlocker(() => (parts.ownership.isLapsed ? leaseLapsed : ''));
    this.addBlocker(() => this.#partitionsBlocked());
  }

  /** @param blocker says why nothing can be approved now; '' while it has nothing against it */
  addBlocker(blocker: () => string): void {
    this.#blockers.push(blocker);
  }

  /** The authorization port listens. */
  serving(): void {
    this.#isServing = true;
  }

  /** From now on load balancers must send nothing here. */
  stopping(): void {
    this.#isServing = false;
  }

  /** Why nothing can be approved now; empty when the engine is ready. */
  notReady(): readonly string[] {
    return this.#blockers.map((blocker) => blocker()).filter((reason) => reason !== '');
  }

  /** One partition that approves is enough: its accounts must not wait for the others'. */
  #partitionsBlocked(): string {
    const problems = this.#parts.hosts.map((host) => this.#problemOf(host));
    return problems.every((problem) => problem !== '') ? problems.join('; ') : '';
  }

  #problemOf(host: HealthParts['hosts'][number]): string {
    if (host.state === 'ready') return this.#parts.room.problemOf(host);
    if (host.state === 'away') return this.#parts.ownership.elsewhere(host.partition);
    return `partition ${host.partition} is ${host.state}${host.failure ? `: ${host.failure}` : ''}`;
  }

  async report(): Promise<HealthReport> {
    const { feed: feedState, marqeta, room } = this.#parts;
    const [database] = await Promise.all([this.#databaseHealth(), room.look()]);
    const { feed, redis } = feedState.health();
    const components = {
      database,
      redis,
      mongodb: disabled('the engine does not use MongoDB: the account API does, and reports on it'),
      marqeta: marqeta.health(performance.now()),
      memory: this.#memory(),
      disk: this.#disk(),
      journal: this.#journal(),
      settling: this.#settling(),
      feed,
      profiles: this.#profiles(),
    };
    const parts = Object.values(components);
    const vital = [components.journal, components.settling, feed];
    const isDown = vital.some(({ status }) => status === 'unhealthy') || this.#parts.ownership.isLapsed;
    const status = isDown ? 'unhealthy' : parts.some((part) => part.status === 'unhealthy') ? 'degraded' : 'healthy';
    return { status, components };
  }

  async #databaseHealth(): Promise<ComponentHealth> {
    try {
      await withDeadline(this.#parts.database.ping(), pingTimeoutMs, () => noAnswer(pingTimeoutMs));
      return this.#parts.ownership.isLapsed ? unhealthy(`${leaseLapsed}, so nothing is approved`) : healthy('answers');
    } catch (error) {
      const { ownership, config } = this.#parts;
      const effect = ownership.isLapsed ? `nothing is approved, for ${leaseLapsed}` : awayEffects[config.journal];
      return unhealthy(`${effect}; ${(error as Error).message}`);
    }
  }

  #profiles(): ComponentHealth {
    const { detail } = this.#parts.setApart;
    return detail === '' ? healthy('all can be applied') : unhealthy(detail);
  }

  #memory(): ComponentHealth {
    const { rss } = process.memoryUsage();
    const { memory } = this.#parts;
    const problem = memory.problem();
    if (problem !== '') return unhealthy(problem);
    const detail = `${Math.round(rss / 1024 / 1024)} MiB resident; ${memory.detail()}`;
    return rss > residentBytesMax ? unhealthy(detail) : healthy(detail);
  }

  #disk(): ComponentHealth {
    const { config, room } = this.#parts;
    const { freeBytes } = room;
    const where = journalPlaces[config.journal];
    if (freeBytes === null) return unhealthy(`the file system of the journal (${where}) does not answer`);
    const detail = `${Math.round(freeBytes / 1024 / 1024)} MiB free where the journal stands (${where})`;
    return freeBytes < freeSegmentsMin * config.journalSizes.segmentBytes ? unhealthy(detail) : healthy(detail);
  }

  /** Decisions go on in either case, until the journal is full. */
  #settling(): ComponentHealth {
    const { settling, shipper } = this.#parts;
    const stalled = settling.stalled(performance.now());
    if (stalled !== null) {
      const { partition, forMs, records } = stalled;
      const reason = shipper.trouble === '' ? '' : `; Postgres' last error: ${shipper.trouble}`;
      return unhealthy(
        `partition ${partition} has settled nothing for ${Math.round(forMs / 1000)} s, and ${records} records ` +
          `wait${reason} (${seeRunbook('lagging-books')})`,
      );
    }
    const { count, oldest } = settling.quarantine;
    if (count > 0) {
      return unhealthy(
        `${count} records are quarantined, the oldest is ${oldest}: see npm run quarantine -- list ` +
          `(${seeRunbook('quarantined-records')})`,
      );
    }
    return healthy('nothing is quarantined');
  }

  #journal(): ComponentHealth {
    const { config, hosts, shipper } = this.#parts;
    for (const host of hosts) {
      const problem = this.#problemOf(host);
      if (problem !== '') return unhealthy(problem);
    }
    if (shipper.failure !== '')
      return unhealthy(`settling has stopped: ${shipper.failure} (${seeRunbook('lagging-books')})`);
    const { segmentsMax } = config.journalSizes;
    const full = hosts.find((host) => host.progress.segments >= Math.ceil(segmentsMax * segmentsShareMax));
    if (full !== undefined) {
      return unhealthy(
        `the journal of partition ${full.partition} has ${full.progress.segments} segments (JOURNAL_SEGMENTS_MAX is ` +
          `${segmentsMax}): once the last one is full, everything is declined until Postgres has taken over the oldest`,
      );
    }
    const lag = hosts.reduce((sum, host) => sum + host.progress.backlogRecords, 0);
    return healthy(`${lag} records wait to be settled`);
  }
}
