/**
 * Lanes whose records one syncer makes durable. They send their slabs together, so that one task has them decided and
 * one commit makes them durable. While those are on their way, the next ones fill. A lane that has many messages does
 * not wait for that, and takes the others along.
 *
 * With a local journal each partition has its own syncer, and its lane is a group of its own.
 */

/** What the group needs of a lane (engine/ledger/lane.ts). */
export interface GroupedLane {
  /** It has so many messages that they need not wait. */
  readonly isFull: boolean;
  /**
   * Sends what waits, if it may.
   * @param together the group waits for nothing
   * @returns how many messages left
   */
  send(together: boolean): number;
  /** Finds what is durable; answer() follows. */
  judge(): void;
  /** Answers what judge() found. */
  answer(): void;
}

/** How a group that costs much a wave lets company gather. */
export interface Pace {
  /** From one wave to the next, milliseconds. */
  readonly everyMs: number;
  /** Only behind a wave of so many messages: with fewer there is no company to wait for. */
  readonly behindMin: number;
  nowMs(): number;
  schedule(callback: () => void, delayMs: number): void;
}

export class LaneGroup {
  readonly #lanes: GroupedLane[] = [];
  readonly #schedule: (send: () => void) => void;
  readonly #flush: () => void;
  readonly #beforeAnswers: () => void;
  #isScheduled = false;
  /** Lanes with slabs that are with the worker or wait for the disk. */
  #busyLanes = 0;
  readonly #pace: Pace | null;
  /** Until when the next wave gathers. */
  #restUntilMs = 0;

  /**
   * @param schedule runs its argument at the end of the event-loop turn, so that a turn's arrivals make one batch
   * @param flush called after slabs of several lanes were handed over: the workers begin
   * @param beforeAnswers called before the answers of a wave leave
   */
  constructor(
    schedule: (send: () => void) => void,
    flush: () => void = () => undefined,
    pace: Pace | null = null,
    beforeAnswers: () => void = () => undefined,
  ) {
    this.#schedule = schedule;
    this.#flush = flush;
    this.#beforeAnswers = beforeAnswers;
    this.#pace = pace;
  }

  add(lane: GroupedLane): void {
    this.#lanes.push(lane);
  }

  /** Nothing of any lane is on its way. */
  get isClear(): boolean {
    return this.#busyLanes === 0;
  }

  /** A lane has something on its way, or no longer. */
  became(isBusy: boolean): void {
    this.#busyLanes += isBusy ? 1 : -1;
  }

  /** A lane may send. */
  wake(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    const restMs = this.#restMs();
    if (restMs > 0) this.#pace!.schedule(this.#turn, restMs);
    else this.#schedule(this.#turn);
  }

  #restMs(): number {
    return this.#pace === null ? 0 : this.#restUntilMs - this.#pace.nowMs();
  }

  readonly #turn = (): void => {
    this.#isScheduled = false;
    this.#restUntilMs = 0;
    this.send();
  };

  send(): void {
    // Asked first: the group is not clear any more when the first lane has sent.
    const together = (this.isClear && this.#restMs() <= 0) || this.#lanes.some(({ isFull }) => isFull);
    let count = 0;
    for (const lane of this.#lanes) count += lane.send(together);
    if (this.#pace !== null && count >= this.#pace.behindMin) {
      this.#restUntilMs = this.#pace.nowMs() + this.#pace.everyMs;
    }
    this.#flush();
  }

  /** Sends what a lane has whose own slabs are back: those of another one may hang. */
  sendAlone(lane: GroupedLane): void {
    if (this.#isScheduled) return;
    lane.send(true);
    this.#flush();
  }

  /** Answers what is durable. Called whenever more is on disk. */
  synced(lanes: readonly GroupedLane[] = this.#lanes): void {
    for (const lane of lanes) lane.judge();
    // Revocations, or the next batch, leave before the answers go out: the worker goes on meanwhile.
    this.send();
    this.#beforeAnswers();
    for (const lane of lanes) lane.answer();
  }
}
