/**
 * Positive integers that mostly lie close together, as numbers of database rows do: a bit each, in pages. Not all of
 * them: where they lie so far apart that there are too many pages, what comes on top is not taken.
 */
const pageBits = 4096;
const pageWords = pageBits / 32;
/** 40 MB when full; 268 million numbers side by side. */
const pagesMax = 65_536;

export class NumberSet {
  readonly #pages = new Map<number, Uint32Array>();
  #page: Uint32Array | undefined;
  #pageNumber = -1;

  has(number: number): boolean {
    const page = this.#find(Math.floor(number / pageBits));
    if (page === undefined) return false;
    const bit = number % pageBits;
    return (page[bit >>> 5]! & (1 << (bit & 31))) !== 0;
  }

  add(number: number): void {
    const pageNumber = Math.floor(number / pageBits);
    let page = this.#find(pageNumber);
    if (page === undefined) {
      if (this.#pages.size >= pagesMax) return;
      page = new Uint32Array(pageWords);
      this.#pages.set(pageNumber, page);
      this.#page = page;
    }
    const bit = number % pageBits;
    page[bit >>> 5]! |= 1 << (bit & 31);
  }

  #find(pageNumber: number): Uint32Array | undefined {
    if (pageNumber !== this.#pageNumber) {
      this.#pageNumber = pageNumber;
      this.#page = this.#pages.get(pageNumber);
    }
    return this.#page;
  }
}
