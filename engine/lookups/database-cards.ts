/** Cards by token, with everything that a decision about them needs, in one query. Part of database.ts. */
import type postgres from 'postgres';
import { statusNamed } from '../core/accounts.js';
import { cardTypeNamed } from '../core/card-types.js';
import { packLetters } from '../core/codes.js';
import type { CardPayload } from '../core/feed.js';
import { levels } from '../core/limit-names.js';
import type { AccountRow, CardRow, PartitionRows, SpendEntity, SpendRow, UserRow } from '../core/partition-rows.js';
import { storedUserLevel, userSpendNumber } from '../core/spend-key.js';
import { settledOf, spendJson } from './database-accounts.js';

interface CardJson {
  readonly card: Omit<CardPayload, 'accountNumber' | 'userNumber' | 'ownerKey'> & { readonly spendNumber: number };
  readonly account: Omit<AccountRow, 'status'> & { readonly status: string };
  readonly user: Omit<UserRow, 'status'> & { readonly status: string };
  readonly ownerKey: number;
  readonly spend: readonly (SpendRow | null)[];
}

export interface OwnedRows {
  readonly message: PartitionRows;
  /** Tokens (public ids of accounts) that were found, with the owner key that decides the partition. */
  readonly owners: ReadonlyMap<string, number>;
}

export interface CardsRead extends OwnedRows {
  /** The profiles alone, and the place in the feed up to which all changes are in them. */
  readonly profiles: readonly CardPayload[];
  readonly asOf: number;
}

/**
 * Cards by token, with everything that a decision about them needs.
 * @param isOurs by owner key: whether the asking partition owns the account; of others only the owner is returned
 * @param partition the asking one
 */
export async function readCards(
  sql: postgres.Sql,
  tokens: readonly string[],
  isOurs: (ownerKey: number) => boolean,
  partition: number,
): Promise<CardsRead> {
  // Rows and newest place are of one instant: what has that place, or a lower one, is in the rows.
  const rows = await sql<{ json: CardJson; asOf: number; settled: number }[]>`
    select ${settledOf(sql, partition)}, (select newest::float8 from feed_position) as "asOf", json_build_object(
      'card', json_build_object('token', c.token, 'number', c.id, 'version', c.version, 'status', c.status,
        'expiresDay', case when isfinite(c.expires) then c.expires - date '1970-01-01' end,
        'limits', lc.limits, 'type', c.type, 'spendNumber', coalesce(c.spend_of, c.id)),
      'account', json_build_object('number', a.id, 'version', a.version, 'status', a.status, 'currency', a.currency,
        'timeZone', a.time_zone, 'partialApproval', a.partial_approval, 'limits', la.limits, 'funds', a.funds,
        'held', a.held, 'posted', a.posted),
      'user', json_build_object('number', u.id, 'version', u.version, 'status', u.status, 'limits', lu.limits),
      'ownerKey', a.owner_key,
      'spend', json_build_array(${spendJson(sql, 'sc')}, ${spendJson(sql, 'su')}, ${spendJson(sql, 'sa')})) as json
    from cards c
    join engine_accounts a on a.id = c.account_id
    join users u on u.id = c.user_id
    left join limits lc on lc.level = 0 and lc.entity_id = c.id
    left join limits lu on lu.level = 1 and lu.entity_id = u.id
    left join limits la on la.level = 2 and la.entity_id = a.id
    left join spend_windows sc on sc.level = 0 and sc.entity_id = coalesce(c.spend_of, c.id)
    left join spend_windows su on su.level = ${storedUserLevel} and su.entity_id = user_currency(u.id, a.currency)
    left join spend_windows sa on sa.level = 2 and sa.entity_id = a.id
    where c.token = any(${tokens as string[]})`;
  const owners = new Map<string, number>();
  const accounts: AccountRow[] = [];
  const users: UserRow[] = [];
  const cards: CardRow[] = [];
  const spend: SpendRow[] = [];
  const unspent: SpendEntity[] = [];
  const profiles: CardPayload[] = [];
  for (const { json } of rows) {
    const { ownerKey } = json;
    owners.set(json.card.token, ownerKey);
    profiles.push({ ...json.card, accountNumber: json.account.number, userNumber: json.user.number, ownerKey });
    if (!isOurs(ownerKey)) continue;
    accounts.push({ ...json.account, status: statusNamed(json.account.status) });
    users.push({ ...json.user, status: statusNamed(json.user.status) });
    cards.push({
      ...json.card,
      status: statusNamed(json.card.status),
      type: cardTypeNamed(json.card.type),
      accountNumber: json.account.number,
      userNumber: json.user.number,
    });
    const userSpend = userSpendNumber(json.user.number, packLetters(json.account.currency));
    const numbers = [json.card.spendNumber, userSpend, json.account.number] as const;
    for (const level of levels) {
      const row = json.spend[level];
      if (row == null) unspent.push({ level, number: numbers[level] });
      else spend.push(row);
    }
  }
  const message = { settled: rows[0]?.settled ?? 0, accounts, users, cards, spend, unspent };
  return { message, owners, profiles, asOf: rows[0]?.asOf ?? 0 };
}
