/**
 * Reads what a partition misses and sends it on its way into the lane. A card's profile may come from Redis. Its books
 * and windows are owned state and come from Postgres, mostly once in the life of a partition's worker. So a card that
 * was only evicted comes back from Redis alone. Where its books have left memory too, the partition misses it again,
 * and the next lookup goes to Postgres. Every reading of owned state says up to where it is settled: memory may have
 * had more of it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { CachedCard } from '../../platform/cache/codec.js';
import { statusNamed } from '../core/accounts.js';
import { cardTypeNamed } from '../core/card-types.js';
import type { CardPayload } from '../core/feed.js';
import { NumberSet } from '../core/number-set.js';
import type { CardRow, PartitionRows } from '../core/partition-rows.js';
import { faultOf } from '../core/profile-shape.js';
import { type PackedRows, packRows } from '../exchange/lane-rows.js';
import { EntryKind, EntryStatus, keySeparator } from '../exchange/slab.js';
import type { LookupGuard } from '../feed/lookup-guard.js';
import type { Lane, Lookup } from '../ledger/lane.js';
import type { Database } from './database.js';
import type { KeysRead } from './database-transactions.js';
import type { RedisCards } from './redis-cards.js';
import type { SetApart } from './set-apart.js';

/** A lookup that changes overtake so often is given up: its messages are declined and asked again. */
const readsMax = 5;
/** Cards per read of Postgres, and the bytes above which the next read asks for fewer: some 10 ms of this thread. */
const cardsPerReadMax = 128;
const cardsPerReadMin = 4;
const readBytesMax = 1024 * 1024;
/** What a slab has no room for beside the first stretch of a lookup waits for the next slab, for a second at most. */
const roomLookMs = 1;
const roomLooksMax = 1000;

/** The part of the database that lookups read. */
export type LookupDatabase = Pick<
  Database,
  'readAccounts' | 'readBooks' | 'readCards' | 'readRecords' | 'readTransactions'
>;

/** Where something is brought to. */
export interface Target {
  readonly lane: Pick<Lane, 'claim'>;
  readonly partition: number;
}

export interface LookedUp {
  readonly message: PartitionRows;
  readonly found: ReadonlySet<string>;
  /** Keys that were found but belong to another partition; the message brings nothing of them. */
  readonly foreign: ReadonlySet<string>;
}

export interface RedisLook {
  /** On their way into the lane. */
  readonly brought: ReadonlySet<string>;
  readonly foreign: ReadonlySet<string>;
  /** Their profiles are known; what they spend from is not in memory. */
  readonly known: ReadonlyMap<string, CachedCard>;
}

/** Cards whose windows, whose user's and whose account's books and windows a partition has been brought. */
interface Brought {
  readonly cards: NumberSet;
  readonly users: NumberSet;
  readonly accounts: NumberSet;
}

/** How far rows are on their way. */
interface Sent {
  readonly cards: number;
  readonly isComplete: boolean;
  /** A change, or a new worker, came while rows waited for room: what is left must be read again. */
  readonly isOvertaken: boolean;
}

const noOwners: ReadonlySet<string> = new Set();

export class LookupReads {
  readonly #database: LookupDatabase;
  readonly #redis: RedisCards | null;
  readonly #nowMs: () => number;
  readonly #partitionOf: (ownerKey: number) => number;
  readonly #guard: LookupGuard;
  readonly #learn: (tokens: readonly string[], partition: number) => void;
  readonly #read: (rows: PartitionRows) => void;
  readonly #setApart: Pick<SetApart, 'soundRows'>;
  #cardsPerRead = cardsPerReadMax;
  readonly #brought = new Map<number, Brought>();
  /** How often each partition has opened. */
  readonly #openings = new Map<number, number>();

  /**
   * @param redis null: there is no Redis
   * @param partitionOf the partition that owns an owner's accounts: no other may have them in memory
   * @param learn called with the tokens of cards that a partition is brought: the router must find it by them
   * @param read called with rows from Postgres at a moment when no change has overtaken them
   */
  constructor(
    database: LookupDatabase,
    redis: RedisCards | null,
    nowMs: () => number,
    partitionOf: (ownerKey: number) => number,
    guard: LookupGuard,
    setApart: Pick<SetApart, 'soundRows'>,
    learn: (tokens: readonly string[], partition: number) => void = () => undefined,
    read: (rows: PartitionRows) => void = () => undefined,
  ) {
    this.#read = read;
    this.#setApart = setApart;
    this.#database = database;
    this.#redis = redis;
    this.#nowMs = nowMs;
    this.#partitionOf = partitionOf;
    this.#guard = guard;
    this.#learn = learn;
  }

  /** Whether look() may find something. */
  get hasRedis(): boolean {
    return this.#redis?.isUp === true;
  }

  /** A partition begins with a new worker, and a memory of its own. */
  opened(partition: number): void {
    this.#brought.delete(partition);
    this.#openings.set(partition, this.openingsOf(partition) + 1);
  }

  /**
   * How often a partition has begun: what was found out before its newest beginning says nothing about its memory now.
   */
  openingsOf(partition: number): number {
    return this.#openings.get(partition) ?? 0;
  }

  /** Looks for cards in Redis, and brings those that need nothing else. Never rejects. */
  async look(target: Target, tokens: readonly string[]): Promise<RedisLook> {
    const { partition } = target;
    const redis = this.#redis!;
    const found = await redis.look(tokens);
    const brought = new Set<string>();
    const foreign = new Set<string>();
    const known = new Map<string, CachedCard>();
    const evicted: CachedCard[] = [];
    for (const [token, cached] of found) {
      if (!redis.isCurrent(cached)) continue;
      if (this.#partitionOf(cached.card.ownerKey) !== partition) foreign.add(token);
      else if (this.#hasBooks(partition, cached.card)) evicted.push(cached);
      else known.set(token, cached);
    }
    const openings = this.openingsOf(partition);
    const areCurrent = () =>
      openings === this.openingsOf(partition) && evicted.every((cached) => redis.isCurrent(cached));
    const packed = evicted.length === 0 ? [] : packRows({ cards: evicted.map(({ card }) => rowOf(card)) });
    // Those that found no room, or were overtaken while they waited for it, are read from Postgres.
    const { cards } = await this.#send(target, packed, areCurrent);
    const sent = tokensOf(evicted.slice(0, cards).map(({ card }) => card));
    for (const token of sent) brought.add(token);
    this.#learn(sent, partition);
    return { brought, foreign, known };
  }

  /** Owner keys of cards, as far as Redis has them. Never rejects. */
  async lookForOwners(tokens: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const redis = this.#redis;
    if (redis === null) return new Map();
    const found = [...(await redis.look(tokens))].filter(([, cached]) => redis.isCurrent(cached));
    return new Map(found.map(([token, { card }]) => [token, card.ownerKey]));
  }

  /** Brings cards from Postgres; of those whose profile is `known`, only what they spend from. */
  async cards(target: Target, tokens: readonly string[], known: ReadonlyMap<string, CachedCard>): Promise<LookedUp> {
    const found = new Set<string>();
    const foreign = new Set<string>();
    for (let start = 0; start < tokens.length; ) {
      const part = tokens.slice(start, start + this.#cardsPerRead);
      start += part.length;
      const read = await this.#cardsAtOnce(
        target,
        part,
        new Map(part.flatMap((token) => (known.has(token) ? [[token, known.get(token)!]] : []))),
      );
      for (const token of read.found) found.add(token);
      for (const token of read.foreign) foreign.add(token);
    }
    return { message: {}, found, foreign };
  }

  async #cardsAtOnce(
    target: Target,
    tokens: readonly string[],
    known: ReadonlyMap<string, CachedCard>,
  ): Promise<LookedUp> {
    const [books, rest] = await Promise.all([
      this.#broughtBooks(target, [...known.values()]),
      this.#broughtCards(
        target,
        tokens.filter((token) => !known.has(token)),
      ),
    ]);
    const overtaken = [...known.keys()].filter((token) => !books.has(token));
    const readAgain = await this.#broughtCards(target, overtaken);
    const found = new Set([...books, ...rest.found, ...readAgain.found]);
    return { message: {}, found, foreign: new Set([...rest.foreign, ...readAgain.foreign]) };
  }

  /** Brings what is no card from Postgres. */
  async others(target: Target, status: Lookup['status'], keys: readonly string[]): Promise<LookedUp> {
    return this.#bring(target, () => this.#query(target, status, keys));
  }

  /** Brings cards before the first message about them. Throws when the database does not answer. */
  async warm(target: Target, tokens: readonly string[]): Promise<void> {
    const redis = this.#redis;
    const found = redis === null ? [] : [...(await redis.look(tokens))];
    const isOurs = ({ card }: CachedCard) => this.#partitionOf(card.ownerKey) === target.partition;
    await this.cards(target, tokens, new Map(found.filter(([, cached]) => isOurs(cached) && redis!.isCurrent(cached))));
  }

  /** @returns tokens of the cards that are on their way; the others were overtaken by a change, or have moved */
  async #broughtBooks(target: Target, known: readonly CachedCard[]): Promise<ReadonlySet<string>> {
    if (known.length === 0) return noOwners;
    const found = new Set<string>();
    await this.#bring(target, async () => {
      const { message, owners } = await this.#database.readBooks(
        known.map(({ card }) => card),
        target.partition,
      );
      found.clear();
      // Postgres' word counts: no other partition may ever have these accounts.
      const isOurs = (accountNumber: number) => {
        const ownerKey = owners.get(accountNumber);
        return ownerKey !== undefined && this.#partitionOf(ownerKey) === target.partition;
      };
      const current = known.filter((cached) => isOurs(cached.card.accountNumber) && this.#redis!.isCurrent(cached));
      for (const { card } of current) found.add(card.token);
      return {
        message: {
          ...message,
          accounts: (message.accounts ?? []).filter(({ number }) => isOurs(number)),
          cards: current.map(({ card }) => rowOf(card)),
        },
        found,
        foreign: noOwners,
      };
    });
    return found;
  }

  async #broughtCards(target: Target, tokens: readonly string[]): Promise<LookedUp> {
    if (tokens.length === 0) return { message: {}, found: noOwners, foreign: noOwners };
    return this.#bring(target, async () => {
      const isOurs = (ownerKey: number) => this.#partitionOf(ownerKey) === target.partition;
      const { message, owners, profiles, asOf } = await this.#database.readCards(tokens, isOurs, target.partition);
      const sound = profiles.filter((card) => faultOf('card', card) === '');
      this.#redis?.keep(sound, asOf);
      return { message, found: new Set(owners.keys()), foreign: foreignOf(owners, isOurs) };
    });
  }

  async #query({ partition }: Target, status: Lookup['status'], keys: readonly string[]): Promise<LookedUp> {
    const database = this.#database;
    switch (status) {
      case EntryStatus.lookupAccount: {
        const isOurs = (ownerKey: number) => this.#partitionOf(ownerKey) === partition;
        const { message, owners } = await database.readAccounts(keys, isOurs, partition);
        return { message, found: new Set(owners.keys()), foreign: foreignOf(owners, isOurs) };
      }
      case EntryStatus.lookupSeen:
        return readForms(keys, (forms) => database.readRecords(partition, forms));
      default:
        return readForms(keys, (forms) => database.readTransactions(partition, forms));
    }
  }

  /**
   * Reads, again where changes came by or the partition opened again meanwhile, and sends what was found on its way.
   */
  async #bring(target: Target, query: () => Promise<LookedUp>): Promise<LookedUp> {
    const { partition } = target;
    for (let reads = 1; ; reads++) {
      const lookup = this.#guard.begin();
      const openings = this.openingsOf(partition);
      try {
        const read = await query();
        const sound = { ...read, message: this.#setApart.soundRows(read.message) };
        // The last decisions of a replaced worker may have settled after our read, and its successor has no newer row
        // in memory.
        const isCurrent = () => openings === this.openingsOf(partition) && !this.#guard.isStale(lookup, sound.message);
        // Sent here and not later: a change that comes from now on must find it in the lane.
        const packed = isCurrent() ? packRows(sound.message) : null;
        if (packed !== null) {
          this.#read(sound.message);
          this.#pace(packed);
        }
        const sent = packed === null ? null : await this.#send(target, packed, isCurrent);
        if (packed === null || sent?.isOvertaken !== false) {
          if (reads === readsMax) throw new Error('changes overtake the lookup');
          continue;
        }
        if (sent.isComplete) {
          this.#remember(partition, sound.message);
          this.#learn(tokensOf(sound.message.cards ?? []), partition);
        }
        return sound;
      } finally {
        this.#guard.end(lookup);
      }
    }
  }

  /**
   * Long profiles are read a few at a time: what is read takes this thread's time, and every other message waits for
   * it.
   */
  #pace(packed: readonly PackedRows[]): void {
    const bytes = packed.reduce((sum, part) => sum + part.bytes.length, 0);
    if (bytes > readBytesMax) {
      this.#cardsPerRead = Math.max(cardsPerReadMin, Math.floor((this.#cardsPerRead * readBytesMax) / bytes));
    } else if (bytes < readBytesMax / 4) this.#cardsPerRead = Math.min(cardsPerReadMax, this.#cardsPerRead * 2);
  }

  /**
   * Sends rows on their way. A lane without room for the first of them refuses the messages behind them too, so no
   * message is decided without its rows. Later ones wait for room, as long as `isCurrent` permits it.
   */
  async #send({ lane }: Target, packed: readonly PackedRows[], isCurrent: () => boolean): Promise<Sent> {
    let cards = 0;
    for (const [index, { bytes, count }] of packed.entries()) {
      for (let looks = 1; !lane.claim(EntryKind.rows, 0, this.#nowMs(), bytes, null); looks++) {
        if (index === 0 || looks > roomLooksMax) return { cards, isComplete: false, isOvertaken: false };
        await delay(roomLookMs);
        if (!isCurrent()) return { cards, isComplete: false, isOvertaken: true };
      }
      cards += count;
    }
    return { cards, isComplete: true, isOvertaken: false };
  }

  #remember(partition: number, { cards }: PartitionRows): void {
    if (this.#redis === null || cards === undefined) return;
    let brought = this.#brought.get(partition);
    if (brought === undefined) {
      brought = { cards: new NumberSet(), users: new NumberSet(), accounts: new NumberSet() };
      this.#brought.set(partition, brought);
    }
    for (const card of cards) {
      brought.cards.add(card.number);
      brought.users.add(card.userNumber);
      brought.accounts.add(card.accountNumber);
    }
  }

  #hasBooks(partition: number, card: CardPayload): boolean {
    const brought = this.#brought.get(partition);
    if (brought === undefined) return false;
    const { cards, users, accounts } = brought;
    return cards.has(card.number) && users.has(card.userNumber) && accounts.has(card.accountNumber);
  }
}

/** Reads by keys that may name their id in several forms: a key is found where one of its forms is. */
async function readForms(
  keys: readonly string[],
  read: (forms: readonly string[]) => Promise<KeysRead>,
): Promise<LookedUp> {
  const formsOf = (key: string) => key.split(keySeparator);
  const { message, found } = await read(keys.flatMap(formsOf));
  const isFound = (key: string) => formsOf(key).some((form) => found.has(form));
  return { message, found: new Set(keys.filter(isFound)), foreign: noOwners };
}

function foreignOf(owners: ReadonlyMap<string, number>, isOurs: (ownerKey: number) => boolean): ReadonlySet<string> {
  return new Set([...owners].filter(([, ownerKey]) => !isOurs(ownerKey)).map(([key]) => key));
}

function tokensOf(cards: readonly { readonly token: string }[]): string[] {
  return cards.map(({ token }) => token);
}

function rowOf({ ownerKey: _, ...card }: CardPayload): CardRow {
  return { ...card, status: statusNamed(card.status), type: cardTypeNamed(card.type) };
}
