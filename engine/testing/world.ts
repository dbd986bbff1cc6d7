/**
 * One partition's books with a Decider on top, driven by plain objects. It is for tests that say "this card, this
 * amount" and look at everything that follows. Resolves originals and applies outcomes as a partition does, without
 * journal, slabs and bytes.
 */
import { Accounts, type Status } from '../core/accounts.js';
import { applyOutcome, markRolling, type Parties } from '../core/apply.js';
import { type Books, transactionAbsent } from '../core/books.js';
import { CardType } from '../core/card-types.js';
import {
  channelNames,
  isNeverRevoked,
  MessageType,
  messageTypeNames,
  Protocol,
  packLetters,
  TransactionStatus,
} from '../core/codes.js';
import { Decider } from '../core/decide.js';
import { decideCommand } from '../core/decide-command.js';
import { assert } from '../core/invariant.js';
import { detailName, Level } from '../core/limit-names.js';
import { Outcome, responseCode } from '../core/outcome.js';
import type { CardProfile } from '../core/profile.js';
import { type Policy, Question } from '../core/question.js';
import { Reason, reasonEntry } from '../core/reasons.js';
import type { RecordTrace } from '../core/record.js';
import { Request, type TextSlice } from '../core/request.js';
import { decideExpiry, decideRevocation } from '../core/revoke-and-expire.js';
import { compileRules, type Limits } from '../core/rules.js';
import { Spend } from '../core/spend.js';
import { userSpendNumber } from '../core/spend-key.js';
import { Transactions } from '../core/transactions.js';
import { Users } from '../core/users.js';
import { checkResultNames, Recurring, walletNames } from '../core/vocabulary.js';

export type TypeName = (typeof messageTypeNames)[number];
export type ChannelName = (typeof channelNames)[number];
export type ResultName = (typeof checkResultNames)[number];
export type WalletName = (typeof walletNames)[number];

/** A message as a sender means it. Absent fields are absent in the request. */
export interface Message {
  readonly id: string;
  readonly type: TypeName;
  /** Card token; of a deposit or withdrawal the account's name, see accountName(). */
  readonly card: string;
  readonly amount?: number;
  readonly currency?: string;
  readonly original?: string;
  readonly merchantId?: string;
  readonly mcc?: number;
  readonly country?: string;
  readonly channel?: ChannelName;
  readonly avs?: ResultName;
  readonly cvv?: ResultName;
  readonly threeDS?: ResultName;
  readonly wallet?: WalletName;
  readonly recurring?: boolean;
  readonly partialAllowed?: boolean;
  readonly final?: boolean;
  readonly capture?: boolean;
  /** Of an advice, a clearing or a reversal: see Request.askedType. */
  readonly answers?: TypeName;
  /** See Request.wholeMinor. */
  readonly whole?: number;
}

/** What came of a message, in the words of the authorization port. */
export interface Answer {
  readonly approved: boolean;
  readonly reason: string;
  readonly detail: string;
  readonly responseCode: string;
  readonly amount: number;
  readonly approvedAmount: number;
  readonly available: number;
}

export interface AccountConfig {
  readonly number: number;
  readonly currency: string;
  readonly funds: number;
  readonly status?: Status;
  readonly timeZone?: string;
  readonly partialApproval?: boolean;
  readonly limits?: Limits | null;
}

export interface UserConfig {
  readonly number: number;
  readonly status?: Status;
  readonly limits?: Limits | null;
}

export interface CardConfig {
  readonly token: string;
  readonly number: number;
  readonly account: number;
  readonly user: number;
  readonly status?: Status;
  readonly expiresDay?: number;
  readonly limits?: Limits | null;
  readonly type?: CardType;
  /** Of the first of the cards that it replaced. */
  readonly spendNumber?: number;
}

/** @param currency packed, of the account; counts where `number` is a user's */
export function spendNumber(level: Level, number: number, currency: number): number {
  return level === Level.user ? userSpendNumber(number, currency) : number;
}

/** How ledger commands name an account, where card messages have a token. */
export function accountName(number: number): string {
  return `acct-${number}`;
}

export function isCommand(message: Pick<Message, 'type'>): boolean {
  return message.type === 'deposit' || message.type === 'withdrawal';
}

/** Ids of commands and of card messages are two namespaces. */
export function keyOf(message: Pick<Message, 'id' | 'type'>): string {
  return isCommand(message) ? `command ${message.id}` : message.id;
}

export const dayMs = 86_400_000;

export const policyDefault: Policy = {
  holdMs: 7 * dayMs,
  holdLongMs: 30 * dayMs,
  refundRestoresWindows: false,
  wholeAmountsOnly: [Protocol.marqeta],
};

const expiresNever = 1_000_000;

export class World {
  readonly books: Books = {
    accounts: new Accounts(64),
    users: new Users(64),
    spend: new Spend(1024),
    transactions: new Transactions(16_384),
  };
  readonly request = new Request();
  readonly outcome = new Outcome();
  readonly question = new Question();
  nowMs = Date.UTC(2026, 10, 23, 10);
  /** Journal sequence of the message applied last. */
  sequence = 0;
  readonly #decider: Decider;
  readonly #cards = new Map<string, CardProfile>();
  /** Every id that was answered, with the id of its transaction's first message; '' when it belongs to none. */
  readonly #roots = new Map<string, string>();
  readonly #approvals = new Map<string, { readonly outcome: Outcome; readonly parties: Parties }>();
  /** Ids whose approval was revoked, and that were not answered since. */
  readonly #revoked = new Set<string>();
  #version = 0;

  constructor(policy: Policy = policyDefault) {
    this.#decider = new Decider(this.books, policy, this.outcome);
  }

  /** A world with account 1 in dollars, and card C of user 1. */
  static withCard(funds: number, policy: Policy = policyDefault): World {
    const world = new World(policy);
    world.setAccount({ number: 1, currency: 'USD', funds });
    world.setUser({ number: 1 });
    world.setCard({ token: 'C', number: 1, account: 1, user: 1 });
    return world;
  }

  /** Opens the account, or changes all but its money when it is open. */
  setAccount(config: AccountConfig): void {
    const { accounts } = this.books;
    let slot = accounts.find(config.number);
    if (slot < 0) slot = accounts.open(config.number, packLetters(config.currency), config.funds, 0, 0);
    accounts.describe(
      slot,
      ++this.#version,
      config.status ?? 0,
      config.timeZone ?? 'UTC',
      config.partialApproval ?? false,
      compileRules(config.limits),
    );
  }

  setUser(config: UserConfig): void {
    const { users } = this.books;
    let slot = users.find(config.number);
    if (slot < 0) slot = users.open(config.number);
    users.describe(slot, ++this.#version, config.status ?? 0, compileRules(config.limits));
  }

  setCard(config: CardConfig): void {
    const account = this.books.accounts.find(config.account);
    const user = this.books.users.find(config.user);
    assert(account >= 0 && user >= 0, 'a card needs its account and user first');
    this.#cards.set(config.token, {
      number: config.number,
      spendNumber: config.spendNumber ?? config.number,
      type: config.type ?? CardType.virtual,
      version: ++this.#version,
      status: config.status ?? 0,
      expiresDay: config.expiresDay ?? expiresNever,
      rules: compileRules(config.limits),
      account,
      user,
    });
  }

  /** Decides without applying; the outcome is left in `outcome`, as after a decision of a partition. */
  decide(message: Message): Answer {
    fillRequest(this.request, message);
    if (isCommand(message)) {
      decideCommand(this.books.accounts, this.#accountOf(message), this.request, this.outcome);
      return answerOf(this.outcome, this.request.type);
    }
    this.question.card = this.#cards.get(message.card) ?? null;
    this.question.transaction = this.#resolve(message);
    this.question.namedByOriginal = this.#isNamedByOriginal(message);
    this.question.originalKnown = message.original !== undefined && this.#roots.has(message.original);
    this.question.revoked = this.#revoked.has(message.id);
    const named = message.original === undefined ? -1 : this.transaction(message.original);
    this.question.originalRevoked =
      named >= 0 &&
      this.books.transactions.status(named) === TransactionStatus.declined &&
      this.#revoked.has(message.original ?? '');
    const own = message.type === 'incremental' ? this.transaction(message.id) : -1;
    this.question.isReversed = own >= 0 && this.books.transactions.status(own) === TransactionStatus.tombstone;
    this.question.nowMs = this.nowMs;
    this.#decider.decide(this.question, this.request);
    return answerOf(this.outcome, this.request.type);
  }

  /** What the last decision saw. */
  get trace(): RecordTrace | null {
    return this.#decider.trace;
  }

  /** Decides and applies. The id must be new: duplicates are the partition's business. */
  send(message: Message): Answer {
    assert(!this.#roots.has(keyOf(message)), `the id ${message.id} was asked already`);
    const answer = this.decide(message);
    const { outcome, question } = this;
    if (isCommand(message)) {
      const account = this.#accountOf(message);
      const accountNumber = this.books.accounts.number(account);
      this.#apply(account, transactionAbsent, { accountNumber, cardNumber: 0, cardSpend: 0, userNumber: 0 });
      this.#roots.set(keyOf(message), '');
      return answer;
    }
    const { card } = question;
    const opens = outcome.opensTransaction || outcome.tombstone;
    const parties = { accountNumber: 0, cardNumber: 0, cardSpend: 0, userNumber: 0 };
    let transaction = transactionAbsent;
    let before = transactionAbsent;
    if (card !== null) {
      const { accounts, users, transactions } = this.books;
      parties.accountNumber = accounts.number(card.account);
      const isOurs = question.transaction >= 0 && transactions.account(question.transaction) === parties.accountNumber;
      if (isOurs && !opens) transaction = question.transaction;
      // One that had the name before, and is over.
      else if (outcome.tombstone) before = question.transaction;
      else if (outcome.opensTransaction) before = this.transaction(message.id);
      parties.cardNumber = transaction >= 0 ? transactions.card(transaction) : card.number;
      parties.cardSpend = transaction >= 0 ? transactions.cardSpend(transaction) : card.spendNumber;
      parties.userNumber = transaction >= 0 ? transactions.user(transaction) : users.number(card.user);
    }
    this.#apply(card === null ? -1 : card.account, opens ? before : transaction, parties);
    const follows = transaction >= 0 && outcome.transactionStatus !== 0;
    this.#revoked.delete(message.id);
    this.#roots.set(message.id, follows ? this.#rootOf(message) : outcome.opensTransaction ? message.id : '');
    if (outcome.approved && !isNeverRevoked(this.request.type)) {
      this.#approvals.set(message.id, { outcome: Object.assign(new Outcome(), outcome), parties });
    }
    return answer;
  }

  /** Revokes the approval with that id, as if it had missed its deadline. @returns null when there is none */
  revoke(id: string): Answer | null {
    const approval = this.#approvals.get(id);
    if (approval === undefined) return null;
    this.#approvals.delete(id);
    fillRequest(this.request, { id, type: 'late', card: '' });
    const account = this.books.accounts.find(approval.parties.accountNumber);
    const root = this.#roots.get(id)!;
    const transaction = approval.outcome.transactionStatus === 0 ? transactionAbsent : this.transaction(root);
    const openingRevoked = root === id || this.#revoked.has(root);
    decideRevocation(this.books, account, transaction, approval.outcome, openingRevoked, this.outcome);
    this.#apply(account, transaction, approval.parties);
    this.#roots.delete(id);
    this.#revoked.add(id);
    return answerOf(this.outcome, MessageType.revocation);
  }

  /** Lets the hold lapse if its time has come. @returns null when there was nothing to release */
  expire(root: string): Answer | null {
    const { transactions, accounts } = this.books;
    const transaction = this.transaction(root);
    const { outcome } = this;
    if (transaction < 0 || !decideExpiry(this.books, transaction, this.nowMs, outcome)) return null;
    fillRequest(this.request, { id: '', type: 'expiry', card: '' });
    const account = accounts.find(transactions.account(transaction));
    outcome.availableMinor = accounts.available(account) - outcome.heldDelta;
    this.#apply(account, transaction, {
      accountNumber: transactions.account(transaction),
      cardNumber: transactions.card(transaction),
      cardSpend: transactions.cardSpend(transaction),
      userNumber: transactions.user(transaction),
    });
    return answerOf(outcome, MessageType.expiry);
  }

  /** Slot of the transaction with that root id, or −1. */
  transaction(root: string): number {
    const bytes = Buffer.from(root);
    return this.books.transactions.find(bytes, 0, bytes.length);
  }

  /** Amount and count of a spend window as of today, of card, user or account number; of a user in that currency. */
  spent(
    level: Level,
    number: number,
    currency: string,
    window: number,
    day: number,
  ): { amount: number; count: number } {
    const { spend } = this.books;
    const slot = spend.find(level, spendNumber(level, number, packLetters(currency)));
    if (slot < 0) return { amount: 0, count: 0 };
    return { amount: spend.amount(slot, window, day), count: spend.count(slot, window, day) };
  }

  #accountOf(message: Message): number {
    const account = this.books.accounts.find(Number(message.card.slice(accountName(0).length - 1)));
    assert(account >= 0, 'a command needs its account first');
    return account;
  }

  #apply(account: number, transaction: number, parties: Parties): void {
    markRolling(this.books, this.outcome, account, parties);
    applyOutcome(this.books, this.request, this.outcome, account, transaction, parties, ++this.sequence, this.nowMs);
  }

  #rootOf(message: Message): string {
    const { original } = message;
    // An authorization follows a transaction of its own name only: one that lives on after the approval was revoked.
    if (message.type === 'authorization') return message.id;
    if (original === undefined) return '';
    return this.transaction(original) >= 0 ? original : this.#roots.get(original)!;
  }

  /** An advice has the transaction of its own id, where there is one; else the one that it names. */
  #isNamedByOriginal(message: Message): boolean {
    if (message.type === 'authorization') return false;
    if (message.type !== 'advice') return true;
    const own = this.transaction(message.id);
    const isOver = own < 0 || this.books.transactions.status(own) === TransactionStatus.declined;
    return message.original !== undefined && isOver;
  }

  #resolve(message: Message): number {
    if (!this.#isNamedByOriginal(message)) return this.transaction(message.id);
    const { original } = message;
    if (original === undefined) return transactionAbsent;
    const direct = this.transaction(original);
    if (direct >= 0) return direct;
    const root = this.#roots.get(original);
    return root === undefined || root === '' ? transactionAbsent : this.transaction(root);
  }
}

/** Fills a request as a codec would: texts as slices of one buffer. */
export function fillRequest(request: Request, message: Message): void {
  const source = Buffer.from(message.id + message.card + (message.original ?? '') + (message.merchantId ?? ''));
  request.reset(source, Protocol.native);
  request.type = messageTypeNames.indexOf(message.type) as MessageType;
  request.amountMinor = message.amount ?? -1;
  request.currency = packLetters(message.currency ?? '');
  request.mcc = message.mcc ?? -1;
  request.country = packLetters(message.country ?? '');
  request.channel = Math.max(0, channelNames.indexOf(message.channel ?? '')) as Request['channel'];
  request.avs = codeOf(checkResultNames, message.avs) as Request['avs'];
  request.cvv = codeOf(checkResultNames, message.cvv) as Request['cvv'];
  request.threeDS = codeOf(checkResultNames, message.threeDS) as Request['threeDS'];
  request.wallet = codeOf(walletNames, message.wallet) as Request['wallet'];
  if (message.recurring !== undefined) request.recurring = message.recurring ? Recurring.yes : Recurring.no;
  request.partialAllowed = message.partialAllowed ?? false;
  request.final = message.final ?? true;
  request.capture = message.capture ?? false;
  if (message.answers !== undefined) request.askedType = messageTypeNames.indexOf(message.answers) as MessageType;
  request.wholeMinor = message.whole ?? -1;
  let position = slice(request.id, 0, message.id);
  position = slice(request.card, position, message.card);
  position = slice(request.original, position, message.original ?? '');
  slice(request.merchantId, position, message.merchantId ?? '');
}

function codeOf(names: readonly string[], name: string | undefined): number {
  return Math.max(0, names.indexOf(name ?? ''));
}

function slice(target: TextSlice, start: number, text: string): number {
  target.start = start;
  target.end = start + Buffer.byteLength(text);
  return target.end;
}

function answerOf(outcome: Outcome, type: MessageType): Answer {
  return {
    approved: outcome.approved,
    reason: reasonEntry(outcome.reason).name,
    detail: detailName(outcome.detail),
    responseCode: responseCode(outcome, type),
    amount: outcome.amountMinor,
    approvedAmount: outcome.approvedAmountMinor,
    available: outcome.availableMinor,
  };
}

/** The public names of the reasons, by number. */
export const reasonNames: readonly string[] = Object.values(Reason).map((reason) => reasonEntry(reason).name);
