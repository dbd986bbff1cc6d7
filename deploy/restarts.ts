/** How often, and after which pauses, something that ended by itself is started again. */
export interface RestartTimes {
  /** Ends in a row after which it is left alone. */
  readonly attemptsMax: number;
  /** Doubles with each attempt. */
  readonly delayMsMin: number;
  /** What ran for this long begins with a full number of attempts. */
  readonly steadyMs: number;
}

/** 15 seconds of pauses in all: long enough for a Postgres that recovers, short enough for a person who watches. */
export const restartTimesDefault: RestartTimes = { attemptsMax: 5, delayMsMin: 500, steadyMs: 60_000 };

export class Restarts {
  readonly #times: RestartTimes;
  readonly #nowMs: () => number;
  #startedAtMs: number;
  attempt = 0;

  /** @param nowMs monotonic milliseconds */
  constructor(times: RestartTimes, nowMs: () => number = () => performance.now()) {
    this.#times = times;
    this.#nowMs = nowMs;
    this.#startedAtMs = nowMs();
  }

  get attemptsMax(): number {
    return this.#times.attemptsMax;
  }

  /** It has ended. @returns the pause before the next attempt in milliseconds; null: no more attempts */
  next(): number | null {
    const nowMs = this.#nowMs();
    if (nowMs - this.#startedAtMs > this.#times.steadyMs) this.attempt = 0;
    if (this.attempt >= this.#times.attemptsMax) return null;
    const delayMs = this.#times.delayMsMin * 2 ** this.attempt++;
    this.#startedAtMs = nowMs + delayMs;
    return delayMs;
  }
}
