/**
 * What `/health` says: each component healthy, unhealthy or disabled, with a detail that a person can act on.
 * Components register themselves. Ready means that requests are served: the port listens, and what every request needs
 * is there. What only some need (MongoDB, Redis, the engine) makes those fail with a clear 503 while the rest goes on.
 */

import { noAnswer, withDeadline } from '../../platform/process/deadline.js';
import { diskOf } from '../../platform/process/disk.js';

export interface ComponentHealth {
  readonly status: 'healthy' | 'unhealthy' | 'disabled';
  readonly detail: string;
}

export interface HealthReport {
  readonly status: 'healthy' | 'degraded' | 'unhealthy';
  readonly components: Record<string, ComponentHealth>;
}

/** Where the process runs. */
const workDirectory = process.cwd();

type Probe = () => ComponentHealth | Promise<ComponentHealth>;

/** More resident memory than this is no fault but deserves a look. */
const residentBytesMax = 1024 * 1024 * 1024;
/** With less than this on its disk a process soon cannot write its log, nor the engine its journal beside it. */
const freeBytesMin = 256 * 2 ** 20;
/** Longest that one look may take. */
const probeMs = 1500;

export class Health {
  readonly #probes = new Map<string, Probe>();
  /** Each names what every request needs and is missing now, or is ''. Anyone may read it. */
  readonly #blockers: (() => string)[] = [];
  #isServing = false;

  constructor() {
    this.addBlocker(() => (this.#isServing ? '' : 'starting or stopping'));
    this.add('memory', () => {
      const { rss } = process.memoryUsage();
      return {
        status: rss > residentBytesMax ? 'unhealthy' : 'healthy',
        detail: `${Math.round(rss / 2 ** 20)} MiB resident`,
      };
    });
    this.add('disk', async () => {
      const disk = await diskOf(workDirectory);
      if (disk === null) return { status: 'unhealthy', detail: `the file system of ${workDirectory} does not answer` };
      const detail = `${Math.round(disk.freeBytes / 2 ** 20)} MiB of ${Math.round(disk.bytes / 2 ** 20)} MiB free`;
      return {
        status: disk.freeBytes < freeBytesMin ? 'unhealthy' : 'healthy',
        detail: `${detail} in ${workDirectory}`,
      };
    });
  }

  /** Adds a component; a later one of the same name takes its place. */
  add(name: string, probe: Probe): void {
    this.#probes.set(name, probe);
  }

  /** The port listens. */
  serving(): void {
    this.#isServing = true;
  }

  /** From now on load balancers must send nothing here. */
  stopping(): void {
    this.#isServing = false;
  }

  /** @param blocker says without any detail of the deployment why no request can be served now; '' while they can */
  addBlocker(blocker: () => string): void {
    this.#blockers.push(blocker);
  }

  /** Why requests cannot be served now; empty when the API is ready. */
  notReady(): readonly string[] {
    return this.#blockers.map((blocker) => blocker()).filter((reason) => reason !== '');
  }

  async report(): Promise<HealthReport> {
    const entries = await Promise.all(
      [...this.#probes].map(async ([name, probe]) => [name, await look(probe)] as const),
    );
    const components = Object.fromEntries(entries);
    const isImpaired = entries.some(([, { status }]) => status === 'unhealthy');
    const isDown = components['database']?.status === 'unhealthy';
    return { status: isDown ? 'unhealthy' : isImpaired ? 'degraded' : 'healthy', components };
  }
}

async function look(probe: Probe): Promise<ComponentHealth> {
  try {
    return await withDeadline(probe(), probeMs, () => noAnswer(probeMs));
  } catch (error) {
    return { status: 'unhealthy', detail: (error as Error).message };
  }
}
