/**
 * A tiny language for decision tests: one line per message, its whole answer after the arrow. A table is its own
 * expectation: a failing test shows a diff of lines.
 *
 *   = an authorization holds                   the name of a test; its table follows
 *   account A funds=10000 zone=Europe/Berlin partial status=frozen daily=500/3 …
 *   user U status=closed monthly=9000
 *   card C of A U expires=2026-12-31 perAuthorization=300 mcc.allow=5411,5812 channels.block=atm type=single_use
 *   card D of A U replaces=C                   spends in the windows of C
 *   policy refundRestoresWindows               before anything else
 *   at 2026-11-23T10:00:00Z                    at +7d +1ms
 *   a1 authorization C 1250 mcc=5411 …         -> approved 00 1250 8750/1250/0
 *   d1 deposit A 500                           -> approved 00 500 9250/1250/0     names an account, as withdrawals do
 *   revoke a1                                  -> system_error 96 0 10000/0/0
 *   expire a1                                  -> nothing
 *   transaction a1                                   -> open 1250/0 refunded=0
 *   used card C daily                          -> 1250/1
 *   used user U daily JPY                      -> 1250/1    in dollars where no currency is named
 *
 * An answer is: reason (with its detail in brackets), DE39, approved amount, then available/held/posted of the account
 * after it. A limit is amount, /count or amount/count. Names become numbers by order of appearance. # starts a comment.
 * A repeated account, user or card line changes it; `funds` counts when it is opened. A table whose first line is no
 * account and no policy starts with the two lines of `usual`.
 */
import t from 'tap';
import { Status } from '../core/accounts.js';
import { cardTypeNamed } from '../core/card-types.js';
import { TransactionStatus } from '../core/codes.js';
import { assert } from '../core/invariant.js';
import { levelNames, windowNames } from '../core/limit-names.js';
import type { Limits } from '../core/rules.js';
import { dayOfCivil, zoneNamed } from '../core/window.js';
import {
  type Answer,
  accountName,
  type ChannelName,
  type Message,
  policyDefault,
  type TypeName,
  type WalletName,
  World,
} from './world.js';

interface Names {
  readonly accounts: Map<string, { number: number; zone: string }>;
  readonly users: Map<string, number>;
  readonly cards: Map<string, { number: number; account: string; user: string }>;
  /** Message id → name of the account that its card belonged to. */
  readonly asked: Map<string, string>;
}

type Options = ReadonlyMap<string, string>;

const listNames = ['mcc', 'merchants', 'countries', 'channels', 'wallets'] as const;
const verificationNames = ['avs', 'cvv', 'threeDS'] as const;
const durations: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

const usual = ['account A funds=1000', 'card C of A U'];

/** Makes one test of each table in the text. */
export function testTables(text: string): void {
  const [, ...tables] = text.split(/^= /m);
  for (const table of tables) {
    const [name = '', ...rest] = table.split('\n');
    const lines = rest.map(meaning).filter((line) => line !== '');
    t.test(name, async (t) => {
      const runner = new Runner();
      if (!/^(account|policy) /.test(lines[0]!)) for (const line of usual) runner.run(line);
      t.equal(lines.map((line) => runner.run(line)).join('\n'), lines.join('\n'));
    });
  }
}

function meaning(line: string): string {
  return line
    .replace(/(^|\s)#.*$/, '')
    .trim()
    .replace(/\s+/g, ' ');
}

class Runner {
  #world = new World();
  readonly #names: Names = { accounts: new Map(), users: new Map(), cards: new Map(), asked: new Map() };

  run(line: string): string {
    const [question = '', expected] = line.split(' -> ');
    const words = question.split(' ');
    const answer = this.#command(words[0]!, words.slice(1));
    assert((answer === null) === (expected === undefined), `an arrow too many or too few: ${line}`);
    return answer === null ? question : `${question} -> ${answer}`;
  }

  #command(name: string, words: string[]): string | null {
    switch (name) {
      case 'policy':
        this.#world = new World({ ...policyDefault, refundRestoresWindows: words.includes('refundRestoresWindows') });
        return null;
      case 'account':
        this.#account(words[0]!, options(words.slice(1)));
        return null;
      case 'user':
        this.#user(words[0]!, options(words.slice(1)));
        return null;
      case 'card':
        this.#card(words);
        return null;
      case 'at':
        this.#at(words);
        return null;
      case 'revoke':
      case 'expire': {
        const answer = name === 'revoke' ? this.#world.revoke(words[0]!) : this.#world.expire(words[0]!);
        return answer === null ? 'nothing' : this.#answer(answer, words[0]!);
      }
      case 'transaction':
        return this.#transaction(words[0]!);
      case 'used':
        return this.#used(words[0]!, words[1]!, words[2]!, words[3] ?? 'USD');
      default:
        return this.#message(name, words);
    }
  }

  #account(name: string, set: Options): void {
    let entry = this.#names.accounts.get(name);
    if (entry === undefined) {
      entry = { number: this.#names.accounts.size + 1, zone: 'UTC' };
      this.#names.accounts.set(name, entry);
    }
    entry.zone = set.get('zone') ?? entry.zone;
    this.#world.setAccount({
      number: entry.number,
      currency: set.get('currency') ?? 'USD',
      funds: Number(set.get('funds') ?? 0),
      status: statusOf(set),
      timeZone: entry.zone,
      partialApproval: set.has('partial'),
      limits: limitsOf(set),
    });
  }

  #user(name: string, set: Options): void {
    const number = this.#names.users.get(name) ?? this.#names.users.size + 1;
    this.#names.users.set(name, number);
    this.#world.setUser({ number, status: statusOf(set), limits: limitsOf(set) });
  }

  #card(words: string[]): void {
    const [token = '', of, account = '', user = ''] = words;
    assert(of === 'of', 'a card line reads: card <token> of <account> <user> …');
    if (!this.#names.users.has(user)) this.#user(user, new Map());
    const number = this.#names.cards.get(token)?.number ?? this.#names.cards.size + 1;
    this.#names.cards.set(token, { number, account, user });
    const set = options(words.slice(4));
    const expires = set.get('expires');
    const replaced = set.get('replaces');
    this.#world.setCard({
      token,
      number,
      account: this.#names.accounts.get(account)!.number,
      user: this.#names.users.get(user)!,
      status: statusOf(set),
      ...(expires === undefined ? {} : { expiresDay: dayOf(expires) }),
      limits: limitsOf(set),
      type: cardTypeNamed(set.get('type')),
      ...(replaced === undefined ? {} : { spendNumber: this.#names.cards.get(replaced)!.number }),
    });
  }

  #at(words: string[]): void {
    for (const word of words) {
      const step = /^\+(\d+)([a-z]+)$/.exec(word);
      if (step === null) this.#world.nowMs = Date.parse(word);
      else this.#world.nowMs += Number(step[1]) * durations[step[2]!]!;
    }
    assert(Number.isFinite(this.#world.nowMs), `not a time: ${words.join(' ')}`);
  }

  #message(id: string, words: string[]): string {
    const [type = '', card = '', ...rest] = words;
    const amount = rest[0] !== undefined && /^-?\d+$/.test(rest[0]) ? Number(rest.shift()) : undefined;
    const set = options(rest);
    if (type === 'deposit' || type === 'withdrawal') {
      const name = accountName(this.#names.accounts.get(card)!.number);
      this.#names.asked.set(id, card);
      return this.#answer(this.#world.send({ id, type, card: name, ...(amount === undefined ? {} : { amount }) }), id);
    }
    const message: Message = {
      id,
      type: type as TypeName,
      card,
      ...(amount === undefined ? {} : { amount }),
      ...text(set, 'currency'),
      ...text(set, 'original'),
      ...text(set, 'country'),
      ...(set.has('merchant') ? { merchantId: set.get('merchant')! } : {}),
      ...(set.has('mcc') ? { mcc: Number(set.get('mcc')) } : {}),
      ...(set.has('channel') ? { channel: set.get('channel') as ChannelName } : {}),
      ...Object.fromEntries(verificationNames.flatMap((name) => (set.has(name) ? [[name, set.get(name)]] : []))),
      ...(set.has('wallet') ? { wallet: set.get('wallet') as WalletName } : {}),
      ...(set.has('recurring') ? { recurring: set.get('recurring') === 'yes' } : {}),
      partialAllowed: set.has('partial'),
      final: !set.has('more'),
      capture: set.has('capture'),
      ...(set.has('answers') ? { answers: set.get('answers') as TypeName } : {}),
      ...(set.has('whole') ? { whole: Number(set.get('whole')) } : {}),
    };
    const account = this.#names.cards.get(card)?.account;
    if (account !== undefined) this.#names.asked.set(id, account);
    return this.#answer(this.#world.send(message), id);
  }

  #answer(answer: Answer, id: string): string {
    const { accounts } = this.#world.books;
    const name = this.#names.asked.get(id);
    const slot = name === undefined ? -1 : accounts.find(this.#names.accounts.get(name)!.number);
    const books = slot < 0 ? '-' : `${accounts.available(slot)}/${accounts.held(slot)}/${accounts.posted(slot)}`;
    if (slot >= 0) assert(answer.available === accounts.available(slot), 'the answer says what is available after it');
    const detail = answer.detail === '' ? '' : `(${answer.detail})`;
    return `${answer.reason}${detail} ${answer.responseCode} ${answer.approvedAmount} ${books}`;
  }

  #transaction(root: string): string {
    const { transactions } = this.#world.books;
    const slot = this.#world.transaction(root);
    if (slot < 0) return 'none';
    const status = Object.entries(TransactionStatus).find(([, number]) => number === transactions.status(slot))![0];
    return `${status} ${transactions.held(slot)}/${transactions.posted(slot)} refunded=${transactions.refunded(slot)}`;
  }

  #used(levelName: string, name: string, windowName: string, currency: string): string {
    const level = levelNames.indexOf(levelName as (typeof levelNames)[number]) as 0 | 1 | 2;
    const window = windowNames.indexOf(windowName as (typeof windowNames)[number]);
    const { accounts, users, cards } = this.#names;
    const number = level === 0 ? cards.get(name)!.number : level === 1 ? users.get(name)! : accounts.get(name)!.number;
    const zone = level === 2 ? accounts.get(name)!.zone : [...accounts.values()][0]!.zone;
    const { amount, count } = this.#world.spent(
      level,
      number,
      currency,
      window,
      zoneNamed(zone).dayOf(this.#world.nowMs),
    );
    return `${amount}/${count}`;
  }
}

function options(words: readonly string[]): Options {
  const set = new Map<string, string>();
  for (const word of words) {
    const [name = '', value = ''] = word.split('=');
    set.set(name, value);
  }
  return set;
}

function text<K extends 'currency' | 'original' | 'country'>(set: Options, name: K): { [key in K]?: string } {
  const value = set.get(name);
  return (value === undefined ? {} : { [name]: value }) as { [key in K]?: string };
}

function statusOf(set: Options): Status {
  return Status[(set.get('status') ?? 'active') as keyof typeof Status];
}

function dayOf(date: string): number {
  const [year, month, day] = date.split('-').map(Number);
  return dayOfCivil(year!, month!, day!);
}

function limitsOf(set: Options): Limits {
  const limits: { -readonly [K in keyof Limits]: Limits[K] } = {};
  if (set.has('perAuthorization')) limits.perAuthorization = Number(set.get('perAuthorization'));
  for (const window of windowNames) {
    const value = set.get(window);
    if (value === undefined) continue;
    const [amount = '', count = ''] = value.split('/');
    limits[window] = {
      ...(amount === '' ? {} : { amount: Number(amount) }),
      ...(count === '' ? {} : { count: Number(count) }),
    };
  }
  for (const list of listNames) {
    const allow = set.get(`${list}.allow`);
    const block = set.get(`${list}.block`);
    if (allow !== undefined) limits[list] = { allow: allow.split(',') };
    if (block !== undefined) limits[list] = { block: block.split(',') };
  }
  const modes = verificationNames.flatMap((name) => (set.has(`${name}.is`) ? [[name, set.get(`${name}.is`)]] : []));
  if (modes.length > 0) limits.verification = Object.fromEntries(modes);
  const rolling = set
    .get('rolling')
    ?.split(',')
    .map((words) => words.split('/').map((word) => (word === '' ? undefined : Number(word))));
  if (rolling !== undefined) {
    limits.rolling = rolling.map(([hours, amount, count]) => ({
      hours: hours!,
      ...(amount === undefined ? {} : { amount }),
      ...(count === undefined ? {} : { count }),
    }));
  }
  if (set.has('recurring')) limits.recurring = set.get('recurring') as 'allow' | 'block';
  return limits;
}
