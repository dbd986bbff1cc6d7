/**
 * One at a time per key: work that would otherwise compete for the same row waits here instead of failing there and
 * trying again. Only within this process; what must hold between processes is held by the database.
 */
import { DatabaseUnavailable } from './database-errors.js';

/** More changes of one card at once than this are not a person's. */
const waitingMax = 64;

export class KeyedQueue {
  readonly #tails = new Map<string, { tail: Promise<unknown>; waiting: number }>();

  /** Runs `work` after everything that came before it with this key. Throws DatabaseUnavailable when too much waits. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const line = this.#tails.get(key) ?? { tail: Promise.resolve(), waiting: 0 };
    if (line.waiting >= waitingMax) throw new DatabaseUnavailable(`too many changes of ${key} wait for each other`);
    this.#tails.set(key, line);
    line.waiting++;
    const result = line.tail.then(work);
    // The next one does not care how this one ends.
    line.tail = result.catch(() => undefined);
    try {
      return await result;
    } finally {
      line.waiting--;
      if (line.waiting === 0) this.#tails.delete(key);
    }
  }
}
