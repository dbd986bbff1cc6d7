/**
 * One at a time per key. Work that would otherwise compete for the same row waits here, and takes no connection from
 * others meanwhile. What is urgent goes before everything else that waits. Only within this process: between processes
 * the database's lock keeps the order.
 */
import { Contended } from './database-errors.js';

/** More at once than this are not a person's; urgent work has as many places of its own. */
const waitingMax = 256;
/** A person waits for the answer. */
const waitMsDefault = 2_000;

interface Line {
  readonly urgent: Set<() => void>;
  readonly others: Set<() => void>;
}

export class KeyedQueue {
  readonly #lines = new Map<string, Line>();
  readonly #waitMs: number;

  constructor(waitMs = waitMsDefault) {
    this.#waitMs = waitMs;
  }

  /** @throws Contended when the work cannot begin in time */
  async run<T>(key: string, isUrgent: boolean, work: () => Promise<T>): Promise<T> {
    const line = this.#lines.get(key);
    if (line === undefined) this.#lines.set(key, { urgent: new Set(), others: new Set() });
    else await this.#wait(key, isUrgent ? line.urgent : line.others);
    try {
      return await work();
    } finally {
      this.#next(key);
    }
  }

  #wait(key: string, waiting: Set<() => void>): Promise<void> {
    if (waiting.size >= waitingMax) throw new Contended(`too many changes of ${key} wait`);
    return new Promise((resolve, reject) => {
      const begin = () => {
        clearTimeout(timer);
        waiting.delete(begin);
        resolve();
      };
      const timer = setTimeout(() => {
        waiting.delete(begin);
        reject(new Contended(`other changes of ${key} took ${this.#waitMs} ms`));
      }, this.#waitMs);
      waiting.add(begin);
    });
  }

  #next(key: string): void {
    const { urgent, others } = this.#lines.get(key)!;
    const [begin] = urgent.size > 0 ? urgent : others;
    if (begin === undefined) this.#lines.delete(key);
    else begin();
  }
}
