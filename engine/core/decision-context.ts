/** What the checks and the effects of one decision read and write; its fields are filled once a message. */
import { Status } from './accounts.js';
import { type Books, transactionAbsent } from './books.js';
import { CardType } from './card-types.js';
import { TransactionStatus } from './codes.js';
import type { Outcome } from './outcome.js';
import type { CardProfile } from './profile.js';
import type { Policy } from './question.js';
import { Request } from './request.js';
import type { Rules } from './rules.js';

export class Context {
  constructor(
    readonly books: Books,
    readonly policy: Policy,
    readonly outcome: Outcome,
  ) {}
  request: Request = new Request();
  card: CardProfile = unknownCard;
  cardRules: Rules | null = null;
  userRules: Rules | null = null;
  accountRules: Rules | null = null;
  account = 0;
  transaction = transactionAbsent;
  /** Of an advice: the transaction is its original's, whose hold it replaces. */
  replacesHold = false;
  /** Of a revoked authorization: its transaction lives on through what followed it, and takes its hold again. */
  rejoins = false;
  /** Local day of the message. */
  day = 0;
  /** Whose row in Spend counts for the card's user: the one in the account's currency. */
  userSpend = 0;
  /** Day on which the message spends. */
  spendDay = 0;
  nowMs = 0;
  idIsSpent = false;
  originalIsClearing = false;
}

const unknownCard: CardProfile = {
  number: 0,
  spendNumber: 0,
  type: CardType.virtual,
  version: 0,
  status: Status.closed,
  expiresDay: 0,
  rules: null,
  account: 0,
  user: 0,
};

/**
 * Whether the message follows nothing: its original is unknown, was declined, or is only a tombstone. Money that comes
 * all the same is then a transaction of its own. A tombstone must never carry any. Its authorization may still arrive,
 * with a card of another account, and then takes over the tombstone's row to be shown as declined.
 */
export function cameToNothing({ books, transaction }: Context): boolean {
  if (transaction === transactionAbsent) return true;
  const status = books.transactions.status(transaction);
  return status === TransactionStatus.declined || status === TransactionStatus.tombstone;
}
