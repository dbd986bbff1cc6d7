/**
 * An account's entries: every movement of its money, from the settled ledger. The sum of all entries is funds − posted.
 * Holds are no entries: they move no money.
 */
import { MessageType } from '../../engine/core/codes.js';
import type { Database } from './postgres.js';

export const entryKinds = ['deposit', 'withdrawal', 'posting', 'refund', 'correction', 'adjustment'] as const;
export type EntryKind = (typeof entryKinds)[number];

export interface Entry {
  /** Id of the message or of the deposit; null: an adjustment without one. */
  readonly id: string | null;
  readonly kind: EntryKind;
  /** Minor units; above zero: the account's owner has more. */
  readonly amount: number;
  /** Null where no card transaction is behind it. */
  readonly transactionId: string | null;
  readonly at: string;
}

/** The instant of the last entry of the page before, and how many entries of that instant were shown. */
export interface EntryPage {
  readonly after: readonly [at: string, shown: number] | null;
  readonly limit: number;
}

interface EntryRow extends Omit<Entry, 'kind'> {
  readonly type: number | null;
}

/** How the ledger names deposits and withdrawals, which share no namespace with card messages. */
const commandPrefix = '\u0001ledger:';

export class Entries {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Newest first; of one instant in the order in which they happened, so that a page never shifts. */
  async list(accountNumber: number, { after, limit }: EntryPage): Promise<readonly Entry[]> {
    const [at, shown] = after ?? [null, 0];
    const rows = await this.#database.run(
      'entries.list',
      (sql) => sql<EntryRow[]>`
        select id, type, amount, "transactionId", at from (
          (
            select 0 as source, e.sequence as place, e.at, e.type::integer as type, e.request_id as id,
              e.funds_delta - e.posted_delta as amount, name_id(e.transaction_id) as "transactionId"
            from transaction_events e
            where e.account_id = ${accountNumber} and (e.posted_delta <> 0 or e.external_delta <> 0)
              ${at === null ? sql`` : sql`and e.at <= ${at}::timestamptz`}
            order by e.at desc, e.sequence limit ${shown + limit}
          )
          union all
          (
            select 1, j.id, j.created_at, null, j.public_id, j.funds_delta, null
            from ledger_adjustments j
            where j.account_id = ${accountNumber}
              ${at === null ? sql`` : sql`and j.created_at <= ${at}::timestamptz`}
            order by j.created_at desc, j.id limit ${shown + limit}
          )
        ) moved
        order by at desc, source, place offset ${shown} limit ${limit}`,
    );
    return rows.map(entryOf);
  }
}

/** Where the page after `rows` begins. */
export function entryKeyAfter(rows: readonly Entry[], { after }: EntryPage): readonly [at: string, shown: number] {
  const { at } = rows.at(-1)!;
  const shown = rows.filter((row) => row.at === at).length;
  return [at, after !== null && after[0] === at ? after[1] + shown : shown];
}

function entryOf({ type, id, transactionId, ...rest }: EntryRow): Entry {
  const isCommand = id?.startsWith(commandPrefix) === true;
  return {
    ...rest,
    id: isCommand ? id.slice(commandPrefix.length) : id,
    kind: kindOf(type),
    transactionId: isCommand ? null : transactionId,
  };
}

function kindOf(type: number | null): EntryKind {
  switch (type) {
    case null:
      return 'adjustment';
    case MessageType.deposit:
      return 'deposit';
    case MessageType.withdrawal:
      return 'withdrawal';
    case MessageType.refund:
      return 'refund';
    // An approval that was posted at once and revoked.
    case MessageType.revocation:
      return 'correction';
    default:
      return 'posting';
  }
}
