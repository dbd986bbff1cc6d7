/**
 * Where the time of a start goes, phase by phase: one line in the log when the engine is ready, and gauges that
 * compare starts. The first phase counts from the start of the process, so that Node.js itself is in it.
 */

/**
 * Phases of the process:
 *   load        Node.js, and our modules
 *   journal     the lock of the journal folder
 *   lease       first connection to Postgres, the writer's lease
 *   register    registration with the feed, and the end of what an earlier engine may have left running in Postgres
 *   partitions  all partitions together
 *   listen      until the authorization port is open
 * and of one partition (also when its threads are replaced):
 *   position    the shipper stands still, the settled position is known
 *   takeover    with JOURNAL=postgres: the partition is ours, and our copy of its journal is made
 *   open        the thread is there, the journal is scanned and its end made writable
 *   keys        what the unsettled tail touches
 *   restore     what Postgres has of that is read
 *   replay      the tail is applied
 */
export type StartPhase =
  | 'load'
  | 'journal'
  | 'lease'
  | 'register'
  | 'partitions'
  | 'listen'
  | 'position'
  | 'takeover'
  | 'open'
  | 'keys'
  | 'restore'
  | 'replay';

export class StartTimes {
  readonly #ms = new Map<StartPhase, number>();
  readonly #beganMs: number;
  #sinceMs: number;

  /** @param beganMs when the first phase began, as performance.now() counts */
  constructor(beganMs: number) {
    this.#beganMs = beganMs;
    this.#sinceMs = beganMs;
  }

  /**
   * `phase` ends now; it began when the one before it ended. @param carved what another phase took of it, in
   * milliseconds
   */
  ended(phase: StartPhase, carved?: { readonly phase: StartPhase; readonly ms: number }): void {
    const nowMs = performance.now();
    this.#ms.set(phase, nowMs - this.#sinceMs - (carved?.ms ?? 0));
    if (carved !== undefined) this.#ms.set(carved.phase, carved.ms);
    this.#sinceMs = nowMs;
  }

  /** Milliseconds by phase, so far. */
  get phases(): ReadonlyMap<string, number> {
    return this.#ms;
  }

  /** For the log: whole milliseconds by phase, and all together. */
  summary(): Record<string, number> {
    const rounded = [...this.#ms].map(([phase, ms]) => [`${phase}Ms`, Math.round(ms)] as const);
    return { ...Object.fromEntries(rounded), ms: Math.round(this.#sinceMs - this.#beganMs) };
  }
}
