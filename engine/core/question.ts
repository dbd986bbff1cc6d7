/** What a decision is made from besides the books: the message's circumstances, and what the program chose. */

import { transactionAbsent } from './books.js';
import type { Protocol } from './codes.js';
import type { CardProfile } from './profile.js';

/** One question with all it is judged by. Reused by its partition: set the fields, call decide. */
export class Question {
  card: CardProfile | null = null;
  /**
   * The transaction that the message is about, or transactionAbsent. For an authorization it is the one with its id (a
   * tombstone), for the others the one that `original` names. An advice has either, its own id first.
   */
  transaction = transactionAbsent;
  /** `original` named the transaction, not the message's own id. */
  namedByOriginal = false;
  /** `original` names a message that was answered before, so a reversal of it cannot have overtaken it. */
  originalKnown = false;
  /** `original` names a clearing, not the message that opened the transaction. */
  originalIsClearing = false;
  /** The transaction's first message was approved late and revoked: what `original` names was never answered. */
  originalRevoked = false;
  /** The message's id was asked before, approved late, and revoked: it was never answered. */
  revoked = false;
  /** Of an increment: a reversal of it came before it. */
  isReversed = false;
  /** Stamped once on arrival, wall clock milliseconds since 1970. */
  nowMs = 0;
}

/** What a program may choose. Durations in milliseconds. */
export interface Policy {
  /** How long a hold lives without a clearing. */
  readonly holdMs: number;
  /** The same for lodging and car rental, whose stays are long. */
  readonly holdLongMs: number;
  /** A refund gives back what it credits to the spend windows. */
  readonly refundRestoresWindows: boolean;
  /**
   * Protocols whose program takes no partial approval: there a smaller amount turns the approval into a decline. The
   * question keeps what the terminal can do, so that a repeat stays one when this changes.
   */
  readonly wholeAmountsOnly: readonly Protocol[];
}
