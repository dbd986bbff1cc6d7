/**
 * Tells a load that lasts from a burst. Settling yields to a busy front, because a burst is over soon and the journal
 * keeps what it leaves. At a rate that Postgres can settle, a backlog that grows all the same does not end by itself:
 * settling must keep up then, busy front or not. Above that rate it cannot keep up, and the front goes first.
 */
import type { Progress } from '../../engine/exchange/progress.js';

export interface BacklogBounds {
  /**
   * From this backlog on settling must keep up, until half of it is left. It is some seconds of a load that lasts; with
   * less, what comes and what is settled differ by chance.
   */
  readonly keepUpRecords: number;
  /**
   * Most records a second of all engines on a Postgres that settling tries to keep up with: about what Postgres settles
   * on two cores that it shares with an engine.
   */
  readonly keepUpPerSecondMax: number;
}

/** Rests and bursts of a second are neither growth nor a rate. */
const lookMs = 3_000;
/** Within one look a burst may have ended, which leaves a backlog that grew and the rate of no load. */
const growthsMin = 2;

/** Of all partitions of an engine. */
export class BacklogWatch {
  readonly #progress: Progress;
  readonly #bounds: BacklogBounds;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #durable = 0;
  #backlog = 0;
  /** Looks in a row that found it grown. */
  #growths = 0;
  #mustKeepUp = false;

  constructor(progress: Progress, bounds: BacklogBounds) {
    this.#progress = progress;
    this.#bounds = bounds;
  }

  /** Whether settling goes on although the front is busy. */
  mustKeepUp(nowMs: number): boolean {
    if (nowMs - this.#lookedAtMs >= lookMs) this.#look(nowMs);
    return this.#mustKeepUp;
  }

  #look(nowMs: number): void {
    const { keepUpRecords, keepUpPerSecondMax } = this.#bounds;
    const { partitions, engines } = this.#progress;
    const durable = partitions.reduce((sum, { durableSequence }) => sum + Math.max(0, durableSequence), 0);
    const backlog = partitions.reduce((sum, { backlogRecords }) => sum + backlogRecords, 0);
    const perSecond = ((durable - this.#durable) * engines * 1000) / (nowMs - this.#lookedAtMs);
    const grows = backlog >= keepUpRecords && backlog > this.#backlog && perSecond <= keepUpPerSecondMax;
    this.#growths = grows ? this.#growths + 1 : 0;
    const goesOn = this.#mustKeepUp && backlog >= keepUpRecords / 2 && perSecond <= keepUpPerSecondMax;
    this.#mustKeepUp = goesOn || this.#growths >= growthsMin;
    this.#lookedAtMs = nowMs;
    this.#durable = durable;
    this.#backlog = backlog;
  }
}
