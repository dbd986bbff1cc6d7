/**
 * Finds out whose card it is, for the front of several partitions: it must know the account's owner before it can choose
 * the partition. One flight per card, many cards per query, bounded, and under the deadline: a database that hangs keeps
 * nobody waiting, and strangers do not fill the house.
 */
import { Reason } from './core/reasons.js';
import type { Database } from './database.js';
import type { Waiter } from './lane.js';

/** About 1 ms of Postgres each; two side by side leave connections to the partitions' own loads. */
const cardsPerQueryMax = 128;
const queriesMax = 2;
/** Messages that wait for an owner, all together. Beyond it they are declined at once. */
const waitingMax = 4096;

interface Waiting {
  readonly waiter: Waiter;
  /** @param ownerKey undefined: there is no such card */
  readonly found: (ownerKey: number | undefined) => void;
}

export class OwnerFinder {
  readonly #database: Database;
  readonly #flights = new Map<string, Waiting[]>();
  readonly #queue: string[] = [];
  #queries = 0;
  #waiting = 0;

  constructor(database: Database) {
    this.#database = database;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Calls `found` with the card's owner unless the waiter has been answered meanwhile. */
  find(token: string, waiter: Waiter, found: (ownerKey: number | undefined) => void): void {
    if (this.#waiting >= waitingMax) {
      waiter.refuse(Reason.overloaded);
      return;
    }
    this.#waiting++;
    const flight = this.#flights.get(token);
    if (flight !== undefined) {
      flight.push({ waiter, found });
      return;
    }
    this.#flights.set(token, [{ waiter, found }]);
    this.#queue.push(token);
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
      const tokens = this.#queue.splice(0, cardsPerQueryMax);
      this.#queries++;
      void this.#fetch(tokens).finally(() => {
        this.#queries--;
        this.#pump();
      });
    }
  }

  async #fetch(tokens: readonly string[]): Promise<void> {
    let owners: ReadonlyMap<string, number> | null = null;
    try {
      ({ owners } = await this.#database.loadCards(tokens));
    } catch {
      // Postgres is away or slow: known cards go on; these are declined, and asked for again when they come again.
    }
    for (const token of tokens) {
      const flight = this.#flights.get(token)!;
      this.#flights.delete(token);
      this.#waiting -= flight.length;
      for (const { waiter, found } of flight) {
        if (waiter.isSettled) continue;
        if (owners === null) waiter.refuse(Reason.systemError);
        else found(owners.get(token));
      }
    }
  }
}
