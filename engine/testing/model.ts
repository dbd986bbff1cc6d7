/**
 * The slow, obvious model that audits every answer. It keeps all history and computes every balance, window and hold
 * from it each time, with big integers, plain objects and calendar strings. It shares no line with the engine's core.
 * Written from the words of the interface: when it and the engine disagree, one of them is wrong.
 */
import type { Limits, WindowLimit } from '../core/rules.js';
import {
  type AccountConfig,
  type Answer,
  accountName,
  type CardConfig,
  isCommand,
  keyOf,
  type Message,
  type UserConfig,
} from './world.js';

/** What is compared with the engine's answer. */
export type ModelAnswer = Pick<
  Answer,
  'approved' | 'reason' | 'detail' | 'responseCode' | 'amount' | 'approvedAmount' | 'available'
>;

export interface ModelPolicy {
  readonly holdMs: number;
  readonly holdLongMs: number;
  readonly refundRestoresWindows: boolean;
}

/** Part of a hold: how much is still held of what one message took on one local day. */
interface Part {
  readonly day: string;
  held: bigint;
}

export interface Transaction {
  readonly id: string;
  readonly account: number;
  /** Whose windows it counts in. */
  readonly card: CardConfig;
  status: 'open' | 'completed' | 'reversed' | 'expired' | 'declined' | 'tombstone';
  /** Oldest first. */
  parts: Part[];
  cleared: bigint;
  refunded: bigint;
  readonly firstDay: string;
  /** The last day on which it spent. What was spent before it is given back as of the first day. */
  newestDay: string;
  expiresAtMs: number;
}

/** One entry in a card's, user's or account's windows. */
interface Spent {
  readonly day: string;
  readonly amount: bigint;
  readonly count: number;
}

export interface Answered {
  readonly message: Message;
  answer: ModelAnswer;
  /** The transaction that it belongs to, when it changed one. */
  readonly transaction: Transaction | null;
  /** What an approved question took: the day, and how much is held or posted. */
  readonly took: {
    readonly day: string;
    readonly held: bigint;
    readonly posted: bigint;
    readonly opened: boolean;
    /** It joined what was left of a transaction whose opening had been revoked. */
    readonly rejoined: boolean;
  } | null;
}

type LevelName = 'card' | 'user' | 'account';
const levelNames: readonly LevelName[] = ['card', 'user', 'account'];
const windowNames = ['daily', 'weekly', 'monthly', 'yearly', 'lifetime'] as const;
export type WindowName = (typeof windowNames)[number];

const codes: Readonly<Record<string, string>> = {
  approved: '00',
  card_inactive: '62',
  insufficient_funds: '51',
  system_error: '96',
  card_not_found: '14',
  card_expired: '54',
  account_inactive: '62',
  user_inactive: '62',
  mcc_blocked: '57',
  merchant_blocked: '57',
  country_blocked: '57',
  channel_blocked: '57',
  currency_mismatch: '12',
  original_not_found: '25',
  original_closed: '84',
  amount_invalid: '13',
  duplicate_conflict: '94',
  limit_exceeded: '61',
  verification_failed: '63',
  wallet_blocked: '57',
  recurring_blocked: '57',
};

const amountMax = 100_000_000_000_000n;
/** Deposits bring no account above it. */
const fundsMax = 4_000_000_000_000_000n;
const epochDay = '1970-01-01';

export class Model {
  readonly #policy: ModelPolicy;
  readonly #accounts = new Map<number, AccountConfig>();
  readonly #funds = new Map<number, bigint>();
  readonly #users = new Map<number, UserConfig>();
  readonly #cards = new Map<string, CardConfig>();
  #transactions: Transaction[] = [];
  readonly #spent = new Map<string, Spent[]>();
  readonly #purchases = new Map<number, { readonly count: number; readonly merchant: string }>();
  readonly #answered = new Map<string, Answered>();
  /** Ids whose approval was revoked, and that were not answered since. */
  readonly #revoked = new Set<string>();

  constructor(policy: ModelPolicy) {
    this.#policy = policy;
  }

  setAccount(config: AccountConfig): void {
    if (!this.#accounts.has(config.number)) this.#funds.set(config.number, BigInt(config.funds));
    this.#accounts.set(config.number, config);
  }
  setUser(config: UserConfig): void {
    this.#users.set(config.number, config);
  }
  setCard(config: CardConfig): void {
    this.#cards.set(config.token, config);
  }

  get cards(): readonly CardConfig[] {
    return [...this.#cards.values()];
  }
  get transactions(): readonly Transaction[] {
    return this.#transactions;
  }
  /** Every id that was answered (as keyOf), with the answer it gets from now on. */
  get answers(): ReadonlyMap<string, Answered> {
    return this.#answered;
  }

  held(account: number): bigint {
    return sum(this.#of(account).flatMap((transaction) => transaction.parts.map((part) => part.held)));
  }
  posted(account: number): bigint {
    return sum(this.#of(account).map((transaction) => transaction.cleared - transaction.refunded));
  }
  funds(account: number): bigint {
    return this.#funds.get(account)!;
  }
  available(account: number): bigint {
    return this.#funds.get(account)! - this.held(account) - this.posted(account);
  }
  #of(account: number): Transaction[] {
    return this.#transactions.filter((transaction) => transaction.account === account);
  }

  /** Spent in a currency in the window that contains the local day. Never below zero, whatever was given back. */
  spent(
    level: LevelName,
    number: number,
    currency: string,
    window: WindowName,
    day: string,
  ): { amount: bigint; count: number } {
    let amount = 0n;
    let count = 0;
    for (const entry of this.#spent.get(`${level} ${number} ${currency}`) ?? []) {
      if (period(window, entry.day) !== period(window, day)) continue;
      amount = amount + entry.amount < 0n ? 0n : amount + entry.amount;
      count = Math.max(0, count + entry.count);
    }
    return { amount, count };
  }

  /** Local date of an instant for an account, as 2026-11-23. */
  dayOf(account: number, nowMs: number): string {
    return localDate(this.#accounts.get(account)!.timeZone ?? 'UTC', nowMs);
  }

  /**
   * Answers a message; the same id again gets its first answer, or a conflict. What was answered 503 is decided again.
   * @param tooLate its deadline had passed before it was looked at
   */
  send(message: Message, nowMs: number, tooLate = false): ModelAnswer {
    const before = this.#answered.get(keyOf(message));
    if (before !== undefined) {
      if (sameContent(before.message, message)) return before.answer;
      return refusal('duplicate_conflict', message, 0n);
    }
    if (isCommand(message)) return this.#command(message);
    const card = this.#cards.get(message.card);
    // Answered 503, which is no answer: the id stays free.
    if (tooLate && !isFact(message)) return refusal('system_error', message, 0n);
    if (card === undefined) return this.#remember(message, refusal('card_not_found', message, 0n), null);
    const day = this.dayOf(card.account, nowMs);
    const about = this.#about(message, card);
    const refused = this.#refusal(message, card, about, day);
    if (refused !== null) {
      const [reason, detail = ''] = refused;
      if (reason === 'original_not_found' && message.type === 'reversal' && this.#isUnknown(message)) {
        this.#open(message.original!, card, 'tombstone', epochDay, 0);
      }
      return this.#remember(message, refusal(reason, message, this.available(card.account), detail), null);
    }
    return this.#approve(message, card, about, day, nowMs);
  }

  /** The account that a command names. */
  accountNamed(name: string): AccountConfig | undefined {
    return [...this.#accounts.values()].find((account) => accountName(account.number) === name);
  }

  /** Money in or out: never late, and limits do not apply. */
  #command(message: Message): ModelAnswer {
    const account = this.accountNamed(message.card)!;
    const before = this.available(account.number);
    const amount = BigInt(message.amount!);
    const isDeposit = message.type === 'deposit';
    const status = account.status ?? 0;
    let reason = 'approved';
    if (status === 2 || (status === 1 && !isDeposit)) reason = 'account_inactive';
    else if (amount < 1n || amount > amountMax) reason = 'amount_invalid';
    else if (isDeposit && (before + amount > fundsMax || this.funds(account.number) + amount > fundsMax))
      reason = 'amount_invalid';
    else if (!isDeposit && before < amount) reason = 'insufficient_funds';
    if (reason !== 'approved') return this.#remember(message, refusal(reason, message, before), null);
    this.#funds.set(account.number, this.funds(account.number) + (isDeposit ? amount : -amount));
    const answer = {
      ...refusal(reason, message, this.available(account.number)),
      approved: true,
      approvedAmount: Number(amount),
    };
    return this.#remember(message, answer, null);
  }

  /**
   * Revokes the approval of that id: what is left of it is undone, and its id counts as never answered.
   * @returns what the revocation says of the books; null when there is nothing to revoke
   */
  revoke(id: string): ModelAnswer | null {
    const answered = this.#answered.get(id);
    if (answered === undefined || !answered.answer.approved || isFact(answered.message)) return null;
    const { transaction, took, message } = answered;
    if (transaction !== null && took !== null) {
      const released = least(took.held, heldOf(transaction));
      const posted = postedOf(transaction);
      const unposted = least(took.posted, posted > 0n ? posted : 0n);
      this.#unhold(transaction, released, took.day);
      transaction.cleared -= unposted;
      const empty = released + unposted > 0n && heldOf(transaction) === 0n && postedOf(transaction) === 0n;
      const isOpeningRevoked = took.opened || this.#revoked.has(transaction.id);
      if (empty) transaction.status = isOpeningRevoked ? 'declined' : 'reversed';
      if (empty) this.#spend(transaction.card, transaction.firstDay, 0n, -1);
      const isGone = heldOf(transaction) === 0n && postedOf(transaction) === 0n && transaction.refunded === 0n;
      const started = took.opened && !took.rejoined;
      if (isGone && (started || (isOpeningRevoked && released + unposted > 0n))) this.#undoPurchase(transaction.card);
      this.#spend(transaction.card, took.day, -(released + unposted), 0);
    }
    const card = this.#cards.get(message.card)!;
    this.#answered.delete(id);
    this.#revoked.add(id);
    return refusal('system_error', message, this.available(card.account));
  }

  /** Lets the hold of the transaction lapse if it is due. @returns what was released, or null when nothing is due */
  expire(id: string, nowMs: number): bigint | null {
    const transaction = this.#transaction(id);
    if (transaction === undefined) return null;
    const held = heldOf(transaction);
    if (transaction.status !== 'open' || nowMs < transaction.expiresAtMs) return null;
    this.#release(transaction, held);
    const cameOfIt = postedOf(transaction) > 0n || transaction.refunded > 0n;
    transaction.status = cameOfIt ? 'completed' : 'expired';
    if (transaction.status === 'expired') this.#spend(transaction.card, transaction.firstDay, 0n, -1);
    return held;
  }

  // --- what a message is about ---------------------------------------------------------------------------------------

  #transaction(id: string): Transaction | undefined {
    return this.#transactions.find((transaction) => transaction.id === id);
  }

  /** The transaction that a message follows, as far as it is this card's business. */
  #about(message: Message, card: CardConfig): Transaction | null {
    const own = isOpening(message) ? this.#transaction(message.id) : undefined;
    // One that nothing came of gives its id up.
    if (own !== undefined && own.status !== 'declined') return own;
    const { original } = message;
    if (message.type === 'authorization' || original === undefined) return null;
    // What followed a transaction that gave its id up follows the one that has the id now.
    const followed = this.#answered.get(original)?.transaction?.id;
    const named = this.#transaction(original) ?? (followed === undefined ? undefined : this.#transaction(followed));
    if (named === undefined || named.account !== card.account) return null;
    if (message.type === 'incremental' && lineOf(named.card) !== lineOf(card)) return null;
    if (message.type === 'advice') return named.status === 'open' || named.status === 'completed' ? named : null;
    if (named.status === 'tombstone') return message.type === 'clearing' || message.type === 'refund' ? null : named;
    return named.status === 'declined' ? null : named;
  }

  /** No message and no transaction has ever had the original's name; what was revoked counts as never asked. */
  #isUnknown(message: Message): boolean {
    const original = message.original!;
    const transaction = this.#transaction(original);
    const cameToNothing = transaction?.status === 'declined' && this.#revoked.has(original);
    return (transaction === undefined || cameToNothing) && !this.#answered.has(original);
  }

  /** An authorization that was revoked joins what is left of its transaction again. */
  #rejoins(message: Message, card: CardConfig, about: Transaction): boolean {
    const isSame = message.type === 'authorization' && message.capture !== true && about.id === message.id;
    const isOurs = about.card.number === card.number && about.account === card.account;
    return isSame && isOurs && about.status === 'open' && this.#revoked.has(message.id);
  }

  // --- refusals ------------------------------------------------------------------------------------------------------

  #refusal(message: Message, card: CardConfig, about: Transaction | null, day: string): [string, string?] | null {
    const account = this.#accounts.get(card.account)!;
    const user = this.#users.get(card.user)!;
    const { type } = message;
    const asks = ['authorization', 'incremental', 'verification', 'balance_inquiry'].includes(type);
    if (asks) {
      if ((card.status ?? 0) !== 0) return ['card_inactive'];
      if (card.expiresDay !== undefined && daysSince1970(day) > card.expiresDay) return ['card_expired'];
      if ((user.status ?? 0) !== 0) return ['user_inactive'];
      if ((account.status ?? 0) !== 0) return ['account_inactive'];
    }
    if (message.currency !== undefined && message.currency !== account.currency) return ['currency_mismatch'];
    if (!isAmountValid(message)) return ['amount_invalid'];
    if (type === 'incremental' || type === 'reversal') {
      if (about === null) return ['original_not_found'];
      const isSpent = this.#transaction(message.id)?.status === 'tombstone';
      if (type === 'incremental' && (about.status !== 'open' || isSpent)) return ['original_closed'];
      if (type === 'reversal' && about.status === 'completed') return ['original_closed'];
    }
    if (isOpening(message) && about !== null && about.id === message.id && !this.#rejoins(message, card, about)) {
      const isReversed = about.status === 'reversed' && this.#revoked.has(message.id);
      return [about.status === 'tombstone' || isReversed ? 'original_closed' : 'duplicate_conflict'];
    }
    if (asks && type !== 'balance_inquiry') {
      const isOther = this.#isOtherMerchant(message, card);
      const blocked = listRefusal(message, [card.limits, user.limits, account.limits], isOther);
      if (blocked !== null) return [blocked];
      const failed = signalRefusal(message, { card: card.limits, user: user.limits, account: account.limits });
      if (failed !== null) return failed;
      const isUsed = typeOf(card) === 'single_use' && this.purchases(card) !== null;
      if (isUsed && type !== 'incremental' && about === null) return ['limit_exceeded', 'card.lifetime.count'];
    }
    if (type === 'authorization' || type === 'incremental') {
      const exceeded = this.#limitExceeded(message, card, about, day);
      if (exceeded !== null) return ['limit_exceeded', exceeded];
      const partial = type === 'authorization' && message.partialAllowed === true && account.partialApproval === true;
      const available = this.available(card.account);
      if (available < BigInt(message.amount!) && !(partial && available > 0n)) return ['insufficient_funds'];
    }
    return null;
  }

  /** What the card, and those that it replaced, have bought; only kept of cards that are not virtual. */
  purchases(card: CardConfig): { readonly count: number; readonly merchant: string } | null {
    return this.#purchases.get(lineOf(card)) ?? null;
  }

  #buy(card: CardConfig, message: Message): void {
    if (typeOf(card) === 'virtual') return;
    const { count, merchant } = this.purchases(card) ?? { count: 0, merchant: '' };
    this.#purchases.set(lineOf(card), { count: count + 1, merchant: merchant || (message.merchantId ?? '') });
  }

  #undoPurchase(card: CardConfig): void {
    const known = this.purchases(card);
    if (known === null) return;
    if (known.count === 1) this.#purchases.delete(lineOf(card));
    else this.#purchases.set(lineOf(card), { ...known, count: known.count - 1 });
  }

  #isOtherMerchant(message: Message, card: CardConfig): boolean {
    if (typeOf(card) !== 'merchant_locked' || message.type === 'balance_inquiry') return false;
    const locked = this.purchases(card)?.merchant ?? '';
    if (message.merchantId !== undefined) return locked !== '' && message.merchantId !== locked;
    return message.type === 'authorization' || (message.type === 'verification' && locked !== '');
  }

  #limitExceeded(message: Message, card: CardConfig, about: Transaction | null, day: string): string | null {
    const amount = BigInt(message.amount!);
    const grown = about === null ? amount : amount + heldOf(about) + about.cleared;
    const owners: Record<LevelName, [number, Limits | null | undefined]> = {
      card: [lineOf(card), card.limits],
      user: [card.user, this.#users.get(card.user)!.limits],
      account: [card.account, this.#accounts.get(card.account)!.limits],
    };
    for (const level of levelNames) {
      const most = owners[level][1]?.perAuthorization;
      if (most !== undefined && grown > BigInt(most)) return `${level}.perAuthorization`;
    }
    for (const level of levelNames) {
      const [number, limits] = owners[level];
      for (const window of windowNames) {
        const limit: WindowLimit | undefined = limits?.[window];
        const spent = this.spent(level, number, this.#accounts.get(card.account)!.currency, window, day);
        if (limit?.amount !== undefined && spent.amount + amount > BigInt(limit.amount)) {
          return `${level}.${window}.amount`;
        }
        const counts = about === null;
        if (limit?.count !== undefined && counts && spent.count + 1 > limit.count) return `${level}.${window}.count`;
      }
    }
    return null;
  }

  // --- approvals -----------------------------------------------------------------------------------------------------

  #approve(message: Message, card: CardConfig, about: Transaction | null, day: string, nowMs: number): ModelAnswer {
    const asked = BigInt(message.amount ?? 0);
    let approved = asked;
    let said = asked;
    let detail = '';
    let partial = false;
    let transaction = about;
    let took: Answered['took'] = null;
    switch (message.type) {
      case 'authorization':
      case 'advice': {
        if (about !== null && message.type === 'advice') {
          if (about.status === 'open') {
            about.expiresAtMs = Math.max(about.expiresAtMs, nowMs + this.#lifeOf(message));
          }
          this.#replaceHold(about, asked, day);
          break;
        }
        const available = this.available(card.account);
        if (message.type === 'authorization' && available < asked) {
          approved = available;
          partial = true;
        }
        if (about !== null) {
          this.#grow(about, approved, day, nowMs + this.#lifeOf(message));
          took = { day, held: approved, posted: 0n, opened: true, rejoined: true };
          break;
        }
        const long = this.#lifeOf(message);
        const capture = message.capture === true;
        transaction = this.#open(message.id, card, capture ? 'completed' : 'open', day, nowMs + long);
        if (capture) transaction.cleared = approved;
        else transaction.parts.push({ day, held: approved });
        this.#spend(card, day, approved, 1);
        took = { day, held: capture ? 0n : approved, posted: capture ? approved : 0n, opened: true, rejoined: false };
        this.#buy(card, message);
        break;
      }
      case 'incremental':
        this.#grow(about!, asked, day, nowMs + this.#lifeOf(message));
        took = { day, held: asked, posted: 0n, opened: false, rejoined: false };
        break;
      case 'reversal':
        approved = message.amount === undefined ? heldOf(about!) : least(asked, heldOf(about!));
        if (message.amount === undefined) said = approved;
        this.#reverse(about!, approved);
        break;
      case 'clearing':
        if (about === null || about.status !== 'open') {
          const beyond = about === null || asked > 0n;
          if (beyond) detail = 'force_post';
        }
        transaction = this.#clear(message, card, about, asked, day);
        break;
      case 'refund':
        if (message.original !== undefined && asked > (about === null ? 0n : postedOf(about))) detail = 'force_post';
        transaction = about ?? this.#open(message.id, card, 'completed', epochDay, 0);
        if (about !== null && this.#policy.refundRestoresWindows) {
          const posted = postedOf(about);
          this.#spend(about.card, about.firstDay, -least(asked, posted > 0n ? posted : 0n), 0);
        }
        transaction.refunded += asked;
        break;
      default:
        transaction = null;
    }
    const answer: ModelAnswer = {
      approved: true,
      reason: 'approved',
      detail,
      responseCode: partial ? '10' : message.type === 'verification' ? '85' : '00',
      amount: Number(said),
      approvedAmount: Number(approved),
      available: Number(this.available(card.account)),
    };
    return this.#remember(message, answer, transaction, took);
  }

  /** What an advice says is held from now on; what was cleared for good stays as it is. */
  #replaceHold(about: Transaction, amount: bigint, day: string): void {
    if (about.status !== 'open') return;
    const added = amount - heldOf(about);
    if (added < 0n) this.#release(about, -added);
    if (added <= 0n) return;
    about.parts.push({ day, held: added });
    about.newestDay = day;
    this.#spend(about.card, day, added, 0);
  }

  #grow(about: Transaction, amount: bigint, day: string, expiresAtMs: number): void {
    about.parts.push({ day, held: amount });
    about.newestDay = day;
    about.expiresAtMs = Math.max(about.expiresAtMs, expiresAtMs);
    this.#spend(about.card, day, amount, 0);
  }

  #lifeOf(message: Message): number {
    return isLongStay(message.mcc) ? this.#policy.holdLongMs : this.#policy.holdMs;
  }

  #reverse(about: Transaction, amount: bigint): void {
    this.#release(about, amount);
    if (about.status !== 'open' || heldOf(about) > 0n) return;
    about.status = postedOf(about) > 0n ? 'completed' : 'reversed';
    if (about.status === 'reversed') this.#spend(about.card, about.firstDay, 0n, -1);
  }

  #clear(message: Message, card: CardConfig, about: Transaction | null, amount: bigint, day: string): Transaction {
    if (about === null) {
      const forced = this.#open(message.id, card, 'completed', day, 0);
      forced.cleared = amount;
      this.#buy(card, message);
      this.#spend(card, day, amount, 1);
      return forced;
    }
    const fromHold = least(amount, heldOf(about));
    const beyond = amount - fromHold;
    // The hold is used up from its oldest part; its windows keep what was posted from it.
    let rest = fromHold;
    for (const part of about.parts) {
      const used = least(rest, part.held);
      part.held -= used;
      rest -= used;
    }
    about.cleared += amount;
    const wasOpen = about.status === 'open';
    const cameOfNothing = about.status === 'reversed' || about.status === 'expired';
    if (beyond > 0n) {
      this.#spend(about.card, day, beyond, cameOfNothing ? 1 : 0);
      about.newestDay = day;
    }
    if (message.final ?? true) this.#release(about, heldOf(about));
    if (wasOpen && message.final === false) return about;
    const something = amount > 0n || postedOf(about) > 0n || about.status === 'completed';
    about.status = something ? 'completed' : 'reversed';
    if (about.status === 'reversed' && wasOpen) this.#spend(about.card, about.firstDay, 0n, -1);
    return about;
  }

  // --- holds and windows ---------------------------------------------------------------------------------------------

  #open(id: string, card: CardConfig, status: Transaction['status'], day: string, expiresAtMs: number): Transaction {
    const transaction: Transaction = {
      id,
      account: card.account,
      card,
      status,
      parts: [],
      cleared: 0n,
      refunded: 0n,
      firstDay: day,
      newestDay: day,
      expiresAtMs,
    };
    // One that gave its id up is shown under another name.
    this.#transactions = [...this.#transactions.filter((other) => other.id !== id), transaction];
    return transaction;
  }

  /** Frees part of a hold, the newest first, and gives the windows back what it had taken. */
  #release(transaction: Transaction, amount: bigint): void {
    let rest = amount;
    for (const part of [...transaction.parts].reverse()) {
      const freed = least(rest, part.held);
      part.held -= freed;
      rest -= freed;
      const day = part.day === transaction.newestDay ? part.day : transaction.firstDay;
      if (freed > 0n) this.#spend(transaction.card, day, -freed, 0);
    }
  }

  /** Frees part of a hold, of one day first; the caller settles the windows. */
  #unhold(transaction: Transaction, amount: bigint, day: string): void {
    let rest = amount;
    const newestFirst = [...transaction.parts].reverse();
    const ordered = [
      ...newestFirst.filter((part) => part.day === day),
      ...transaction.parts.filter((part) => part.day !== day),
    ];
    for (const part of ordered) {
      const freed = least(rest, part.held);
      part.held -= freed;
      rest -= freed;
    }
  }

  #spend(card: CardConfig, day: string, amount: bigint, count: number): void {
    const { currency } = this.#accounts.get(card.account)!;
    for (const owner of [`card ${lineOf(card)}`, `user ${card.user}`, `account ${card.account}`]) {
      const key = `${owner} ${currency}`;
      const entries = this.#spent.get(key) ?? [];
      entries.push({ day, amount, count });
      this.#spent.set(key, entries);
    }
  }

  #remember(
    message: Message,
    answer: ModelAnswer,
    transaction: Transaction | null,
    took: Answered['took'] = null,
  ): ModelAnswer {
    this.#revoked.delete(keyOf(message));
    this.#answered.set(keyOf(message), { message, answer, transaction, took });
    return answer;
  }
}

// --- words -----------------------------------------------------------------------------------------------------------

function refusal(reason: string, message: Message, available: bigint, detail = ''): ModelAnswer {
  return {
    approved: false,
    reason,
    detail,
    responseCode: detail.endsWith('.count') ? '65' : codes[reason]!,
    amount: Math.max(0, message.amount ?? 0),
    approvedAmount: 0,
    available: Number(available),
  };
}

function typeOf({ type = 0 }: CardConfig): 'virtual' | 'single_use' | 'merchant_locked' {
  return (['virtual', 'single_use', 'merchant_locked'] as const)[type];
}

/** The first of the cards of which each replaced the one before. */
function lineOf({ number, spendNumber = number }: CardConfig): number {
  return spendNumber;
}

function isOpening(message: Message): boolean {
  return message.type === 'authorization' || message.type === 'advice';
}

/** Reports of what has happened already: they are never too late. */
export function isFact(message: Message): boolean {
  return ['reversal', 'clearing', 'refund', 'advice'].includes(message.type);
}

function isAmountValid(message: Message): boolean {
  const { type, amount } = message;
  if (amount !== undefined && BigInt(amount) > amountMax) return false;
  switch (type) {
    case 'clearing':
      return amount !== undefined;
    case 'reversal':
      return amount === undefined || amount > 0;
    case 'verification':
    case 'balance_inquiry':
      return amount === undefined || amount === 0;
    default:
      return amount !== undefined && amount > 0;
  }
}

/** Lodging and car rental, by merchant category. */
function isLongStay(mcc: number | undefined): boolean {
  if (mcc === undefined) return false;
  const carRental = (mcc >= 3351 && mcc <= 3500) || [7512, 7513, 7519].includes(mcc);
  const lodging = (mcc >= 3501 && mcc <= 3999) || mcc === 7011;
  return carRental || lodging;
}

function listRefusal(
  message: Message,
  limits: readonly (Limits | null | undefined)[],
  isOtherMerchant: boolean,
): string | null {
  const lists = [
    ['mcc_blocked', 'mcc', message.mcc === undefined ? undefined : String(message.mcc).padStart(4, '0')],
    ['merchant_blocked', 'merchants', message.merchantId],
    ['country_blocked', 'countries', message.country],
    ['channel_blocked', 'channels', message.channel],
  ] as const;
  for (const [reason, name, value] of lists) {
    if (name === 'merchants' && isOtherMerchant) return reason;
    // An increment repeats the purchase that was allowed: what it leaves out is not held against it.
    if (value === undefined && message.type === 'incremental') continue;
    for (const owner of limits) {
      const list = owner?.[name];
      if (list?.allow !== undefined && (value === undefined || !list.allow.includes(value))) return reason;
      if (list?.block !== undefined && value !== undefined && list.block.includes(value)) return reason;
    }
  }
  return null;
}

/** What the limits ask of verification results, wallet and recurrence. */
function signalRefusal(
  message: Message,
  limits: Readonly<Record<LevelName, Limits | null | undefined>>,
): [string, string?] | null {
  const isIncrement = message.type === 'incremental';
  for (const level of levelNames) {
    for (const name of ['avs', 'cvv', 'threeDS'] as const) {
      const result = message[name];
      const mode = limits[level]?.verification?.[name];
      if (isIncrement && result === undefined) continue;
      const declines = (mode === 'require' && result !== 'match') || (mode === 'block' && result === 'mismatch');
      if (declines) return ['verification_failed', `${level}.verification.${name}`];
    }
  }
  for (const level of levelNames) {
    const { allow, block } = limits[level]?.wallets ?? {};
    if (allow !== undefined && !allow.includes(message.wallet ?? 'absent') && !(isIncrement && !message.wallet))
      return ['wallet_blocked'];
    if (block?.includes(message.wallet ?? 'absent') === true) return ['wallet_blocked'];
  }
  const isBlocked = message.recurring === true && levelNames.some((level) => limits[level]?.recurring === 'block');
  return isBlocked ? ['recurring_blocked'] : null;
}

function heldOf(transaction: Transaction): bigint {
  return sum(transaction.parts.map((part) => part.held));
}

function postedOf(transaction: Transaction): bigint {
  return transaction.cleared - transaction.refunded;
}

function sum(amounts: readonly bigint[]): bigint {
  return amounts.reduce((total, amount) => total + amount, 0n);
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

/** The same question, field by field, absent and default being one. */
export function sameContent(first: Message, second: Message): boolean {
  const content = (message: Message) => [
    ...[message.type, message.card, message.amount, message.currency, message.original, message.merchantId],
    ...[message.mcc, message.country, message.channel, message.wallet, message.recurring],
    ...[message.avs, message.cvv, message.threeDS],
    ...[message.partialAllowed ?? false, message.final ?? true, message.capture ?? false],
  ];
  return JSON.stringify(content(first)) === JSON.stringify(content(second));
}

// --- calendar --------------------------------------------------------------------------------------------------------

const formats = new Map<string, Intl.DateTimeFormat>();

function localDate(timeZone: string, atMs: number): string {
  const format = formats.get(timeZone) ?? new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short' });
  formats.set(timeZone, format);
  return format.format(atMs);
}

function daysSince1970(date: string): number {
  return Date.parse(`${date}T00:00:00Z`) / 86_400_000;
}

/** The calendar period that a date lies in, as a text that differs from period to period. */
function period(window: WindowName, date: string): string {
  if (window === 'daily') return date;
  if (window === 'monthly') return date.slice(0, 7);
  if (window === 'yearly') return date.slice(0, 4);
  if (window === 'lifetime') return '';
  const midnight = new Date(`${date}T00:00:00Z`);
  midnight.setUTCDate(midnight.getUTCDate() - ((midnight.getUTCDay() + 6) % 7));
  return midnight.toISOString().slice(0, 10);
}
