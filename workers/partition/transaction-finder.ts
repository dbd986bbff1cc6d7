/** Finds the transaction that a message is about. */
import { LRUCache } from 'lru-cache';
import { transactionAbsent } from '../../engine/core/books.js';
import { MessageType, TransactionStatus } from '../../engine/core/codes.js';
import type { Request } from '../../engine/core/request.js';
import type { Transactions } from '../../engine/core/transactions.js';
import { type AnswerMemory, lookupNeeded, notFound, recalledRecordsMax, unreadable } from './answer-memory.js';
import { byteText } from './byte-text.js';
import type { Root } from './root.js';

/** What is known of the message that `original` names. One object serves all searches: it is valid until the next. */
export interface About {
  /** Slot of the transaction, transactionAbsent, lookupNeeded, or unreadable. */
  transaction: number;
  /** The transaction of `original` was looked for, not one with the message's own id. */
  namedByOriginal: boolean;
  /** `original` names a message that was answered, although no transaction came of it. */
  originalKnown: boolean;
  /** `original` names a clearing that followed its transaction. */
  originalIsClearing: boolean;
  /** The message that `original` names was revoked and never answered, and no transaction came of it. */
  originalRevoked: boolean;
}

/** What a later message's id leads to. */
export interface NamedRoot {
  /** The transaction's root id. */
  readonly id: string;
  readonly isClearing: boolean;
}

export class TransactionFinder {
  /** Transactions that were asked for by the id of a later message. */
  readonly roots = new LRUCache<string, NamedRoot>({ max: recalledRecordsMax });
  readonly #transactions: Transactions;
  readonly #answers: AnswerMemory;
  readonly #root: Root;
  readonly #about: About = {
    transaction: transactionAbsent,
    namedByOriginal: false,
    originalKnown: false,
    originalIsClearing: false,
    originalRevoked: false,
  };

  /** @param root takes the transaction's root id; left empty where the message is its own root */
  constructor(transactions: Transactions, answers: AnswerMemory, root: Root) {
    this.#transactions = transactions;
    this.#answers = answers;
    this.#root = root;
  }

  /**
   * For an authorization it is the transaction that already has its id. For the others it is the one that `original`
   * names, by the id of its first message or of a later one.
   * @param absent what is not in memory was looked up: do not ask again
   */
  find(request: Request, absent: boolean): About {
    const about = this.#about;
    this.#root.set(request.source, 0, 0);
    about.originalKnown = false;
    about.originalIsClearing = false;
    about.originalRevoked = false;
    about.namedByOriginal = isAboutOriginal(request, this.#transactions);
    about.transaction = about.namedByOriginal ? this.#findOriginal(request, absent) : this.#findOwn(request);
    return about;
  }

  #findOwn({ type, source, id }: Request): number {
    if (type === MessageType.verification || type === MessageType.balanceInquiry) return transactionAbsent;
    return this.#transactions.find(source, id.start, id.end);
  }

  #findOriginal(request: Request, absent: boolean): number {
    const { source, original } = request;
    if (original.end === original.start) return transactionAbsent;
    const transactions = this.#transactions;
    const direct = transactions.find(source, original.start, original.end);
    if (direct >= 0) {
      this.#root.set(source, original.start, original.end);
      if (transactions.status(direct) === TransactionStatus.declined) {
        this.#about.originalRevoked = this.#answers.isRevoked(source, original);
      }
      return direct;
    }
    return this.#findByLaterMessage(request, absent);
  }

  /** Perhaps `original` names a later message of its transaction: that message's record knows the root. */
  #findByLaterMessage({ source, original }: Request, absent: boolean): number {
    const transactions = this.#transactions;
    const answers = this.#answers;
    const root = this.#root;
    const { place, revocation, revokedFollows } = answers.find(source, original, absent);
    if (place === unreadable) return unreadable;
    if (place >= 0) {
      this.#about.originalKnown = true;
      if (!answers.record.outcome().approved) {
        // A declined message opened nothing and added nothing that a later message could follow. But a reversal that
        // came before it left a tombstone of its id, which may have left memory: the books know.
        return absent || answers.record.isFollowUp ? transactionAbsent : lookupNeeded;
      }
      this.#about.originalIsClearing = answers.record.isClearing;
      answers.record.readRoot(root);
      const transaction = transactions.find(root.source, root.start, root.end);
      if (transaction >= 0) return transaction;
      root.end = root.start;
    }
    const named = this.roots.get(byteText(source, original));
    if (revocation !== notFound && revokedFollows) {
      // A follow-up that was revoked added nothing. A tombstone of its id may have left memory: the books know. (A
      // transaction whose opening was revoked may live on through what followed it.)
      return absent || named !== undefined ? transactionAbsent : lookupNeeded;
    }
    if (named !== undefined) {
      this.#about.originalIsClearing = named.isClearing;
      const bytes = Buffer.from(named.id, 'utf8');
      const transaction = transactions.find(bytes, 0, bytes.length);
      if (transaction >= 0) {
        root.set(bytes, 0, bytes.length);
        return transaction;
      }
    }
    return absent ? transactionAbsent : lookupNeeded;
  }
}

function isAboutOriginal({ type, source, id, original }: Request, transactions: Transactions): boolean {
  switch (type) {
    case MessageType.authorization:
    case MessageType.verification:
    case MessageType.balanceInquiry:
      return false;
    case MessageType.advice: {
      const own = transactions.find(source, id.start, id.end);
      const isOver = own < 0 || transactions.status(own) === TransactionStatus.declined;
      return isOver && original.end > original.start;
    }
    default:
      return true;
  }
}
