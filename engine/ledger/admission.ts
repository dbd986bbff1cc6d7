/**
 * How many messages may be in flight. Beyond the bound a message is declined at once, so that the others keep their
 * deadline and memory stays flat.
 */
export class Admission {
  readonly #max: number;
  #count = 0;
  #peak = 0;
  #recentPeak = 0;

  /** @param max most requests accepted and not answered */
  constructor(max: number) {
    this.#max = max;
  }

  get count(): number {
    return this.#count;
  }

  /** @returns false when the house is full */
  enter(): boolean {
    if (this.#count >= this.#max) return false;
    this.#count++;
    if (this.#count > this.#peak) this.#peak = this.#count;
    return true;
  }

  leave(): void {
    this.#count--;
  }

  /**
   * The most requests that were in the house lately, fading by a tenth per call. A closed loop empties the house after
   * every batch, so a single look says little about how busy it is.
   */
  recentPeak(): number {
    this.#recentPeak = Math.max(this.#peak, Math.floor(this.#recentPeak * 0.9));
    this.#peak = this.#count;
    return this.#recentPeak;
  }
}
