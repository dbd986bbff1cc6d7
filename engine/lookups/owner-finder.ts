/**
 * Finds the owner of a card or account, for the front of several partitions. The owner determines the partition. Each
 * key has one lookup under way, and each query many keys. All are bounded and under the deadline, so a database that
 * hangs keeps no message waiting, and unknown cards do not fill the queue.
 */
import { Reason } from '../core/reasons.js';
import type { Waiter } from '../ledger/waiter.js';

/** About 1 ms of Postgres each; two side by side leave connections to the partitions' own lookups. */
const keysPerQueryMax = 128;
const queriesMax = 2;
/** Messages that wait for an owner, all together. Beyond it they are declined at once. */
const waitingMax = 4096;

/** Looks up owner keys; an unknown key is left out. */
type Owners = (keys: readonly string[]) => Promise<ReadonlyMap<string, number>>;

interface Waiting {
  readonly waiter: Waiter;
  /** @param ownerKey undefined: there is no such card or account */
  readonly found: (ownerKey: number | undefined) => void;
}

export class OwnerFinder {
  readonly #owners: Owners;
  readonly #cached: Owners | null;
  readonly #flights = new Map<string, Waiting[]>();
  readonly #queue: string[] = [];
  #queries = 0;
  #waiting = 0;

  /** @param cached asked first: what it leaves out may exist all the same. Never rejects */
  constructor(owners: Owners, cached: Owners | null = null) {
    this.#owners = owners;
    this.#cached = cached;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Calls `found` with the owner of the card or account unless the waiter has been answered meanwhile. */
  find(key: string, waiter: Waiter, found: (ownerKey: number | undefined) => void): void {
    if (this.#waiting >= waitingMax) {
      waiter.refuse(Reason.overloaded);
      return;
    }
    this.#waiting++;
    const flight = this.#flights.get(key);
    if (flight !== undefined) {
      flight.push({ waiter, found });
      return;
    }
    this.#flights.set(key, [{ waiter, found }]);
    this.#queue.push(key);
    this.#pump();
  }

  /** Refuses what waits beyond its deadline. Called by one coarse timer. */
  expire(nowMs: number, deadlineMs: number): void {
    if (this.#waiting === 0) return;
    for (const flight of this.#flights.values()) {
      for (const { waiter } of flight) {
        if (!waiter.isSettled && waiter.arrivalMs + deadlineMs <= nowMs) waiter.refuse(Reason.systemError);
      }
    }
  }

  #pump(): void {
    while (this.#queries < queriesMax && this.#queue.length > 0) {
      const keys = this.#queue.splice(0, keysPerQueryMax);
      this.#queries++;
      void this.#fetch(keys).finally(() => {
        this.#queries--;
        this.#pump();
      });
    }
  }

  async #fetch(keys: readonly string[]): Promise<void> {
    const cached = this.#cached === null ? new Map<string, number>() : await this.#cached(keys);
    for (const [key, ownerKey] of cached) this.#land(key, ownerKey);
    const rest = keys.filter((key) => !cached.has(key));
    if (rest.length === 0) return;
    let owners: ReadonlyMap<string, number> | null = null;
    try {
      owners = await this.#owners(rest);
    } catch {
      // Postgres is away or slow: known cards go on; these are declined, and asked for again when they come again.
    }
    for (const key of rest) this.#land(key, owners === null ? null : owners.get(key));
  }

  /** @param ownerKey undefined: there is none; null: the database did not answer */
  #land(key: string, ownerKey: number | undefined | null): void {
    const flight = this.#flights.get(key)!;
    this.#flights.delete(key);
    this.#waiting -= flight.length;
    for (const { waiter, found } of flight) {
      if (waiter.isSettled) continue;
      if (ownerKey === null) waiter.refuse(Reason.systemError);
      else found(ownerKey);
    }
  }
}
