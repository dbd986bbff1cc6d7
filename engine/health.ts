/**
 * What `/health` says: each component healthy, unhealthy or disabled, with a detail that a person can act on. Ready means
 * that authorizations are decided; a database that is away makes the engine unhealthy in that part but not unready,
 * because known cards are decided without it.
 */
import { statfsSync } from 'node:fs';
import type { EngineConfig } from './config.js';
import type { Database } from './database.js';
import type { EngineFeed } from './feed/feed.js';
import type { PartitionHost } from './partition-host.js';
import type { ShipperClient } from './shipper-client.js';

export interface ComponentHealth {
  readonly status: 'healthy' | 'unhealthy' | 'disabled';
  readonly detail: string;
}

export interface HealthReport {
  readonly status: 'healthy' | 'degraded' | 'unhealthy';
  readonly components: Readonly<Record<string, ComponentHealth>>;
}

/** Longest that one look may take. */
const pingTimeoutMs = 1000;
/** Below this much free disk the journal may soon find no room for a segment. */
const freeSegmentsMin = 4;
/** More resident memory than this is no fault but deserves a look. */
const residentBytesMax = 4 * 1024 * 1024 * 1024;

export class Health {
  readonly #config: EngineConfig;
  readonly #database: Database;
  readonly #hosts: readonly PartitionHost[];
  readonly #shipper: ShipperClient;
  readonly #feed: EngineFeed;
  /** Between listening and stopping; partitions may be ready earlier, while ids are still being read. */
  #isServing = false;

  constructor(
    config: EngineConfig,
    database: Database,
    hosts: readonly PartitionHost[],
    shipper: ShipperClient,
    feed: EngineFeed,
  ) {
    this.#config = config;
    this.#database = database;
    this.#hosts = hosts;
    this.#shipper = shipper;
    this.#feed = feed;
  }

  /** The authorization port listens. */
  serving(): void {
    this.#isServing = true;
  }

  /** From now on nobody is to be sent here. */
  stopping(): void {
    this.#isServing = false;
  }

  /** The port listens and every partition takes messages. */
  isReady(): boolean {
    return this.#isServing && this.#hosts.every((host) => host.state === 'ready');
  }

  async report(): Promise<HealthReport> {
    const database = await this.#databaseHealth();
    const { feed, redis } = this.#feed.health();
    const components = {
      database,
      redis,
      mongodb: disabled('MONGODB_URI is not used by this release'),
      marqeta: healthy('POST /marqeta/jit is served'),
      memory: this.#memory(),
      disk: this.#disk(),
      journal: this.#journal(),
      feed,
    };
    const parts = Object.values(components);
    // A stale feed declines everything. /readyz stays: facts are still taken, and an explicit decline beats no engine.
    const isDown = components.journal.status === 'unhealthy' || feed.status === 'unhealthy';
    const status = isDown ? 'unhealthy' : parts.some((part) => part.status === 'unhealthy') ? 'degraded' : 'healthy';
    return { status, components };
  }

  async #databaseHealth(): Promise<ComponentHealth> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${pingTimeoutMs} ms`)), pingTimeoutMs);
    });
    try {
      await Promise.race([this.#database.ping(), late]);
      return healthy('answers');
    } catch (error) {
      return unhealthy(`known cards are decided without it; ${(error as Error).message}`);
    } finally {
      clearTimeout(timer);
    }
  }

  #memory(): ComponentHealth {
    const { rss } = process.memoryUsage();
    const detail = `${Math.round(rss / 1024 / 1024)} MiB resident`;
    return rss > residentBytesMax ? unhealthy(detail) : healthy(detail);
  }

  #disk(): ComponentHealth {
    const { bavail, bsize } = statfsSync(this.#config.dataDir);
    const freeBytes = bavail * bsize;
    const detail = `${Math.round(freeBytes / 1024 / 1024)} MiB free under DATA_DIR`;
    return freeBytes < freeSegmentsMin * this.#config.journalSizes.segmentBytes ? unhealthy(detail) : healthy(detail);
  }

  #journal(): ComponentHealth {
    const broken = this.#hosts.find((host) => host.state !== 'ready');
    if (broken !== undefined) {
      return unhealthy(
        `partition ${broken.partition} is ${broken.state}${broken.failure ? `: ${broken.failure}` : ''}`,
      );
    }
    if (this.#shipper.failure !== '') return unhealthy(`settling has stopped: ${this.#shipper.failure}`);
    const { segmentsMax } = this.#config.journalSizes;
    const full = this.#hosts.find((host) => host.progress.segments >= segmentsMax);
    if (full !== undefined) {
      return unhealthy(
        `the journal of partition ${full.partition} has ${full.progress.segments} segments (JOURNAL_SEGMENTS_MAX is ` +
          `${segmentsMax}): once the last one is full, everything is declined until Postgres has taken over the oldest`,
      );
    }
    const lag = this.#hosts.reduce((sum, host) => sum + host.progress.backlogRecords, 0);
    return healthy(`${lag} records wait to be settled`);
  }
}

function healthy(detail: string): ComponentHealth {
  return { status: 'healthy', detail };
}
function unhealthy(detail: string): ComponentHealth {
  return { status: 'unhealthy', detail };
}
function disabled(detail: string): ComponentHealth {
  return { status: 'disabled', detail };
}
