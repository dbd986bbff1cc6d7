/** A set of positive integers that mostly lie close together, as numbers of database rows do: a bit each, in pages. */
const pageBits = 4096;
const pageWords = pageBits / 32;

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
      page = new Uint32Array(pageWords);
      this.#pages.set(pageNumber, page);
      this.#page = page;
    }
    const bit = number % pageBits;
    page[bit >>> 5]! |= 1 << (bit & 31);
  }

  clear(): void {
    this.#pages.clear();
    this.#page = undefined;
    this.#pageNumber = -1;
  }

  #find(pageNumber: number): Uint32Array | undefined {
    if (pageNumber !== this.#pageNumber) {
      this.#pageNumber = pageNumber;
      this.#page = this.#pages.get(pageNumber);
    }
    return this.#page;
  }
}
