/**
 * Brings what a partition's memory misses: one flight per key, many keys per look, bounded in every direction. A card
 * is looked for in Redis first (where there is one), then in Postgres; everything else is in Postgres alone.
 *
 * A storm of unknown cards waits in a queue of its own, the last one. It delays neither evicted cards, which come back
 * from Redis, nor cards of Redis whose books are read from Postgres. Cards in memory never come here.
 *
 * A message rests here until more is settled when memory is full of unsettled rows, or when its rows were evicted
 * before it came. At its deadline it is refused as `overloaded`.
 */

import type { CachedCard } from '../../platform/cache/codec.js';
import { Reason } from '../core/reasons.js';
import { EntryFlag, EntryStatus } from '../exchange/slab.js';
import {
  absentFlag,
  type Lane,
  type Lookup,
  lookupsAtOnceMax,
  type Reentry,
  reasonAtDeadline,
} from '../ledger/lane.js';
import type { Waiter } from '../ledger/waiter.js';
import type { LookupReads } from './lookup-reads.js';

/** Keys per look: about 1 ms of Postgres, well inside the deadline. */
const keysPerLookMax = 128;
const accountsPerLookShareMax = 1 / 32;
/** Looks side by side: at Redis, whose bound is in milliseconds; at Postgres, where the connections bound them too. */
const redisLooksMax = 4;
const booksLooksMax = 2;
const postgresLooksMax = 3;
/** Messages waiting in one queue. Beyond it they are declined at once. */
const waitingMax = 8192;
/**
 * Of the requests that the front admits at a time: unknown cards may not fill the queue while Postgres stands still.
 */
const postgresShareMax = 0.5;
const booksShareMax = 0.25;
/** Lookups beyond this limit go straight to Postgres. */
const redisShareMax = 0.2;
/** A key that was not there is not asked for again within this time: short, because a new card must soon work. */
const negativeMs = 250;
const negativeKeysMax = 16_384;

/** Messages that rest. Beyond it they are declined at once: each is sent again and again. */
const restingMax = 512;
/** How long a message rests where nothing more is settled meanwhile: so much more each time, up to the second. */
const restMs = 20;
const restMsMax = 200;

type LookupLane = Pick<Lane, 'claim' | 'reenter'>;
type Reads = Pick<LookupReads, 'cards' | 'hasRedis' | 'look' | 'openingsOf' | 'others'>;

/** A message that found no room in memory. */
interface Resting {
  readonly lane: LookupLane;
  readonly partition: number;
  readonly lookup: Lookup;
  readonly again: Reentry;
  readonly sinceMs: number;
  /** What was settled when it began to rest. */
  readonly settled: number;
}

interface Flight {
  readonly lane: LookupLane;
  readonly partition: number;
  readonly lookup: Lookup;
  readonly waiting: Reentry[];
  readonly beganMs: number;
  queue: Queue;
  /** The card's profile, when Redis had it and what it spends from is missing. */
  known: CachedCard | null;
}

/** What answered a lookup: Redis alone, Redis and Postgres, or Postgres alone. */
export const lookupSources = ['redis', 'books', 'postgres'] as const;
export type LookupSource = (typeof lookupSources)[number];

/** Flights that wait for one source. */
class Queue {
  readonly source: LookupSource;
  readonly ids: string[] = [];
  readonly #looksMax: number;
  readonly #waitingMax: number;
  looks = 0;
  /** Messages that wait, of all flights here: those on their way, too. */
  waiting = 0;

  constructor(source: LookupSource, looksMax: number, waitingShareMax: number, maxInFlight: number) {
    this.source = source;
    this.#looksMax = looksMax;
    this.#waitingMax = Math.min(waitingMax, Math.max(1, Math.floor(maxInFlight * waitingShareMax)));
  }

  hasRoom(messages: number): boolean {
    return this.waiting + messages <= this.#waitingMax;
  }

  get isDue(): boolean {
    return this.ids.length > 0 && this.looks < this.#looksMax;
  }
}

export class Lookups {
  readonly #reads: Reads;
  readonly #nowMs: () => number;
  readonly #answered: (source: LookupSource, tookMs: number) => void;
  readonly #flights = new Map<string, Flight>();
  readonly #redis: Queue;
  /** For cards whose profile Redis had. */
  readonly #books: Queue;
  readonly #postgres: Queue;
  readonly #negative = new Map<string, number>();
  readonly #settledOf: (partition: number) => number;
  readonly #keysPerLookMax: number;
  #resting: Resting[] = [];
  /** Messages refused because memory had no room for what they need. For the metrics, and for the log. */
  roomRefusals = 0;
  /** Looks at Postgres that failed. For the metrics. */
  failures = 0;

  /**
   * @param accountsMax how many accounts a partition has room for: one look brings few of them, or they would drive
   *   each
   * other out
   * @param answered called with what answered a lookup, and how long that took with the wait before it; for the
   *   metrics
   * @param settledOf the newest record of a partition that Postgres has
   */
  constructor(
    reads: Reads,
    nowMs: () => number,
    maxInFlight: number,
    accountsMax: number,
    answered: (source: LookupSource, tookMs: number) => void,
    settledOf: (partition: number) => number,
  ) {
    this.#reads = reads;
    this.#nowMs = nowMs;
    this.#answered = answered;
    this.#settledOf = settledOf;
    this.#keysPerLookMax = Math.max(1, Math.min(keysPerLookMax, Math.floor(accountsMax * accountsPerLookShareMax)));
    this.#redis = new Queue('redis', redisLooksMax, redisShareMax, maxInFlight);
    this.#books = new Queue('books', booksLooksMax, booksShareMax, maxInFlight);
    this.#postgres = new Queue('postgres', postgresLooksMax, postgresShareMax, maxInFlight);
  }

  get waiting(): number {
    return this.#redis.waiting + this.#books.waiting + this.#postgres.waiting + this.#resting.length;
  }

  /** Messages that wait for room in memory. */
  get resting(): number {
    return this.#resting.length;
  }

  /** Looks up what `lookup` names and sends `again` in behind it. */
  lookUp(lane: LookupLane, partition: number, lookup: Lookup, again: Reentry): void {
    const lacked = again.waiter?.reentries ?? 0;
    if (lookup.status !== EntryStatus.noRoom && lacked <= lookupsAtOnceMax) {
      this.#lookUp(lane, partition, lookup, again);
    } else if (this.#resting.length < restingMax) {
      const settled = this.#settledOf(partition);
      if (again.waiter !== null) again.waiter.reentries = Math.max(lacked, lookupsAtOnceMax + 1);
      this.#resting.push({ lane, partition, lookup, again, sinceMs: this.#nowMs(), settled });
    } else this.#refuseRoom(again.waiter);
  }

  #refuseRoom(waiter: Waiter | null): void {
    if (waiter === null || waiter.isSettled) return;
    this.roomRefusals++;
    waiter.refuse(Reason.overloaded);
  }

  /** Sends those on that may find room now. */
  #rouse(nowMs: number, deadlineMs: number): void {
    if (this.#resting.length === 0) return;
    const resting = this.#resting;
    this.#resting = [];
    for (const one of resting) {
      const { lane, partition, lookup, again, sinceMs, settled } = one;
      if (again.waiter?.isSettled === true) continue;
      if (again.arrivalMs + deadlineMs <= nowMs) this.#refuseRoom(again.waiter);
      else if (nowMs - sinceMs < restOf(again.waiter) && this.#settledOf(partition) === settled)
        this.#resting.push(one);
      else if (lookup.status === EntryStatus.noRoom) lane.reenter(again);
      else this.#lookUp(lane, partition, lookup, again);
    }
  }

  #lookUp(lane: LookupLane, partition: number, lookup: Lookup, again: Reentry): void {
    // Of its newest worker: what the one before it decided may have been settled since, and is in no memory any more.
    const id = `${partition}:${this.#reads.openingsOf(partition)}:${lookup.status}:${lookup.key}`;
    const absentUntilMs = this.#negative.get(id);
    if (absentUntilMs !== undefined && absentUntilMs > this.#nowMs()) {
      again.flags |= absentFlag(lookup.status);
      lane.reenter(again);
      return;
    }
    const flight = this.#flights.get(id);
    // A card whose profile was brought and that is lacked again: its books have left memory, and Redis does not have
    // them.
    const isNew = (again.waiter?.reentries ?? 0) <= 1;
    const asksRedis =
      lookup.status === EntryStatus.lookupCard && isNew && this.#reads.hasRedis && this.#redis.hasRoom(1);
    const queue = flight?.queue ?? (asksRedis ? this.#redis : this.#postgres);
    if (!queue.hasRoom(1)) {
      again.waiter?.refuse(Reason.overloaded);
      return;
    }
    queue.waiting++;
    if (flight !== undefined) {
      flight.waiting.push(again);
      return;
    }
    this.#flights.set(id, { lane, partition, lookup, waiting: [again], beganMs: this.#nowMs(), queue, known: null });
    queue.ids.push(id);
    this.#pump(queue);
  }

  /** Refuses what waits beyond its deadline; the lookup itself goes on and helps the next one. */
  expire(nowMs: number, deadlineMs: number): void {
    if (this.waiting === 0) return;
    this.#rouse(nowMs, deadlineMs);
    for (const { waiting } of this.#flights.values()) {
      for (const { waiter } of waiting) {
        if (waiter !== null && !waiter.isSettled && waiter.arrivalMs + deadlineMs <= nowMs) {
          if (reasonAtDeadline(waiter) === Reason.overloaded) this.#refuseRoom(waiter);
          else waiter.refuse(Reason.systemError);
        }
      }
    }
  }

  #pump(queue: Queue): void {
    while (queue.isDue) {
      // One look serves one kind of lookup of one lane: take those from the head on.
      const first = this.#flights.get(queue.ids[0]!)!;
      const ids: string[] = [];
      while (ids.length < this.#keysPerLookMax && queue.ids.length > 0) {
        const flight = this.#flights.get(queue.ids[0]!)!;
        if (flight.lane !== first.lane || flight.lookup.status !== first.lookup.status) break;
        ids.push(queue.ids.shift()!);
      }
      queue.looks++;
      const looking = queue === this.#redis ? this.#lookInRedis(first, ids) : this.#fetch(first, ids);
      void looking.finally(() => {
        queue.looks--;
        this.#pump(queue);
      });
    }
  }

  async #lookInRedis(first: Flight, ids: readonly string[]): Promise<void> {
    const { brought, foreign, known } = await this.#reads.look(first, this.#keysOf(ids));
    for (const id of ids) {
      const flight = this.#flights.get(id)!;
      const { key } = flight.lookup;
      if (brought.has(key) || foreign.has(key)) this.#land(id, true, foreign.has(key));
      else this.#goOn(id, flight, known.get(key) ?? null);
    }
    this.#pump(this.#books);
    this.#pump(this.#postgres);
  }

  /** Redis was not enough: Postgres is asked. Where too many wait for it already, these are refused. */
  #goOn(id: string, flight: Flight, known: CachedCard | null): void {
    const messages = flight.waiting.length;
    const queue = known === null ? this.#postgres : this.#books;
    if (!queue.hasRoom(messages)) {
      this.#refuse(id, Reason.overloaded);
      return;
    }
    flight.queue.waiting -= messages;
    flight.queue = queue;
    flight.known = known;
    queue.waiting += messages;
    queue.ids.push(id);
  }

  async #fetch(first: Flight, ids: readonly string[]): Promise<void> {
    const keys = this.#keysOf(ids);
    const { status } = first.lookup;
    try {
      const { found, foreign } = await (status === EntryStatus.lookupCard
        ? this.#reads.cards(first, keys, this.#knownOf(ids))
        : this.#reads.others(first, status, keys));
      for (const [index, id] of ids.entries()) {
        const key = keys[index]!;
        if (!found.has(key)) this.#rememberAbsent(id);
        this.#land(id, found.has(key), foreign.has(key));
      }
    } catch {
      // Postgres is away or slow: known cards go on; these are declined, and asked for again when they come again.
      this.failures++;
      for (const id of ids) this.#refuse(id, Reason.systemError);
    }
  }

  #keysOf(ids: readonly string[]): string[] {
    return ids.map((id) => this.#flights.get(id)!.lookup.key);
  }

  #knownOf(ids: readonly string[]): ReadonlyMap<string, CachedCard> {
    const known = new Map<string, CachedCard>();
    for (const id of ids) {
      const flight = this.#flights.get(id)!;
      if (flight.known !== null) known.set(flight.lookup.key, flight.known);
    }
    return known;
  }

  #land(id: string, isFound: boolean, isForeign: boolean): void {
    const { lane, lookup, waiting, beganMs, queue } = this.#take(id);
    this.#answered(queue.source, this.#nowMs() - beganMs);
    for (const again of waiting) {
      if (!isFound) again.flags |= absentFlag(lookup.status);
      else if (isForeign) again.flags |= EntryFlag.foreign;
      lane.reenter(again);
    }
  }

  #refuse(id: string, reason: Reason): void {
    for (const { waiter } of this.#take(id).waiting) {
      if (waiter !== null && !waiter.isSettled) waiter.refuse(reason);
    }
  }

  #take(id: string): Flight {
    const flight = this.#flights.get(id)!;
    this.#flights.delete(id);
    flight.queue.waiting -= flight.waiting.length;
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

function restOf(waiter: Waiter | null): number {
  return Math.min(restMsMax, restMs * Math.max(1, (waiter?.reentries ?? 0) - lookupsAtOnceMax));
}
