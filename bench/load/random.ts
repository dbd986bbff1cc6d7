/** Random numbers of the generated traffic: cheap, and the same for the same seed on every machine. */

/** xorshift32. Good enough to pick cards and gaps; not for secrets. */
export class Random {
  #state: number;

  /** `stream` keeps threads with the same seed apart. */
  constructor(seed: number, stream: number) {
    this.#state = (seed ^ Math.imul(stream + 1, 0x9e3779b1)) | 0 || 1;
    // Neighbouring seeds give neighbouring first values: leave those behind.
    for (let round = 0; round < 8; round++) this.next();
  }

  /** @returns an unsigned 32-bit integer, never 0. */
  next(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return state >>> 0;
  }

  /** @returns an integer from 0 to `count` − 1. */
  below(count: number): number {
    return this.next() % count;
  }

  /** @returns a number above 0 and below 1. */
  unit(): number {
    return this.next() / 4_294_967_296;
  }

  /** Normal with mean 0 and deviation 1, near enough: the sum of four uniforms, so never beyond ±3.5. */
  normal(): number {
    return (this.unit() + this.unit() + this.unit() + this.unit() - 2) * Math.sqrt(3);
  }
}

/**
 * Picks 0 … count − 1 by a law like Zipf's. The share of rank r falls with r^-exponent, as some cards and shops are
 * used far more than others. The inverse of the continuous law: one power per pick, no table.
 */
export class Skew {
  readonly #count: number;
  readonly #inverse: number;
  readonly #span: number;
  readonly #step: number;

  /** @param exponent 0: all alike; below 1 */
  constructor(count: number, exponent: number) {
    if (!(exponent >= 0 && exponent < 1))
      throw new RangeError(`skew: the exponent must be from 0 to below 1, not ${exponent}`);
    this.#count = count;
    this.#inverse = 1 / (1 - exponent);
    this.#span = (count + 1) ** (1 - exponent) - 1;
    this.#step = coprimeStep(count);
  }

  pick(random: Random): number {
    const rank = Math.floor((this.#span * random.unit() + 1) ** this.#inverse) - 1;
    // Scattered: the popular ones must not stand side by side, where caches and partitions would see a pattern.
    return (Math.min(rank, this.#count - 1) * this.#step) % this.#count;
  }
}

/** A step that visits every one of `count` places; the product stays below 2^53. */
function coprimeStep(count: number): number {
  let step = Math.max(1, Math.floor(count * 0.618));
  while (greatestCommonDivisor(step, count) !== 1) step++;
  return step;
}

function greatestCommonDivisor(left: number, right: number): number {
  return right === 0 ? left : greatestCommonDivisor(right, left % right);
}
