/**
 * Seals the audit trail beside the requests: about a second after an entry is committed it has its place and its hash.
 * Every API process does it; one at a time finds something to do.
 */
import type { Log } from '../../platform/log.js';
import type { AuditTrail } from '../stores/audit.js';
import { Rounds } from './rounds.js';

const restMs = 1_000;
/** Batches in a row before others have their turn at the connections. */
const batchesMax = 20;
/**
 * The log is a copy of the head outside the database: a trail that was cut, with a head to match, does not match it.
 */
const headEveryMs = 3_600_000;

export class AuditSealer {
  readonly #trail: Pick<AuditTrail, 'seal' | 'head'>;
  readonly #log: Log;
  readonly #rounds = new Rounds(() => this.run().then(() => restMs));
  #headLoggedMs = Number.NEGATIVE_INFINITY;
  /** Read by the metrics. */
  sealed = 0;
  failures = 0;

  constructor(trail: Pick<AuditTrail, 'seal' | 'head'>, log: Log) {
    this.#trail = trail;
    this.#log = log;
  }

  start(): void {
    this.#rounds.start(restMs);
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  /** Seals what is committed, a bounded number. */
  async run(): Promise<void> {
    try {
      for (let batch = 0; batch < batchesMax && !this.#rounds.isStopped; batch++) {
        const count = await this.#trail.seal();
        this.sealed += count;
        if (count === 0) break;
      }
      if (performance.now() - this.#headLoggedMs < headEveryMs) return;
      const { place, hash } = await this.#trail.head();
      this.#headLoggedMs = performance.now();
      this.#log.info({ place, hash }, 'head of the audit trail');
    } catch (error) {
      this.failures++;
      this.#log.debug({ error: (error as Error).message }, 'the audit trail could not be sealed');
    }
  }
}
