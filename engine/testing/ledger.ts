/**
 * The books of a careful client: what it asked, what the answers were, and what follows for every account. It
 * believes nothing but acknowledged answers, so every later answer of the engine must agree with it.
 *
 * Of one transaction it asks one thing at a time, so the order of a transaction's messages is known. On an account that
 * is not hot it asks one thing at a time too, and then knows what every answer's `available` must be.
 */
import type { Random } from '../protocols/testing/mutate.js';
import { type NativeAnswer, stableBody } from './client.js';

export interface LedgerAccount {
  /** Public id. */
  readonly id: string;
  readonly cards: readonly string[];
  funds: number;
  /** Many messages at a time; otherwise one. */
  readonly isHot: boolean;
  held: number;
  posted: number;
  isBusy: boolean;
  readonly transactions: Transaction[];
}

interface Transaction {
  readonly id: string;
  readonly card: string;
  held: number;
  isBusy: boolean;
  /** Closed for good: an advice holds nothing there any more. */
  isOver: boolean;
}

interface Message {
  readonly id: string;
  readonly type: string;
  readonly card: string;
  readonly amount?: number;
  readonly currency?: string;
  readonly original?: string;
  readonly final?: boolean;
  readonly merchant?: object;
}

/** Money in or out, asked on the ops port. */
export type CommandKind = 'deposits' | 'withdrawals';

/** What a ledger command is answered. */
interface CommandAnswer {
  readonly id: string;
  readonly approved: boolean;
  readonly reason: string;
  readonly amount: number;
  readonly account: {
    readonly id: string;
    readonly funds: number;
    readonly available: number;
    readonly held: number;
    readonly posted: number;
  };
}

/** A message that was or will be asked. */
export interface Asked {
  /** Null: a card message. */
  readonly command: CommandKind | null;
  readonly message: Message;
  readonly text: string;
  readonly account: LedgerAccount;
  readonly transaction: Transaction | null;
  /** The acknowledged answer without its response time; '' while the outcome is unknown. */
  answer: string;
  /** By the client's clock: when it was asked first, and when its answer came. */
  readonly askedAtMs: number;
  answeredAtMs: number;
  /** The authorization port where it was asked last. */
  askedOf: number;
}

export class Ledger {
  readonly accounts: readonly LedgerAccount[];
  readonly #random: Random;
  readonly #prefix: string;
  readonly #commandIds = new Set<string>();
  #count = 0;
  /** What was acknowledged, in order. */
  readonly acknowledged: Asked[] = [];
  /** Asked, outcome unknown: to be asked again before anything else of that transaction. */
  readonly unknown = new Set<Asked>();
  approved = 0;
  declined = 0;

  /** @param accounts as seedAccounts makes them; the first `hot` are hot */
  constructor(random: Random, accounts: number, cardsPerAccount: number, fundsMinor: number, hot: number) {
    this.#random = random;
    this.#prefix = `q${random.next().toString(36)}`;
    this.accounts = Array.from({ length: accounts }, (_, index) => {
      const number = String(index + 1).padStart(6, '0');
      return {
        id: `acct_${number}`,
        cards: Array.from({ length: cardsPerAccount }, (_, card) => `card_${number}_${card + 1}`),
        funds: fundsMinor,
        isHot: index < hot,
        held: 0,
        posted: 0,
        isBusy: false,
        transactions: [],
      };
    });
  }

  /** Something new to ask; null when the account that was drawn is busy. */
  draw(): Asked | null {
    const random = this.#random;
    const hot = this.accounts.filter((account) => account.isHot);
    const account = random.oneIn(2) && hot.length > 0 ? random.pick(hot) : random.pick(this.accounts);
    if (account.isBusy) return null;
    const card = random.pick(account.cards);
    if (random.oneIn(10)) return this.#command(account);
    const roll = random.below(100);
    const amount = 1 + random.below(random.oneIn(8) ? 40_000 : 900);
    if (roll < 45) return this.#open(account, { type: 'authorization', card, amount });
    if (roll < 49) return this.#open(account, { type: 'advice', card, amount: 1 + random.below(200) });
    if (roll < 52) return this.#plain(account, { type: 'verification', card });
    if (roll < 55) return this.#plain(account, { type: 'balance_inquiry', card });
    if (roll < 57) return this.#plain(account, { type: 'refund', card, amount: 1 + random.below(300) });
    // A force post: no authorization came before it, and it cannot be refused.
    if (roll < 58) return this.#plain(account, { type: 'clearing', card, amount: 1 + random.below(50) });
    // A reversal that overtakes its authorization: nothing may ever be held under that id.
    if (roll < 60) return this.#plain(account, { type: 'reversal', card, original: `${this.#nextId()}-never` });
    const open = account.transactions.filter((transaction) => !transaction.isBusy);
    if (open.length === 0) return null;
    const transaction = random.pick(open);
    if (roll < 62) return this.#follow(account, transaction, { type: 'advice', amount: 1 + random.below(600) });
    if (roll < 70) return this.#follow(account, transaction, { type: 'incremental', amount: 1 + random.below(300) });
    if (roll < 80) {
      const part = random.oneIn(2) ? { amount: 1 + random.below(400) } : {};
      return this.#follow(account, transaction, { type: 'reversal', ...part });
    }
    if (roll < 95) {
      const wanted = random.oneIn(3) ? random.below(1200) : Math.max(1, transaction.held - random.below(3));
      return this.#follow(account, transaction, { type: 'clearing', amount: wanted, final: !random.oneIn(3) });
    }
    return this.#follow(account, transaction, { type: 'refund', amount: 1 + random.below(200) });
  }

  /** An earlier message, to be asked again. */
  drawAcknowledged(): Asked | null {
    return this.acknowledged.length === 0 ? null : this.#random.pick(this.acknowledged);
  }

  #nextId(): string {
    return `${this.#prefix}-${++this.#count}`;
  }

  #open(account: LedgerAccount, message: Omit<Message, 'id'>): Asked {
    const id = this.#nextId();
    return this.#asked(account, { id, card: message.card, held: 0, isBusy: false, isOver: false }, { ...message, id });
  }

  /** Money in or out; some under the id of a card message, which they must never meet. */
  #command(account: LedgerAccount): Asked {
    const random = this.#random;
    const id = this.#nextId();
    const earlier = random.oneIn(4)
      ? random.pick(this.acknowledged.slice(-50).concat(this.acknowledged[0] ?? []))
      : undefined;
    const taken = earlier?.message.id;
    const isFree = taken !== undefined && earlier?.command === null && !this.#commandIds.has(taken);
    const message = { id: isFree ? taken : id, type: 'command', card: account.id, amount: 1 + random.below(3000) };
    this.#commandIds.add(message.id);
    // More goes out than comes in, so that some is refused.
    return this.#asked(account, null, message, random.oneIn(3) ? 'deposits' : 'withdrawals');
  }

  #plain(account: LedgerAccount, message: Omit<Message, 'id'>): Asked {
    return this.#asked(account, null, { ...message, id: this.#nextId() });
  }

  #follow(account: LedgerAccount, transaction: Transaction, message: Omit<Message, 'id' | 'card' | 'original'>): Asked {
    return this.#asked(account, transaction, {
      ...message,
      id: this.#nextId(),
      card: transaction.card,
      original: transaction.id,
    });
  }

  #asked(
    account: LedgerAccount,
    transaction: Transaction | null,
    message: Message,
    command: CommandKind | null = null,
  ): Asked {
    const whole = {
      ...message,
      ...(message.amount === undefined ? {} : { currency: 'USD' }),
      merchant: { id: 'm-1', name: 'Corner Store', mcc: '5411', country: 'US' },
    };
    if (transaction !== null) transaction.isBusy = true;
    if (!account.isHot) account.isBusy = true;
    const { id, amount } = message;
    const text = JSON.stringify(command === null ? whole : { id, amount });
    const asked: Asked = {
      command,
      message: whole,
      text,
      account,
      transaction,
      answer: '',
      askedAtMs: performance.now(),
      answeredAtMs: 0,
      askedOf: 0,
    };
    this.unknown.add(asked);
    return asked;
  }

  /**
   * Books the first acknowledged answer to a message.
   * @returns what is wrong with it, '' when nothing is
   */
  acknowledge(asked: Asked, body: string): string {
    asked.answeredAtMs = performance.now();
    return asked.command === null
      ? this.#acknowledgeMessage(asked, body)
      : this.#acknowledgeCommand(asked, asked.command, body);
  }

  #acknowledgeMessage(asked: Asked, body: string): string {
    const answer = JSON.parse(body) as NativeAnswer;
    asked.answer = stableBody(body);
    this.unknown.delete(asked);
    this.acknowledged.push(asked);
    const { account, transaction, message } = asked;
    if (transaction !== null) transaction.isBusy = false;
    account.isBusy = false;
    if (answer.id !== message.id) return `asked ${message.id}, answered ${answer.id}`;
    if (answer.approved) this.approved++;
    else this.declined++;
    if (answer.approved) this.#book(asked, answer);
    const isSpending = message.type === 'authorization' || message.type === 'incremental';
    if (answer.approved && isSpending && answer.available < 0) return `overspent: ${asked.text} → ${body}`;
    if (answer.reason === 'insufficient_funds' && answer.available >= message.amount!) {
      return `declined although there was enough: ${asked.text} → ${body}`;
    }
    if (message.original?.endsWith('-never') === true && answer.approved) return `approved out of nothing: ${body}`;
    const available = account.funds - account.held - account.posted;
    if (!account.isHot && answer.available !== available) {
      return `available must be ${available} after ${asked.text} → ${body}`;
    }
    return '';
  }

  #acknowledgeCommand(asked: Asked, command: CommandKind, body: string): string {
    const answer = JSON.parse(body) as CommandAnswer;
    const { account, message } = asked;
    asked.answer = body;
    this.unknown.delete(asked);
    this.acknowledged.push(asked);
    account.isBusy = false;
    if (answer.id !== message.id || answer.account.id !== account.id) return `asked ${asked.text}, answered ${body}`;
    if (answer.approved) this.approved++;
    else this.declined++;
    const before = account.funds - account.held - account.posted;
    if (answer.approved) account.funds += command === 'deposits' ? message.amount! : -message.amount!;
    const { funds, available, held, posted } = answer.account;
    if (funds !== available + held + posted) return `books that do not balance: ${body}`;
    if (!answer.approved && (command === 'deposits' || answer.reason !== 'insufficient_funds'))
      return `refused: ${body}`;
    if (answer.approved && command === 'withdrawals' && available < 0) return `overdrawn: ${asked.text} → ${body}`;
    if (account.isHot) return '';
    if (!answer.approved && before >= message.amount!) return `there were ${before} for ${asked.text} → ${body}`;
    const expected = [account.funds, account.held, account.posted];
    if (`${[funds, held, posted]}` !== `${expected}`) return `books must be ${expected} after ${asked.text} → ${body}`;
    return '';
  }

  #book({ account, transaction, message }: Asked, answer: NativeAnswer): void {
    let held = 0;
    let posted = 0;
    switch (message.type) {
      case 'authorization':
        account.transactions.push(transaction!);
        held = answer.approvedAmount;
        break;
      case 'advice':
        // Of a known original it replaces the hold; where that is over, the advice opened its own.
        if (message.original === undefined) account.transactions.push(transaction!);
        else if (answer.authorizationId !== message.original) {
          account.held += answer.approvedAmount;
          return;
        }
        // What was cleared for good is not held once more.
        held = transaction?.isOver === true ? 0 : answer.approvedAmount - (transaction?.held ?? 0);
        break;
      case 'incremental':
        held = answer.approvedAmount;
        break;
      case 'reversal':
        held = -answer.approvedAmount;
        break;
      case 'clearing': {
        const before = transaction?.held ?? 0;
        const fromHold = Math.min(answer.approvedAmount, before);
        posted = answer.approvedAmount;
        held = message.final === false ? -fromHold : -before;
        break;
      }
      case 'refund':
        posted = -answer.approvedAmount;
        break;
    }
    if (transaction !== null) {
      transaction.held += held;
      const isLast = message.type === 'clearing' && message.final !== false;
      if (isLast || (message.type === 'reversal' && transaction.held === 0)) transaction.isOver = true;
    }
    account.held += held;
    account.posted += posted;
  }
}
