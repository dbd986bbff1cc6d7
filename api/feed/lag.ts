/** What is copied later than this is a fault that a person should look at. */
const lateMs = 30_000;

/** How late a follower is: since when something waits that it has not copied. */
export class Lag {
  #target = 0;
  #sinceMs: number | null = null;

  /**
   * @param newest place of the newest thing there is
   * @param copied place of the newest thing copied
   */
  noted(newest: number, copied: number, nowMs = performance.now()): void {
    // A source that was set back never reaches what was waited for.
    if (copied >= this.#target || newest < this.#target) this.#sinceMs = null;
    if (this.#sinceMs !== null || copied >= newest) return;
    this.#target = newest;
    this.#sinceMs = nowMs;
  }

  /** Another process follows. */
  reset(): void {
    this.#sinceMs = null;
  }

  /** How long the oldest thing that is not copied has been known to wait. */
  ageMs(nowMs = performance.now()): number {
    return this.#sinceMs === null ? 0 : nowMs - this.#sinceMs;
  }

  /** What a person should know; '' while the follower keeps up. */
  complaint(what: string, waiting: number, nowMs = performance.now()): string {
    const ageMs = this.ageMs(nowMs);
    return ageMs < lateMs ? '' : `${what}: ${waiting} wait to be copied, the first for ${Math.round(ageMs / 1000)} s`;
  }
}
