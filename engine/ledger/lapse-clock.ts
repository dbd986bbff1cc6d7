/**
 * The time by which transactions lapse. A lapse cannot be undone, so no clock is believed alone. A wall clock that
 * jumps ahead must stay there for a while, and the database's clock must be there too. Lapsing too late does no harm.
 */
import type { Log } from '../../platform/log.js';

/** Clocks of two machines, and a clock that NTP sets right, differ by less. */
const toleranceMs = 60_000;
/**
 * A wall clock that jumped ahead is believed after this time on the steady clock: a suspended machine looks the same.
 */
const believedAfterMs = 15 * 60_000;

export class LapseClock {
  readonly #wallMs: () => number;
  readonly #steadyMs: () => number;
  readonly #log: Pick<Log, 'warn' | 'info'>;
  /** Both clocks at the last look at which they agreed. */
  #agreed: { readonly wallMs: number; readonly steadyMs: number };
  /** Steady time at which the wall clock was first seen ahead; null while it is not. */
  #aheadSinceMs: number | null = null;
  #isDatabaseBehind = false;

  /**
   * @param wallMs milliseconds since 1970
   * @param steadyMs milliseconds of a clock that is never set
   */
  constructor(wallMs: () => number, steadyMs: () => number, log: Pick<Log, 'warn' | 'info'>) {
    this.#wallMs = wallMs;
    this.#steadyMs = steadyMs;
    this.#log = log;
    this.#agreed = { wallMs: wallMs(), steadyMs: steadyMs() };
  }

  /** The wall clock as far as the steady clock confirms it. To be asked every few seconds. */
  nowMs(): number {
    const wallMs = this.#wallMs();
    const steadyMs = this.#steadyMs();
    const expectedMs = this.#agreed.wallMs + steadyMs - this.#agreed.steadyMs;
    const aheadMs = wallMs - expectedMs;
    if (aheadMs > toleranceMs) {
      if (this.#aheadSinceMs === null) {
        this.#aheadSinceMs = steadyMs;
        this.#log.warn(
          { aheadMs: Math.round(aheadMs), believedAfterMs },
          'the wall clock jumped ahead: until it has stayed there, holds lapse by the steady clock; check the time ' +
            'of this machine',
        );
      }
      if (steadyMs - this.#aheadSinceMs < believedAfterMs) return expectedMs;
      this.#log.warn({ aheadMs: Math.round(aheadMs) }, 'the wall clock stayed ahead: holds lapse by it again');
    } else if (this.#aheadSinceMs !== null) {
      this.#log.info('the wall clock agrees with the steady clock again');
    }
    this.#aheadSinceMs = null;
    this.#agreed = { wallMs, steadyMs };
    return wallMs;
  }

  /** The earlier of `nowMs` and the database's clock. */
  earlier(nowMs: number, databaseMs: number): number {
    const behindMs = nowMs - databaseMs;
    const isBehind = behindMs > toleranceMs;
    if (isBehind && !this.#isDatabaseBehind) {
      this.#log.warn(
        { behindMs: Math.round(behindMs) },
        "the database's clock is behind this machine's: holds lapse by the database's; check the time of both machines",
      );
    }
    this.#isDatabaseBehind = isBehind;
    return Math.min(nowMs, databaseMs);
  }
}
