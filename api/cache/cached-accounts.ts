/** Accounts without their books through the cache: one group per owner. Triggers tell of their changes. */
import { type AccountPage, type AccountRow, AccountStore } from '../stores/accounts.js';
import type { Database } from '../stores/postgres.js';
import type { Scope } from '../stores/tenancy.js';
import type { Cache } from './cache.js';
import { isAccount, listOf, orNull } from './shapes.js';

export class CachedAccounts extends AccountStore {
  readonly #cache: Cache;

  constructor(database: Database, cache: Cache) {
    super(database);
    this.#cache = cache;
  }

  override list(scope: Scope, page: AccountPage): Promise<readonly AccountRow[]> {
    if (page.after !== null) return super.list(scope, page);
    return this.#cache.get('user', groupOf(scope), `page ${page.limit}`, isAccountList, () => super.list(scope, page));
  }

  override find(scope: Scope, accountId: string): Promise<AccountRow | null> {
    return this.#cache.get('user', groupOf(scope), `account ${accountId}`, isAccountOrNull, () =>
      super.find(scope, accountId),
    );
  }
}

const isAccountList = listOf(isAccount);
const isAccountOrNull = orNull(isAccount);

function groupOf({ ownerKey }: Scope): string {
  return `accounts:${ownerKey}`;
}
