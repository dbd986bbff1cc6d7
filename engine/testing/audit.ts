/** Compares the engine's books with the obvious model's, to the last window. Throws what differs. */

import type { Books } from '../core/books.js';
import { packLetters, TransactionStatus } from '../core/codes.js';
import { levelNames, windowNames } from '../core/limit-names.js';
import { accountNumbers, accountOfCard, cardNumbers, currencyOf, lineOfCard, purses } from './generator.js';
import type { Model } from './model.js';
import { spendNumber } from './world.js';

export function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

/** Both sides as JSON, so that a difference can be read. */
export function compare(what: string, actual: unknown, expected: unknown): void {
  const [said, obvious] = [JSON.stringify(actual), JSON.stringify(expected)];
  check(said === obvious, `${what}\n  engine ${said}\n  model  ${obvious}`);
}

export function auditAccounts(books: Books, model: Model, when: string): void {
  for (const number of accountNumbers) {
    const slot = books.accounts.find(number);
    const { accounts } = books;
    compare(
      `account ${number} ${when}`,
      [accounts.available(slot), accounts.held(slot), accounts.posted(slot), accounts.funds(slot)],
      [model.available(number), model.held(number), model.posted(number), model.funds(number)].map(Number),
    );
  }
}

/** What the engine says of a transaction. */
export interface TransactionSeen {
  readonly status: TransactionStatus;
  readonly held: number;
  readonly posted: number;
  readonly refunded: number;
}

/** A transaction in memory, null when it is not. */
export function transactionInMemory(books: Books, id: string): TransactionSeen | null {
  const { transactions } = books;
  const bytes = Buffer.from(id);
  const slot = transactions.find(bytes, 0, bytes.length);
  if (slot < 0) return null;
  return {
    status: transactions.status(slot),
    held: transactions.held(slot),
    posted: transactions.posted(slot),
    refunded: transactions.refunded(slot),
  };
}

export function auditTransactions(find: (id: string) => TransactionSeen | null, model: Model): void {
  for (const transaction of model.transactions) {
    const seen = find(transaction.id);
    check(seen !== null, `the engine has no transaction ${transaction.id}`);
    const held = transaction.parts.reduce((sum, part) => sum + part.held, 0n);
    compare(
      `transaction ${transaction.id}`,
      [seen.status, seen.held, seen.posted, seen.refunded],
      [
        TransactionStatus[transaction.status],
        Number(held),
        Number(transaction.cleared - transaction.refunded),
        Number(transaction.refunded),
      ],
    );
  }
}

export function auditWindows(books: Books, model: Model, nowMs: number): void {
  const { accounts, spend } = books;
  const owners: ReadonlyArray<readonly [0 | 1 | 2, number, number]> = [
    ...cardNumbers.map((number) => [0, lineOfCard(number), accountOfCard(number)] as const),
    ...purses.map(([number, account]) => [1, number, account] as const),
    ...accountNumbers.map((number) => [2, number, number] as const),
  ];
  for (const [level, number, account] of owners) {
    const date = model.dayOf(account, nowMs);
    const day = accounts.zone(accounts.find(account)).dayOf(nowMs);
    const currency = currencyOf(account);
    const slot = spend.find(level, spendNumber(level, number, packLetters(currency)));
    for (const [window, name] of windowNames.entries()) {
      const expected = model.spent(levelNames[level], number, currency, name, date);
      compare(
        `spent by ${levelNames[level]} ${number}, ${name}`,
        slot < 0 ? [0, 0] : [spend.amount(slot, window, day), spend.count(slot, window, day)],
        [Number(expected.amount), expected.count],
      );
    }
  }
  auditPurchases((card) => spend.purchases(card), model);
}

/** What cards that are not virtual have bought. */
export function auditPurchases(purchases: (card: number) => unknown, model: Model): void {
  for (const card of model.cards) {
    const { number, spendNumber = number } = card;
    compare(`purchases of card ${number}`, purchases(spendNumber), model.purchases(card));
  }
}
