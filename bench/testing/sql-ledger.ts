/** The simulator's ledger over the database of a test: accounts by SQL, books by the ops port, transactions by SQL. */
import type postgres from 'postgres';
import { type EnginePlace, engineBooks } from '../../engine/testing/engine-process.js';
import type { Ledger, OpenedAccount } from '../simulate/ledger.js';
import { type CardChange, type CardPlan, transactionStatuses } from '../simulate/story.js';

let accountCount = 0;
let cardCount = 0;
const appliedLookMs = 20;
/** By how messages name the card. */
const tokenOf = new Map<string, string>();
const tokenAlone = (number: number): NamedCard => ({ token: `card_sim${number}`, said: `card_sim${number}` });

/** A card's token, and how messages name the card. */
export interface NamedCard {
  readonly token: string;
  readonly said: string;
}

/**
 * @param place any engine of the database
 * @param cardNamed the card of a number that no other one has; by default messages name the token
 */
export function sqlLedger(
  sql: postgres.Sql,
  place: Pick<EnginePlace, 'opsPort'>,
  cardNamed: (number: number) => NamedCard = tokenAlone,
): Ledger {
  return {
    open: (fundsMinor, cards) => openAccount(sql, fundsMinor, cards, cardNamed),
    change: ({ cards }, card, change) => changeCard(sql, cards[card]!, change),
    books: ({ id }) => engineBooks(place, id),
    transaction: async (_account, id) => {
      const [row] = await sql<{ held: number; posted: number; refunded: number; status: number }[]>`
        select held_amount::integer as held, posted_amount::integer as posted, refunded_amount::integer as refunded,
          status from transactions where id = ${id}`;
      return row === undefined ? null : { ...row, status: transactionStatuses[row.status - 1]! };
    },
  };
}

/** Resolves when every engine has applied the change. */
async function changeCard(sql: postgres.Sql, said: string, change: CardChange): Promise<void> {
  const token = tokenOf.get(said)!;
  const [row] =
    'status' in change
      ? await sql<{ number: string; version: string }[]>`
          update cards set status = ${change.status}, version = version + 1 where token = ${token}
          returning id as number, version`
      : await sql<{ number: string; version: string }[]>`
          with changed as (
            update cards set version = version + 1 where token = ${token} returning id, version
          ), limited as (
            insert into limits as l (level, entity_id, limits)
            select 0, id, ${sql.json(change.limits as postgres.JSONValue)} from changed
            on conflict (level, entity_id) do update set limits = excluded.limits, version = l.version + 1
          )
          select id as number, version from changed`;
  const { number, version } = row!;
  let isApplied = false;
  while (!isApplied) {
    const [state] = await sql<{ newest: string; present: boolean[]; engines: { applied: number }[] }[]>`
      select newest, present, engines
      from feed_confirm_live(array['card'], array[${number}::bigint], array[${version}::bigint], 0)`;
    const { newest, present, engines } = state!;
    isApplied = present[0] === true && engines.every(({ applied }) => applied >= Number(newest));
    if (!isApplied) await new Promise((resolve) => setTimeout(resolve, appliedLookMs));
  }
}

/** A person with an account, its money and its cards: before any engine knows of them. */
async function openAccount(
  sql: postgres.Sql,
  fundsMinor: number,
  cards: Readonly<Record<string, CardPlan>>,
  cardNamed: (number: number) => NamedCard,
): Promise<OpenedAccount> {
  const number = `sim${String(++accountCount).padStart(5, '0')}`;
  const account = `acct_${number}`;
  await sql`
    with person as (
      insert into users (public_id, email, name, kind, kyc_status)
      values (${`usr_${number}`}, ${`${number}@example.test`}, 'Simulated', 'personal', 'verified')
      returning id
    ), account as (
      insert into accounts (public_id, kind, user_id, owner_key, currency, funds, available)
      select ${account}, 'personal', id, id * 2, 'USD', ${fundsMinor}::bigint, ${fundsMinor}::bigint from person
      returning id, funds
    )
    insert into ledger_adjustments (public_id, account_id, funds_delta, available_delta, external_delta, reason)
    select ${`adj_${number}`}, id, funds, funds, -funds, 'opening balance' from account`;
  const tokens: Record<string, string> = {};
  for (const [name, { status, limits }] of Object.entries(cards)) {
    const { token, said } = cardNamed(++cardCount);
    tokens[name] = said;
    tokenOf.set(said, token);
    await sql`
      with card as (
        insert into cards (public_id, token, account_id, user_id, name, status, expires)
        select ${token}, ${token}, id, user_id, ${name}, ${status}, date '2099-12-31'
        from accounts where public_id = ${account}
        returning id
      )
      insert into limits (level, entity_id, limits)
      select 0, id, ${sql.json((limits ?? {}) as postgres.JSONValue)} from card where ${limits !== null}`;
  }
  return { id: account, currency: 'USD', cards: tokens };
}
