/**
 * Which partition a message belongs to. With one partition: that one. With several, the account's partition decides. To
 * find it the front reads the id and the card token, or the account of a ledger command. An unknown one is looked up
 * first.
 *
 * An id is remembered with its partition, as long as that partition itself remembers it. So the same id with a card of
 * another partition meets its first answer there and is a conflict. After a restart the directory is filled before the
 * first message is taken (PartitionHost.idsKnown). With several engines, each reports
 * the ids that it sees first to the others.
 */
import { Protocol } from '../core/codes.js';
import { hash64, hashHigh, hashLow } from '../core/hash.js';
import { Request, type TextSlice } from '../core/request.js';
import type { Codec } from '../protocols/codec.js';
import { IdDirectory } from './id-directory.js';
import { OwnerDirectory } from './owner-directory.js';

/** Most cards that the front knows the partition of: 1 GB when full. */
const cardsMax = 2 ** 26;
/** Most ids of all partitions together. */
const idsMax = 2 ** 28;
/** Accounts that ledger commands named, per partition: as many as a partition finds by their public id. */
const accountsMax = 65_536;

export interface RouterOptions {
  readonly partitionCount: number;
  /** How many ids a partition remembers. */
  readonly idsPerPartition: number;
  /** How many cards a partition has room for: the front knows all of them. */
  readonly cardsPerPartition: number;
  /** Also with one partition: a stand-in is for ids that were never asked before. */
  readonly alwaysRemembersIds: boolean;
  /** The partition whose reader says what is wrong with a message that cannot be read. */
  readerPartition(): number;
  /** An id with that hash was seen for the first time. */
  learned?(low: number, high: number, partition: number): void;
}

export class Router {
  readonly #options: RouterOptions;
  readonly #partitionCount: number;
  readonly #request = new Request();
  readonly #cards: OwnerDirectory;
  readonly #accounts: OwnerDirectory;
  readonly #ids: IdDirectory;
  readonly #remembersIds: boolean;
  /** The id of the message that route() has read was never asked before. */
  isNewId = false;

  constructor(options: RouterOptions) {
    this.#options = options;
    const { partitionCount, idsPerPartition, cardsPerPartition } = options;
    this.#partitionCount = partitionCount;
    const isAlone = partitionCount === 1;
    this.#remembersIds = !isAlone || options.alwaysRemembersIds;
    this.#ids = new IdDirectory(
      partitionCount,
      !this.#remembersIds ? 1 : Math.min(idsPerPartition, Math.floor(idsMax / partitionCount)),
    );
    this.#cards = new OwnerDirectory(isAlone ? 1 : Math.min(cardsMax, partitionCount * cardsPerPartition));
    this.#accounts = new OwnerDirectory(isAlone ? 1 : partitionCount * accountsMax);
  }

  /** These cards are on their way into the partition's memory: from now on it can be found without Postgres. */
  learnCards(tokens: Iterable<string>, partition: number): void {
    if (this.#partitionCount === 1) return;
    for (const token of tokens) this.#cards.learn(token, partition);
  }

  /** A journaled record of the partition has an id with that hash. @returns whether it was new */
  learnJournaledId(low: number, high: number, partition: number, sequence: number): boolean {
    return this.#ids.learnJournaled(low, high, partition, sequence);
  }

  /** Another engine has seen an id with that hash first. */
  learnPeerId(low: number, high: number, partition: number): void {
    if (!this.#remembersIds || this.#ids.find(low, high) >= 0) return;
    this.#ids.learn(low, high, partition);
  }

  /** The partition where the id was asked before, or −1. */
  partitionOfId(id: Uint8Array): number {
    if (this.#partitionCount === 1) return 0;
    hash64(id, 0, id.length);
    return this.#ids.find(hashLow, hashHigh);
  }

  /** The same of the message in hand. */
  #find(id: TextSlice): number {
    hash64(this.#request.source, id.start, id.end);
    return this.#ids.find(hashLow, hashHigh);
  }

  /** Remembers whose id it is; the caller has looked for it. */
  #learn(id: TextSlice, partition: number): void {
    hash64(this.#request.source, id.start, id.end);
    this.#ids.learn(hashLow, hashHigh, partition);
    this.#options.learned?.(hashLow, hashHigh, partition);
  }

  #ownersOf(codec: Codec): OwnerDirectory {
    return codec.protocol === Protocol.ledger ? this.#accounts : this.#cards;
  }

  /**
   * The message's partition; or the card token or account that has to be learnt first. A message that cannot be read
   * goes to a partition whose reader says what is wrong with it.
   */
  route(codec: Codec, body: Uint8Array): number | string {
    this.isNewId = false;
    if (!this.#remembersIds) return 0;
    // A copy: reading masks card numbers in place, and the partition must read what was sent.
    const bytes = Buffer.from(body);
    if (codec.read(this.#request, bytes, 0, bytes.length) !== null) return this.#options.readerPartition();
    const { id, card, source, hidden } = this.#request;
    let asked = this.#find(id);
    // The id may have been kept under an older key.
    for (const form of hidden?.olderIds ?? []) if (asked < 0) asked = this.#find(form);
    if (asked >= 0) return asked;
    this.isNewId = true;
    const partition = this.#partitionCount === 1 ? 0 : this.#ownersOf(codec).find(source, card.start, card.end);
    if (partition < 0) return text(this.#request, card);
    this.#learn(id, partition);
    return partition;
  }

  /**
   * The partition of a message whose card or account was looked up, and is remembered from now on, as is the id.
   * @param ownerKey undefined: there is none. The first partition declines a message with an unknown card and keeps the
   * answer. It refuses an unknown account and remembers nothing, so that the same command may come again.
   */
  routeFound(codec: Codec, body: Uint8Array, token: string, ownerKey: number | undefined): number {
    if (ownerKey !== undefined) this.#ownersOf(codec).learn(token, partitionOf(ownerKey, this.#partitionCount));
    const found = this.route(codec, body);
    if (typeof found !== 'string') return found;
    // route() has just read the message.
    if (codec.protocol !== Protocol.ledger) this.#learn(this.#request.id, 0);
    return 0;
  }
}

/** The partition that owns an account, by its owner key. */
export function partitionOf(ownerKey: number, partitionCount: number): number {
  // Its lowest bit separates people from companies: kept, an even number of partitions would part the two, not the
  // load.
  return Math.floor(ownerKey / 2) % partitionCount;
}

function text(request: Request, slice: TextSlice): string {
  return Buffer.from(request.source.subarray(slice.start, slice.end)).toString('utf8');
}
