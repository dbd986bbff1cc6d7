/** Compares the engine's books with the obvious model's, to the last window. Throws what differs. */
import { ChainStatus } from '../core/codes.js';
import type { Books } from '../core/decide.js';
import { levelNames, windowNames } from '../core/limit-names.js';
import { accountNumbers, accountOfCard, accountOfUser, cardNumbers, userNumbers } from './generator.js';
import type { Model } from './model.js';

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
      [accounts.available(slot), accounts.held(slot), accounts.posted(slot)],
      [model.available(number), model.held(number), model.posted(number)].map(Number),
    );
  }
}

export function auditChains(books: Books, model: Model): void {
  const { chains } = books;
  for (const transaction of model.transactions) {
    const id = Buffer.from(transaction.id);
    const slot = chains.find(id, 0, id.length);
    check(slot >= 0, `the engine has no chain ${transaction.id}`);
    const held = transaction.parts.reduce((sum, part) => sum + part.held, 0n);
    compare(
      `chain ${transaction.id}`,
      [chains.status(slot), chains.held(slot), chains.posted(slot), chains.refunded(slot)],
      [
        ChainStatus[transaction.status],
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
    ...cardNumbers.map((number) => [0, number, accountOfCard(number)] as const),
    ...userNumbers.map((number) => [1, number, accountOfUser(number)] as const),
    ...accountNumbers.map((number) => [2, number, number] as const),
  ];
  for (const [level, number, account] of owners) {
    const date = model.dayOf(account, nowMs);
    const day = accounts.zone(accounts.find(account)).dayOf(nowMs);
    const slot = spend.find(level, number);
    for (const [window, name] of windowNames.entries()) {
      const expected = model.spent(levelNames[level], number, name, date);
      compare(
        `spent by ${levelNames[level]} ${number}, ${name}`,
        slot < 0 ? [0, 0] : [spend.amount(slot, window, day), spend.count(slot, window, day)],
        [Number(expected.amount), expected.count],
      );
    }
  }
}
