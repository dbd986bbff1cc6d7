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
  readonly #memory = new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT);
  /** The wall clock less the steady clock of this thread. */
  readonly #offsetMs = new Float64Array(this.#memory);
  #syncedAtMs = performance.now();

  constructor() {
    this.#offsetMs[0] = Date.now() - this.#syncedAtMs;
  }

  nowMs(): number {
    const steadyMs = performance.now();
    if (steadyMs - this.#syncedAtMs > syncIntervalMs) {
      this.#offsetMs[0] = Date.now() - steadyMs;
      this.#syncedAtMs = steadyMs;
    }
    return this.#offsetMs[0]! + steadyMs;
  }

  /** For a SharedClock in another thread. */
  share(): ClockShare {
    return { memory: this.#memory, originMs: steadyOriginMs() };
  }
}

export interface ClockShare {
  readonly memory: SharedArrayBuffer;
  /** See steadyOriginMs. */
  readonly originMs: number;
}

/**
 * The same clock in another thread. A clock of its own would differ by up to a millisecond, which is what the wall
 * clock is read in. A message would then reach the main thread before it has arrived.
 */
export class SharedClock implements Clock {
  readonly #offsetMs: Float64Array;
  /** What the steady clock of this thread is behind the one of the thread that shares its clock. */
  readonly #behindMs: number;

  constructor({ memory, originMs }: ClockShare) {
    this.#offsetMs = new Float64Array(memory);
    this.#behindMs = steadyOriginMs() - originMs;
  }

  nowMs(): number {
    return this.#offsetMs[0]! + this.#behindMs + performance.now();
  }
}

/** A thread may lose its core between two readings: the closest of so many pairs is taken. */
const readingsMax = 16;

/** When performance.now() of this thread was 0, on the clock that all threads of the machine share. */
function steadyOriginMs(): number {
  let closestMs = Number.POSITIVE_INFINITY;
  let originMs = 0;
  for (let reading = 0; reading < readingsMax; reading++) {
    const beforeMs = performance.now();
    const sharedMs = Number(process.hrtime.bigint()) / 1e6;
    const tookMs = performance.now() - beforeMs;
    if (tookMs >= closestMs) continue;
    closestMs = tookMs;
    originMs = sharedMs - beforeMs - tookMs / 2;
  }
  return originMs;
}
