/** What a partition keeps, empty: made before its journal is open, where a start has the time. */
import { Accounts } from '../../engine/core/accounts.js';
import type { Books } from '../../engine/core/books.js';
import { Cards } from '../../engine/core/cards.js';
import { Seen } from '../../engine/core/seen.js';
import { Spend } from '../../engine/core/spend.js';
import { Transactions } from '../../engine/core/transactions.js';
import { Users } from '../../engine/core/users.js';
import type { PartitionSize } from '../../engine/exchange/partition-task.js';

export class PartitionMemory {
  readonly books: Books;
  readonly seen: Seen;
  readonly cards: Cards;

  constructor(size: PartitionSize) {
    this.books = {
      accounts: new Accounts(size.accounts),
      users: new Users(size.users),
      spend: new Spend(size.spendRows),
      transactions: new Transactions(size.transactions),
    };
    this.seen = new Seen(size.seenIds);
    this.cards = new Cards(size.cards);
  }
}
