/** A queue that grows by doubling and never shrinks: shift() of an array of thousands would move them all. */
export class Ring<T> {
  #items: (T | undefined)[] = new Array(1024);
  #head = 0;
  length = 0;

  push(item: T): void {
    if (this.length === this.#items.length) this.#grow();
    this.#items[(this.#head + this.length++) & (this.#items.length - 1)] = item;
  }

  get first(): T | undefined {
    return this.length === 0 ? undefined : this.#items[this.#head];
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#items.length - 1);
    this.length--;
    return item;
  }

  #grow(): void {
    const { length } = this.#items;
    const items: (T | undefined)[] = new Array(length * 2);
    for (let index = 0; index < length; index++) items[index] = this.#items[(this.#head + index) & (length - 1)];
    this.#items = items;
    this.#head = 0;
  }
}
