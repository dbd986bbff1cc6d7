/**
 * Brings what a partition's memory misses: one flight per key, many keys per query, bounded in every direction. A storm
 * of unknown cards waits in its own bounded queue and cannot hold up known ones, which never come here.
 */

import type { LoadMessage } from './core/load-message.js';
import { Reason } from './core/reasons.js';
import { EntryFlag, EntryKind, EntryStatus } from './core/slab.js';
import type { Database } from './database.js';
import type { LoadGuard } from './feed/load-guard.js';
import { absentFlag, type Lane, type Need, type Reentry } from './lane.js';

/** Keys per query: about 1 ms of Postgres, well inside the deadline. */
const keysPerQueryMax = 128;
/** Queries side by side; the database connections bound them too. */
const queriesMax = 3;
/** Messages waiting for a load, all together. Beyond it they are declined at once. */
const waitingMax = 8192;
/** Of the requests that the front admits at a time: strangers may not fill the house while Postgres stands still. */
const waitingShareMax = 0.5;
/** A load that changes overtake so often is given up: its messages are declined and asked again. */
const readsMax = 5;
/** A key that was not there is not asked for again within this time: short, because a new card must soon work. */
const negativeMs = 250;
const negativeKeysMax = 16_384;

interface Flight {
  readonly lane: Lane;
  readonly partition: number;
  readonly need: Need;
  readonly waiting: Reentry[];
}

interface Loaded {
  readonly message: LoadMessage;
  readonly found: { has(key: string): boolean };
  /** Keys that were found but belong to another partition; the message brings nothing of them. */
  readonly foreign: ReadonlySet<string>;
}
const nobody: ReadonlySet<string> = new Set();

export class Loader {
  readonly #database: Database;
  readonly #nowMs: () => number;
  readonly #partitionOf: (ownerKey: number) => number;
  readonly #guard: LoadGuard;
  readonly #waitingMax: number;
  readonly #flights = new Map<string, Flight>();
  readonly #queue: string[] = [];
  readonly #negative = new Map<string, number>();
  #queries = 0;
  #waiting = 0;
  /** For the metrics. */
  loads = 0;
  failures = 0;

  /** @param partitionOf the partition that owns an owner's accounts: no other may have them in memory */
  constructor(
    database: Database,
    nowMs: () => number,
    partitionOf: (ownerKey: number) => number,
    guard: LoadGuard,
    maxInFlight: number,
  ) {
    this.#database = database;
    this.#guard = guard;
    this.#waitingMax = Math.min(waitingMax, Math.max(1, Math.floor(maxInFlight * waitingShareMax)));
    this.#nowMs = nowMs;
    this.#partitionOf = partitionOf;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Loads what `need` names and sends `again` in behind it. */
  load(lane: Lane, partition: number, need: Need, again: Reentry): void {
    const id = `${partition}:${need.status}:${need.key}`;
    const absentUntilMs = this.#negative.get(id);
    if (absentUntilMs !== undefined && absentUntilMs > this.#nowMs()) {
      again.flags |= absentFlag(need.status);
      lane.reenter(again);
      return;
    }
    if (this.#waiting >= this.#waitingMax) {
      again.waiter?.refuse(Reason.overloaded);
      return;
    }
    this.#waiting++;
    const flight = this.#flights.get(id);
    if (flight !== undefined) {
      flight.waiting.push(again);
      return;
    }
    this.#flights.set(id, { lane, partition, need, waiting: [again] });
    this.#queue.push(id);
    this.#pump();
  }

  /** Refuses what waits beyond its deadline; the load itself goes on and helps the next one. */
  expire(nowMs: number, deadlineMs: number): void {
    if (this.#waiting === 0) return;
    for (const { waiting } of this.#flights.values()) {
      for (const { waiter } of waiting) {
        if (waiter !== null && !waiter.isSettled && waiter.arrivalMs + deadlineMs <= nowMs) {
          waiter.refuse(Reason.systemError);
        }
      }
    }
  }

  #pump(): void {
    while (this.#queries < queriesMax && this.#queue.length > 0) {
      // One query serves one kind of need of one lane: take those from the head on.
      const first = this.#flights.get(this.#queue[0]!)!;
      const ids: string[] = [];
      while (ids.length < keysPerQueryMax && this.#queue.length > 0) {
        const flight = this.#flights.get(this.#queue[0]!)!;
        if (flight.lane !== first.lane || flight.need.status !== first.need.status) break;
        ids.push(this.#queue.shift()!);
      }
      this.#queries++;
      void this.#fetch(first, ids).finally(() => {
        this.#queries--;
        this.#pump();
      });
    }
  }

  async #fetch(first: Flight, ids: readonly string[]): Promise<void> {
    this.loads++;
    const keys = ids.map((id) => this.#flights.get(id)!.need.key);
    try {
      const { found, foreign } = await this.#bring(first, keys);
      for (const id of ids) this.#land(id, found, foreign);
    } catch {
      // Postgres is away or slow: known cards go on; these are declined, and asked for again when they come again.
      this.failures++;
      for (const id of ids) this.#refuse(id);
    }
  }

  /** Reads, again where changes came by meanwhile, and sends what was found on its way. */
  async #bring(flight: Pick<Flight, 'lane' | 'partition' | 'need'>, keys: readonly string[]): Promise<Loaded> {
    for (let read = 1; ; read++) {
      const load = this.#guard.begin();
      try {
        const loaded = await this.#query(flight, keys);
        if (this.#guard.isStale(load, loaded.message)) {
          if (read === readsMax) throw new Error('changes overtake the load');
          continue;
        }
        // Here and not later: a change that comes from now on must find it in the lane.
        this.#deliver(flight.lane, loaded.message);
        return loaded;
      } finally {
        this.#guard.end(load);
      }
    }
  }

  /** Brings cards before anybody asks for them. Throws when the database does not answer. */
  async warm(lane: Lane, partition: number, tokens: readonly string[]): Promise<void> {
    await this.#bring({ lane, partition, need: { status: EntryStatus.needCard, key: '' } }, tokens);
  }

  async #query({ need, partition }: Pick<Flight, 'need' | 'partition'>, keys: readonly string[]): Promise<Loaded> {
    const database = this.#database;
    switch (need.status) {
      case EntryStatus.needCard:
      case EntryStatus.needAccount: {
        const isOurs = (ownerKey: number) => this.#partitionOf(ownerKey) === partition;
        const isCard = need.status === EntryStatus.needCard;
        const { message, owners } = await (isCard
          ? database.loadCards(keys, isOurs)
          : database.loadAccounts(keys, isOurs));
        const foreign = new Set([...owners].filter(([, ownerKey]) => !isOurs(ownerKey)).map(([key]) => key));
        return { message, found: owners, foreign };
      }
      case EntryStatus.needSeen:
        return { ...(await database.loadRecords(keys)), foreign: nobody };
      default:
        return { ...(await database.loadChains(keys)), foreign: nobody };
    }
  }

  #deliver(lane: Lane, message: LoadMessage): void {
    // A lane without room refuses the messages behind it too, so nothing is decided without what was loaded.
    lane.claim(EntryKind.load, 0, this.#nowMs(), Buffer.from(JSON.stringify(message)), null);
  }

  #land(id: string, found: Loaded['found'], foreign: ReadonlySet<string>): void {
    const { lane, need, waiting } = this.#take(id);
    const isAbsent = !found.has(need.key);
    if (isAbsent) this.#rememberAbsent(id);
    for (const again of waiting) {
      if (isAbsent) again.flags |= absentFlag(need.status);
      else if (foreign.has(need.key)) again.flags |= EntryFlag.foreign;
      lane.reenter(again);
    }
  }

  #refuse(id: string): void {
    for (const { waiter } of this.#take(id).waiting) {
      if (waiter !== null && !waiter.isSettled) waiter.refuse(Reason.systemError);
    }
  }

  #take(id: string): Flight {
    const flight = this.#flights.get(id)!;
    this.#flights.delete(id);
    this.#waiting -= flight.waiting.length;
    return flight;
  }

  #rememberAbsent(id: string): void {
    if (this.#negative.size >= negativeKeysMax) {
      // Map keeps insertion order: the first is the oldest.
      this.#negative.delete(this.#negative.keys().next().value!);
    }
    this.#negative.set(id, this.#nowMs() + negativeMs);
  }
}
