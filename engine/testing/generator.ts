/**
 * Seeded random traffic: what a card program sees in a year, compressed. It has several cards and users per account,
 * every message type, money paid in and out, and limits and freezes that come and go. Reversals overtake their
 * authorization, and days, weeks and months pass. The same seed gives the same traffic; nothing here knows what the
 * engine answers.
 */
import { Status } from '../core/accounts.js';
import { CardType } from '../core/card-types.js';
import { windowNames } from '../core/limit-names.js';
import type { Limits } from '../core/rules.js';
import { type VerificationMode, verificationNames, walletNames } from '../core/vocabulary.js';
import {
  type AccountConfig,
  accountName,
  type CardConfig,
  type ChannelName,
  dayMs,
  isCommand,
  type Message,
  type TypeName,
  type UserConfig,
} from './world.js';

export type Step =
  | { readonly kind: 'account'; readonly config: AccountConfig }
  | { readonly kind: 'user'; readonly config: UserConfig }
  | { readonly kind: 'card'; readonly config: CardConfig }
  | { readonly kind: 'message'; readonly message: Message }
  /** An id that was used before: with the same content a repeat, with other content a conflict. */
  | { readonly kind: 'again'; readonly message: Message }
  /** The hold of that transaction may have lapsed. */
  | { readonly kind: 'expire'; readonly id: string }
  /** That question missed its deadline: its approval, if it was one, is revoked. */
  | { readonly kind: 'revoke'; readonly id: string };

export interface GeneratorOptions {
  readonly repeats: boolean;
  /** Reversals may come before their authorization. */
  readonly overtakes: boolean;
  readonly startMs: number;
}

/** mulberry32, a well-known 32-bit generator: fifteen lines less than a dependency. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed | 0;
  }
  /** Uniform in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
  /** An integer 0 … below − 1. */
  below(below: number): number {
    return Math.floor(this.next() * below);
  }
  chance(odds: number): boolean {
    return this.next() < odds;
  }
  pick<V>(values: readonly V[]): V {
    return values[this.below(values.length)]!;
  }
}

/**
 * Who owns what in the generated world: [account, user] by card. Accounts 1 and 2 have one time zone and one currency;
 * user 13 has cards of two currencies.
 */
const owners = [
  [1, 11],
  [1, 11],
  [1, 12],
  [2, 12],
  [2, 13],
  [3, 13],
  [3, 14],
  [1, 11],
  [3, 13],
] as const;
/** The last two cards replaced the first and the sixth. Both go on to be used: what each spends counts for both. */
const replaced: Readonly<Record<number, number>> = { 108: 101, 109: 106 };
export const accountNumbers = [1, 2, 3];
export const userNumbers = [11, 12, 13, 14];
export const cardNumbers = owners.map((_, index) => 101 + index);
/** Whose windows a card spends in. */
export function lineOfCard(number: number): number {
  return replaced[number] ?? number;
}
export function accountOfCard(number: number): number {
  return owners[number - 101]![0];
}
export function currencyOf(account: number): string {
  return account === 3 ? 'EUR' : 'USD';
}
/** Each user with each of their currencies; of several accounts in that currency, the first one. */
export const purses: readonly (readonly [user: number, account: number])[] = userNumbers.flatMap((number) => {
  const accounts = owners.filter(([, user]) => user === number).map(([account]) => account);
  const isFirst = (account: number, index: number) =>
    accounts.findIndex((other) => currencyOf(other) === currencyOf(account)) === index;
  return accounts.filter(isFirst).map((account) => [number, account] as const);
});

const zones = ['Europe/Berlin', 'Europe/Berlin', 'America/New_York'];
const mccs = [5411, 5812, 7011, 7512, 742];
const merchants = ['m-1', 'm-2', 'Café №3'];
const countries = ['US', 'DE', 'FR'];
const wallets = walletNames.slice(1);
/** Mostly what passes. */
const results = ['match', 'match', 'match', 'partial', 'mismatch', 'not_checked'] as const;
const channels: readonly ChannelName[] = ['chip', 'contactless', 'ecommerce', 'atm'];
const expiresDaySoon = 20_640;

/** What a type comes up with, in parts of a hundred. */
const typeOdds: readonly (readonly [TypeName, number])[] = [
  ['authorization', 38],
  ['incremental', 12],
  ['reversal', 12],
  ['clearing', 17],
  ['refund', 6],
  ['advice', 4],
  ['verification', 3],
  ['balance_inquiry', 2],
  ['deposit', 3],
  ['withdrawal', 3],
];

/** How much time passes between two steps: mostly none, sometimes a month. */
const pauses: readonly (readonly [number, number])[] = [
  [0.7, 60_000],
  [0.9, 3 * 3_600_000],
  [0.97, 2 * dayMs],
  [0.995, 8 * dayMs],
  [1, 45 * dayMs],
];

export class Generator {
  nowMs: number;
  readonly random: Random;
  readonly #options: GeneratorOptions;
  readonly #accounts: AccountConfig[] = [];
  readonly #users: UserConfig[] = [];
  readonly #cards: CardConfig[] = [];
  readonly #issued: Message[] = [];
  /** Authorizations and increments whose reversal was sent before them. */
  readonly #overtaken: Message[] = [];
  /** The last one whose approval was to be revoked. */
  #revoked: Message | null = null;
  #counter = 0;

  constructor(
    seed: number,
    options: GeneratorOptions = { repeats: false, overtakes: true, startMs: Date.UTC(2026, 2, 27, 20) },
  ) {
    this.random = new Random(seed);
    this.#options = options;
    this.nowMs = options.startMs;
  }

  /**
   * Three accounts, four users, nine cards: users 12 and 13 have cards of two accounts, account 1 has cards of two
   * users.
   */
  setup(): Step[] {
    const { random } = this;
    for (const number of accountNumbers) {
      this.#accounts.push({
        number,
        currency: currencyOf(number),
        funds: random.below(60_000),
        timeZone: zones[number - 1]!,
        partialApproval: random.chance(0.5),
        limits: this.#limits(0.3),
      });
    }
    for (const number of userNumbers) this.#users.push({ number, limits: this.#limits(0.3) });
    for (const [index, [account, user]] of owners.entries()) {
      const limits = this.#limits(0.5);
      const number = cardNumbers[index]!;
      const spendNumber = lineOfCard(number);
      // A replacement is of the type of the card that it replaced.
      const type = this.#cards.find((card) => card.number === spendNumber)?.type ?? this.#cardType();
      this.#cards.push({ token: `card-${index + 1}`, number, account, user, limits, type, spendNumber });
    }
    return [
      ...this.#accounts.map((config): Step => ({ kind: 'account', config })),
      ...this.#users.map((config): Step => ({ kind: 'user', config })),
      ...this.#cards.map((config): Step => ({ kind: 'card', config })),
    ];
  }

  #cardType(): CardType {
    const roll = this.random.next();
    return roll < 0.6 ? CardType.virtual : roll < 0.75 ? CardType.singleUse : CardType.merchantLocked;
  }

  /** The next thing that happens, at `nowMs`. */
  next(): Step {
    const { random } = this;
    const roll = random.next();
    this.nowMs += random.below(pauses.find(([odds]) => roll < odds)![1]);
    const what = random.next();
    if (what < 0.04) return this.#change();
    if (what < 0.08 && this.#issued.length > 0) return { kind: 'expire', id: this.#recent().id };
    if (what < 0.14 && this.#issued.length > 0) {
      this.#revoked = this.#newestQuestion();
      return { kind: 'revoke', id: this.#revoked.id };
    }
    if (what < 0.2 && this.#options.repeats && this.#issued.length > 0) return this.#again();
    if (what < 0.23 && this.#overtaken.length > 0) return this.#issue(this.#overtaken.shift()!);
    return this.#issue(this.#message());
  }

  #issue(message: Message): Step {
    this.#issued.push(message);
    return { kind: 'message', message };
  }

  /** One of the newest messages, the newer the likelier. */
  #recent(most = 40): Message {
    const back = Math.floor(this.random.next() ** 2 * Math.min(most, this.#issued.length));
    return this.#issued[this.#issued.length - 1 - back]!;
  }

  /** The newest message that asks for money, if one of the last few does: only its approval can be revoked. */
  #newestQuestion(): Message {
    const asks = ({ type }: Message) => type === 'authorization' || type === 'incremental';
    return this.#issued.slice(-6).findLast(asks) ?? this.#recent();
  }

  #again(): Step {
    const message = this.#revoked !== null && this.random.chance(0.3) ? this.#revoked : this.#recent();
    if (this.random.chance(0.6)) return { kind: 'again', message };
    const other = this.random.pick<Partial<Message>>([
      { amount: (message.amount ?? 0) + 1 },
      { card: this.random.pick(this.#cards).token },
      { type: 'advice' },
      { original: 'm-other' },
      { mcc: 1234 },
      { partialAllowed: !(message.partialAllowed ?? false) },
    ]);
    return { kind: 'again', message: { ...message, ...other } };
  }

  /** An API freezes, thaws, closes or limits something. */
  #change(): Step {
    const { random } = this;
    const status = random.pick([Status.active, Status.active, Status.frozen, Status.closed]);
    const limits = this.#limits(0.5);
    const partialApproval = random.chance(0.5);
    const expiresDay = random.chance(0.3) ? { expiresDay: expiresDaySoon + random.below(200) } : {};
    switch (random.below(3)) {
      case 0:
        return { kind: 'account', config: { ...random.pick(this.#accounts), status, limits, partialApproval } };
      case 1:
        return { kind: 'user', config: { ...random.pick(this.#users), status, limits } };
      default:
        return { kind: 'card', config: { ...random.pick(this.#cards), status, limits, ...expiresDay } };
    }
  }

  #limits(odds: number): Limits | null {
    const { random } = this;
    if (!random.chance(odds)) return null;
    const limits: { -readonly [K in keyof Limits]: Limits[K] } = {};
    if (random.chance(0.3)) limits.perAuthorization = random.below(3000);
    for (const name of windowNames) {
      if (!random.chance(0.3)) continue;
      limits[name] = {
        ...(random.chance(0.7) ? { amount: random.below(12_000) } : {}),
        ...(random.chance(0.4) ? { count: random.below(12) } : {}),
      };
    }
    const list = (members: readonly string[]) => {
      const some = members.filter(() => random.chance(0.5));
      return random.chance(0.3) ? { allow: some } : { block: some };
    };
    if (random.chance(0.1)) limits.mcc = list(mccs.map((mcc) => String(mcc).padStart(4, '0')));
    if (random.chance(0.1)) limits.merchants = list(merchants);
    if (random.chance(0.1)) limits.countries = list(countries);
    if (random.chance(0.1)) limits.channels = list(channels);
    if (random.chance(0.1)) limits.wallets = list(wallets);
    if (random.chance(0.1)) limits.recurring = random.pick(['allow', 'block'] as const);
    if (random.chance(0.15)) {
      const modes = verificationNames.filter(() => random.chance(0.4)).map((name) => [name, this.#mode()] as const);
      limits.verification = Object.fromEntries(modes);
    }
    return limits;
  }

  /** A card that requires matches buys little, so it does so seldom. */
  #mode(): VerificationMode {
    return this.random.chance(0.1) ? 'require' : this.random.pick(['allow', 'block'] as const);
  }

  #message(): Message {
    const { random } = this;
    let roll = random.below(100);
    const [type] = typeOdds.find(([, odds]) => {
      roll -= odds;
      return roll < 0;
    })!;
    const id = `m${++this.#counter}`;
    const follows = type === 'incremental' || type === 'reversal' || type === 'clearing' || type === 'refund';
    if (type === 'deposit' || type === 'withdrawal') return this.#command(id, type);
    if (type === 'advice' && random.chance(0.5)) return { ...this.#followUp(id, type), ...this.#said() };
    if (!follows) return this.#question(id, type);
    if (this.#options.overtakes && type === 'reversal' && random.chance(0.08)) {
      const overtakenId = `m${++this.#counter}`;
      const overtaken = random.chance(0.3)
        ? this.#followUp(overtakenId, 'incremental')
        : this.#question(overtakenId, random.chance(0.8) ? 'authorization' : 'advice');
      this.#overtaken.push(overtaken);
      return { id, type, card: overtaken.card, original: overtaken.id };
    }
    return this.#followUp(id, type);
  }

  /** Money in or out. Some have the id of a card message: the two must never meet. */
  #command(id: string, type: TypeName): Message {
    const { random } = this;
    const cardMessages = this.#issued.filter((message) => message.type === 'authorization');
    const taken = random.chance(0.3) ? cardMessages.at(-1)?.id : undefined;
    const isNew = taken !== undefined && !this.#issued.some((message) => message.id === taken && isCommand(message));
    return {
      id: isNew ? taken : id,
      type,
      // A client that repeats things also gets an account wrong now and then.
      card: accountName(this.#options.repeats && random.chance(0.1) ? 9 : random.pick(this.#accounts).number),
      amount: this.#amount(),
    };
  }

  /** A message that stands alone. */
  #question(id: string, type: TypeName): Message {
    const { random } = this;
    const amount = this.#amount();
    const silent = type === 'balance_inquiry' || (type === 'verification' && random.chance(0.5));
    return {
      id,
      type,
      card: random.chance(0.01) ? 'missing' : random.pick(this.#cards).token,
      ...(silent ? {} : { amount: type === 'verification' ? 0 : amount }),
      ...this.#said(),
      partialAllowed: random.chance(0.3),
      capture: type === 'authorization' && random.chance(0.1),
    };
  }

  #followUp(id: string, type: TypeName): Message {
    const { random } = this;
    const first = this.#issued.length === 0 ? undefined : this.#recent();
    // Mostly the card that was asked about, sometimes another one; the original may be any message, or none.
    const card = first === undefined || random.chance(0.05) ? random.pick(this.#cards).token : first.card;
    const original = first === undefined || random.chance(0.04) ? 'm-missing' : first.id;
    const whole = first?.amount ?? 0;
    const amount = random.pick([whole, whole, Math.ceil(whole / 2), whole + 1, this.#amount()]);
    return {
      id,
      type,
      card,
      ...(type === 'reversal' && random.chance(0.5) ? {} : { amount }),
      ...(type !== 'incremental' && type !== 'reversal' && random.chance(0.15) ? {} : { original }),
      ...(type === 'incremental' && random.chance(0.5) ? {} : this.#said()),
      final: type !== 'clearing' || random.chance(0.7),
    };
  }

  /** Mostly small, sometimes at an edge, now and then nonsense. */
  #amount(): number {
    const { random } = this;
    if (random.chance(0.02)) return random.pick([0, 1, 10 ** 14, 10 ** 14 + 1]);
    return 1 + random.below(10 ** (1 + random.below(4)));
  }

  /** What a message says about merchant and currency, or leaves out. */
  #said(): Partial<Message> {
    const { random } = this;
    return {
      ...(random.chance(0.9) ? { mcc: random.pick(mccs) } : {}),
      ...(random.chance(0.8) ? { merchantId: random.pick(merchants) } : {}),
      ...(random.chance(0.8) ? { country: random.pick(countries) } : {}),
      ...(random.chance(0.8) ? { channel: random.pick(channels) } : {}),
      ...(random.chance(0.3) ? { avs: random.pick(results) } : {}),
      ...(random.chance(0.3) ? { cvv: random.pick(results.filter((result) => result !== 'partial')) } : {}),
      ...(random.chance(0.3) ? { threeDS: random.pick(results) } : {}),
      ...(random.chance(0.3) ? { wallet: random.pick(wallets) } : {}),
      ...(random.chance(0.3) ? { recurring: random.chance(0.3) } : {}),
      ...(random.chance(0.02) ? { currency: random.pick(['USD', 'EUR']) } : {}),
    };
  }
}
