/**
 * How many requests may be in the house: beyond the bound a request is declined at once, so that those inside keep their
 * deadline and memory stays flat.
 */
export class Admission {
  readonly #max: number;
  #count = 0;

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
    return true;
  }

  leave(): void {
    this.#count--;
  }
}
