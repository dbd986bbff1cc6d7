/**
 * The memory of answers: which ids were asked before, and the record of each. A record is read from the journal while
 * its segment is there, and from Postgres, by a lookup, after that.
 */
import { LRUCache } from 'lru-cache';
import { hash64, hashHigh, hashLow } from '../../engine/core/hash.js';
import type { TextSlice } from '../../engine/core/request.js';
import { locationSettled, type Seen } from '../../engine/core/seen.js';
import { byteText } from './byte-text.js';
import type { PartitionJournal } from './partition-journal.js';
import type { SettledIds } from './settled-ids.js';
import { StoredRecord } from './stored-record.js';

/** Answers of earlier questions that were looked up, and wait for their repeat to come by again. */
export const recalledRecordsMax = 4096;

// What a search says besides a place.
export const notFound = -1;
export const lookupNeeded = -2;
/** The file of its segment cannot be read now. */
export const unreadable = -3;
/** For #recall: the newest record of the id, wherever it stands. */
const anySequence = -1;
/** Found, though not in the table of ids: a lookup brought it. */
export const recalled = 2 ** 31;

/** A record that a lookup brought. */
export interface Recalled {
  readonly sequence: number;
  readonly bytes: Uint8Array;
}

/** What a search found. One object serves all searches: it is valid until the next. */
export interface Found {
  /** The record's slot in Seen, recalled, notFound, lookupNeeded, or unreadable. */
  place: number;
  /**
   * Where the record of a revocation stands: a slot in Seen, recalled, or notFound. Its approval was never answered.
   */
  revocation: number;
  /** The revoked message followed another one. */
  revokedFollows: boolean;
}

export class AnswerMemory {
  readonly seen: Seen;
  /** The record that the last search found. */
  readonly record = new StoredRecord();
  /** By id. */
  readonly recalled = new LRUCache<string, Recalled>({ max: recalledRecordsMax });
  readonly #journal: PartitionJournal;
  readonly #found: Found = { place: notFound, revocation: notFound, revokedFollows: false };
  /**
   * Whether the ids of settled records are in memory. Right after a start they are not yet: until then an unknown id is
   * looked up in Postgres before it counts as new.
   */
  #isComplete = false;
  /** What is known meanwhile of the ids that are still to come. */
  #settledIds: Pick<SettledIds, 'mayHold'> | null = null;

  constructor(seen: Seen, journal: PartitionJournal) {
    this.seen = seen;
    this.#journal = journal;
  }

  /** Until complete(), `ids` says of which unknown ids it is sure that they are new. */
  expectIds(ids: Pick<SettledIds, 'mayHold'>): void {
    this.#settledIds = ids;
  }

  /** The ids of all settled records are in memory. */
  complete(): void {
    this.#isComplete = true;
    this.#settledIds = null;
  }

  /**
   * Whether an id that is not found may be one of a settled record that is not in memory yet.
   * @param others further forms of the same id
   */
  mayBeSettled(source: Uint8Array, id: TextSlice, others?: readonly TextSlice[]): boolean {
    if (this.#isComplete) return false;
    if (this.#settledIds === null) return true;
    hash64(source, id.start, id.end);
    if (this.#settledIds.mayHold(hashLow)) return true;
    return others?.some((form) => this.mayBeSettled(source, form)) === true;
  }

  /**
   * Finds the record of the question with that id and reads it into `record`. A revoked one was never answered, so it
   * is not found: then the result says where the record of the revocation stands.
   * @param absent what is not in memory was looked up: do not ask again
   */
  find(source: Uint8Array, id: TextSlice, absent: boolean): Found {
    const found = this.#found;
    found.revocation = notFound;
    found.place = this.#search(source, id, absent);
    return found;
  }

  #search(source: Uint8Array, id: TextSlice, absent: boolean): number {
    let slot = this.seen.find(source, id.start, id.end);
    while (slot >= 0) {
      const length = this.#read(slot, source, id, absent);
      if (length < 0) return unreadable;
      if (length === 0 && !absent) return lookupNeeded;
      if (length > 0 && this.record.isNamed(source, id) && !this.#notesRevocation(slot)) return slot;
      slot = this.seen.findNext();
    }
    // Right after a start the settled ids are still on their way into the table: one that was looked up stands here.
    const isElsewhere = !this.#isComplete && this.#found.revocation === notFound;
    if (isElsewhere && this.#recall(source, id, anySequence) > 0 && !this.#notesRevocation(recalled)) return recalled;
    return notFound;
  }

  /**
   * Reads the newest record of that id that the journal has into `record`, a revocation too.
   * @returns its sequence; notFound where there is none, or none that can be read now
   */
  newest(source: Uint8Array, id: TextSlice): number {
    let newest = notFound;
    let place = 0;
    for (let slot = this.seen.find(source, id.start, id.end); slot >= 0; slot = this.seen.findNext()) {
      const location = this.seen.location(slot);
      if (location === locationSettled || this.seen.sequence(slot) <= newest) continue;
      const length = this.#journal.read(location, this.record.bytes);
      if (length <= 0 || !this.record.isWhole(length) || !this.record.isNamed(source, id)) continue;
      newest = this.seen.sequence(slot);
      place = location;
    }
    // The table may have led to records of other ids behind it.
    if (newest !== notFound) this.#journal.read(place, this.record.bytes);
    return newest;
  }

  #notesRevocation(place: number): boolean {
    if (!this.record.isRevocation) return false;
    this.#found.revocation = place;
    this.#found.revokedFollows = this.record.isFollowUp;
    return true;
  }

  /** Whether the newest record of that id revoked its approval. Reads over `record`. */
  isRevoked(source: Uint8Array, id: TextSlice): boolean {
    const { place, revocation } = this.find(source, id, true);
    return place === notFound && revocation !== notFound;
  }

  /**
   * Reads the record that a lookup brought for that id.
   * @param sequence the record's; an earlier one of the same id, which was forgotten meanwhile, is another question's
   * @returns its length, 0 when there is none
   */
  #recall(source: Uint8Array, id: TextSlice, sequence: number): number {
    const record = this.recalled.get(byteText(source, id));
    if (record === undefined || (sequence !== anySequence && record.sequence !== sequence)) return 0;
    this.record.bytes.set(record.bytes);
    return record.bytes.length;
  }

  #read(slot: number, source: Uint8Array, id: TextSlice, absent: boolean): number {
    const location = this.seen.location(slot);
    if (location !== locationSettled) {
      // It may not be on disk yet: asked twice within a moment, and both answers wait for the same sync.
      const length = this.#journal.read(location, this.record.bytes);
      if (length > 0) return this.record.isWhole(length) ? length : unreadable;
      if (length < 0) return unreadable;
      this.seen.markSettled(slot);
    }
    // What a lookup has just brought is the newest that there is.
    return this.#recall(source, id, absent ? anySequence : this.seen.sequence(slot));
  }

  /** Slot of the id's record at that place in the journal; notFound when it is forgotten. */
  slotAt(source: Uint8Array, id: TextSlice, location: number): number {
    let slot = this.seen.find(source, id.start, id.end);
    while (slot >= 0 && this.seen.location(slot) !== location) slot = this.seen.findNext();
    return slot;
  }

  /** @param replaces slot of the record that this one replaces as the answer of its id; notFound for none */
  remember(source: Uint8Array, id: TextSlice, sequence: number, location: number, replaces: number): void {
    if (id.end === id.start) return;
    hash64(source, id.start, id.end);
    this.seen.add(hashLow, hashHigh, sequence, location, replaces);
  }
}
