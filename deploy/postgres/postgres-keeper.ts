/**
 * Keeps the embedded Postgres of a run alive: when its first process is gone, it is started again in the same place, a
 * few times. The engine and the API find it by themselves, so its port must stay.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { EmbeddedPostgres } from '../embedded-postgres.js';
import { processIdentity } from '../process-identity.js';
import { Restarts, type RestartTimes, restartTimesDefault } from '../restarts.js';

const lookEveryMs = 500;

export class PostgresKeeper {
  readonly #startAgain: () => Promise<EmbeddedPostgres>;
  readonly #log: (line: string) => void;
  readonly #restarts: Restarts;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #server: EmbeddedPostgres;
  #reportEnd: (line: string) => void = () => undefined;
  /** Resolves with a line for the user when the server cannot be kept running. */
  readonly failed = new Promise<string>((resolve) => {
    this.#reportEnd = resolve;
  });

  /** @param startAgain starts the same cluster on the same port */
  constructor(
    server: EmbeddedPostgres,
    startAgain: () => Promise<EmbeddedPostgres>,
    log: (line: string) => void,
    times: RestartTimes = restartTimesDefault,
  ) {
    this.#server = server;
    this.#startAgain = startAgain;
    this.#log = log;
    this.#restarts = new Restarts(times);
    this.#ended = this.#watch();
  }

  /** Stops watching, then the server. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
    await this.#server.stop();
  }

  async #watch(): Promise<void> {
    let identity = processIdentity(this.#server.pid);
    for (;;) {
      await this.#pause(lookEveryMs);
      if (this.#stop.signal.aborted) return;
      if (identity !== null && processIdentity(this.#server.pid) === identity) continue;
      this.#log(`Postgres (process ${this.#server.pid}) ended by itself: what needs it waits until it is back`);
      if (!(await this.#restart())) return;
      identity = processIdentity(this.#server.pid);
    }
  }

  /** @returns false when it is not to be watched any more */
  async #restart(): Promise<boolean> {
    for (;;) {
      const delayMs = this.#restarts.next();
      if (delayMs === null) {
        this.#reportEnd(
          `Postgres does not stay up: not starting it again after ${this.#restarts.attemptsMax} attempts`,
        );
        return false;
      }
      this.#log(
        `starting Postgres again in ${delayMs} ms (attempt ${this.#restarts.attempt} of ${this.#restarts.attemptsMax})`,
      );
      await this.#pause(delayMs);
      if (this.#stop.signal.aborted) return false;
      try {
        this.#server = await this.#startAgain();
        this.#log(`Postgres runs again (process ${this.#server.pid})`);
        return true;
      } catch (error) {
        this.#log((error as Error).message);
      }
    }
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }
}
