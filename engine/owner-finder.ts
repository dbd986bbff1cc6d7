/**
 * Finds out whose card (or account) it is, for the front of several partitions: it must know the account's owner before it
 * can choose the partition. One flight per key, many keys per query, bounded, and under the deadline: a database that hangs keeps
 * nobody waiting, and strangers do not fill the house.
 */
import { Reason } from './core/reasons.js';
import type { Waiter } from './lane.js';

/** About 1 ms of Postgres each; two side by side leave connections to the partitions' own loads. */
const keysPerQueryMax = 128;
const queriesMax = 2;
/** Messages that wait for an owner, all together. Beyond it they are declined at once. */
const waitingMax = 4096;

interface Waiting {
  readonly waiter: Waiter;
  /** @param ownerKey undefined: there is no such card or account */
  readonly found: (ownerKey: number | undefined) => void;
}

export class OwnerFinder {
  readonly #owners: (keys: readonly string[]) => Promise<ReadonlyMap<string, number>>;
  readonly #flights = new Map<string, Waiting[]>();
  readonly #queue: string[] = [];
  #queries = 0;
  #waiting = 0;

  /** @param owners looks up owner keys; an unknown key is left out */
  constructor(owners: (keys: readonly string[]) => Promise<ReadonlyMap<string, number>>) {
    this.#owners = owners;
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
    let owners: ReadonlyMap<string, number> | null = null;
    try {
      owners = await this.#owners(keys);
    } catch {
      // Postgres is away or slow: known cards go on; these are declined, and asked for again when they come again.
    }
    for (const key of keys) {
      const flight = this.#flights.get(key)!;
      this.#flights.delete(key);
      this.#waiting -= flight.length;
      for (const { waiter, found } of flight) {
        if (waiter.isSettled) continue;
        if (owners === null) waiter.refuse(Reason.systemError);
        else found(owners.get(key));
      }
    }
  }
}
