/**
 * When a message of another engine arrived there, on our steady clock. The asker's pings carry its steady clock; the
 * one that was quickest here gives the difference of the two. So a message that waited on its way is as old as it is,
 * also where this process stood still meanwhile.
 */

/** Pings until the quickest one is sought again: clocks that drift by 100 µs a second part by 2 ms in 20 s. */
const pingsMax = 10;
/** No message waits longer: its connection would have counted as dead. A process that stood still may find more. */
const elapsedMsMax = 60_000;

export class PeerClock {
  #differenceMs = Number.POSITIVE_INFINITY;
  #olderMs = Number.POSITIVE_INFINITY;
  #pings = 0;

  /** @param nowMs our steady clock when the ping came */
  ping(sentSteadyMs: number, nowMs: number): void {
    if (this.#pings++ === pingsMax) {
      this.#pings = 1;
      this.#olderMs = this.#differenceMs;
      this.#differenceMs = Number.POSITIVE_INFINITY;
    }
    this.#differenceMs = Math.min(this.#differenceMs, nowMs - sentSteadyMs);
  }

  /** How long ago a message arrived at its engine; 0 before the first ping. */
  elapsedMs(arrivalSteadyMs: number, nowMs: number): number {
    const elapsedMs = nowMs - arrivalSteadyMs - Math.min(this.#differenceMs, this.#olderMs);
    return elapsedMs > 0 ? Math.min(elapsedMs, elapsedMsMax) : 0;
  }
}
