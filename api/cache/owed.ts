/**
 * What Redis still has to forget. Changes come in floods (ten thousand in one message from Postgres), and Redis comes
 * and goes. Each name waits once, few are on their way at a time, and a failed one is tried again.
 */

/** About 20 MB of names. */
const namesMaxDefault = 100_000;
/** On their way at once: Redis is busy, and no question waits behind more than these. */
const flyingMax = 64;
/** After a failure: Redis is away, or slow. */
const retryMsDefault = 250;

export class Owed {
  readonly #deliver: (name: string) => Promise<boolean>;
  readonly #overflow: () => void;
  readonly #namesMax: number;
  readonly #retryMs: number;
  readonly #names = new Set<string>();
  readonly #flying = new Set<string>();
  #retry: NodeJS.Timeout | undefined;

  /**
   * @param deliver sends it to Redis; false when that failed
   * @param overflow called when there were too many: they have all been dropped
   */
  constructor(
    deliver: (name: string) => Promise<boolean>,
    overflow: () => void,
    namesMax = namesMaxDefault,
    retryMs = retryMsDefault,
  ) {
    this.#deliver = deliver;
    this.#overflow = overflow;
    this.#namesMax = namesMax;
    this.#retryMs = retryMs;
  }

  get size(): number {
    return this.#names.size + this.#flying.size;
  }

  /** Redis may have what it must not have of this name. */
  has(name: string): boolean {
    return this.#names.has(name) || this.#flying.has(name);
  }

  add(name: string): void {
    if (this.#names.size >= this.#namesMax) {
      this.#names.clear();
      this.#overflow();
      return;
    }
    // Also one that is on its way: Redis may have got it before this change.
    this.#names.add(name);
    this.#send();
  }

  stop(): void {
    clearTimeout(this.#retry);
    this.#names.clear();
  }

  #send(): void {
    if (this.#retry !== undefined) return;
    for (const name of this.#names) {
      if (this.#flying.size >= flyingMax) return;
      if (this.#flying.has(name)) continue;
      this.#names.delete(name);
      this.#flying.add(name);
      void this.#deliver(name).then((isSent) => this.#sent(name, isSent));
    }
  }

  #sent(name: string, isSent: boolean): void {
    this.#flying.delete(name);
    if (!isSent) {
      this.#names.add(name);
      this.#retry ??= setTimeout(() => {
        this.#retry = undefined;
        this.#send();
      }, this.#retryMs).unref();
    }
    this.#send();
  }
}
