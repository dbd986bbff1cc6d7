/**
 * The whole authorization as one PL/pgSQL function: one round trip, one commit. Durable: synchronous_commit is on, and
 * Postgres itself groups the commits of its connections.
 */
import type postgres from 'postgres';
import { connectPeer } from './postgres-schema.js';
import type { Outcome, Peer, Question } from './question.js';

interface Row {
  readonly approved: boolean;
  readonly reason: Outcome['reason'];
  readonly available: string;
  readonly conflict: boolean;
}

export class FunctionPeer implements Peer {
  readonly #sql: postgres.Sql;

  constructor(databaseUrl: string, schema: string) {
    this.#sql = connectPeer(databaseUrl, schema);
  }

  /** Creates the function; after createPeerTables. */
  async prepare(): Promise<void> {
    await this.#sql.unsafe(functionText);
  }

  async authorize({ id, card, amount, currency, merchant }: Question): Promise<Outcome> {
    const [row] = await this.#sql<Row[]>`
      select approved, reason, available, conflict from authorize(${id}, ${card}, ${amount}, ${currency}, ${merchant})`;
    const { approved, reason, available, conflict } = row!;
    return { approved, reason, available: Number(available), conflict };
  }

  close(): Promise<void> {
    return this.#sql.end({ timeout: 5 });
  }
}

/** The row lock comes first, so that two equal questions wait for each other; the insert settles what it cannot. */
const functionText = `
create or replace function authorize(p_id text, p_card text, p_amount bigint, p_currency text, p_merchant text,
  out approved boolean, out reason text, out available bigint, out conflict boolean)
language plpgsql as $$
declare
  account accounts;
  seen authorizations;
begin
  conflict := false;
  select * into account from accounts a where a.card = p_card for update;
  select * into seen from authorizations s where s.id = p_id;
  if seen.id is null and account.card is not null then
    reason := case
      when account.status <> 'active' then 'card_inactive'
      when account.available < p_amount then 'insufficient_funds'
      else 'approved' end;
    approved := reason = 'approved';
    available := account.available - case when approved then p_amount else 0 end;
    insert into authorizations (id, card, amount, currency, merchant, approved, reason, available)
    values (p_id, p_card, p_amount, p_currency, p_merchant, approved, reason, available)
    on conflict (id) do nothing;
    if found then
      if approved then
        update accounts a set available = a.available - p_amount, held = a.held + p_amount where a.card = p_card;
      end if;
      return;
    end if;
    select * into seen from authorizations s where s.id = p_id;
  end if;
  if seen.id is null then
    approved := false;
    reason := 'card_not_found';
    available := 0;
    return;
  end if;
  conflict := seen.card <> p_card or seen.amount <> p_amount;
  approved := seen.approved;
  reason := seen.reason;
  available := seen.available;
end $$;`;
