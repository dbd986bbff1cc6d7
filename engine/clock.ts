/**
 * The one clock of the data plane: wall clock milliseconds since 1970 with a fraction, steady between two readings of
 * the system's time. Stamped on arrival; partitions and decisions never read it.
 */
export interface Clock {
  nowMs(): number;
}

/** How often the steady clock is set to the wall clock again: NTP moves it by milliseconds an hour, not more. */
const syncIntervalMs = 1000;

export class SystemClock implements Clock {
  #offsetMs = Date.now() - performance.now();
  #syncedAtMs = performance.now();

  nowMs(): number {
    const steadyMs = performance.now();
    if (steadyMs - this.#syncedAtMs > syncIntervalMs) {
      this.#offsetMs = Date.now() - steadyMs;
      this.#syncedAtMs = steadyMs;
    }
    return this.#offsetMs + steadyMs;
  }
}
