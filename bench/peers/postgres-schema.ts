/** Tables of the two peers that keep the money in Postgres, and the connection pool that both get. */
import postgres from 'postgres';

/** The pool of the account API: enough for two cores many times over. */
const connectionCountMax = 20;

export function connectPeer(databaseUrl: string, schema: string): postgres.Sql {
  return postgres(databaseUrl, {
    max: connectionCountMax,
    connect_timeout: 10,
    onnotice: () => undefined,
    connection: { search_path: schema, application_name: 'peer' },
  });
}

/** What the server does before it acknowledges a commit, in its own words. */
export async function postgresSyncPolicy(sql: postgres.Sql): Promise<string> {
  const [row] = await sql<{ policy: string }[]>`
    select 'fsync ' || current_setting('fsync') || ', commit ' || current_setting('synchronous_commit') as policy`;
  return row!.policy;
}

/** Makes empty tables with `cardCount` funded accounts, one card each, named as the load generator names them. */
export async function createPeerTables(
  sql: postgres.Sql,
  schema: string,
  cardCount: number,
  balanceMinor: number,
): Promise<void> {
  await sql.unsafe(`
    drop schema if exists ${schema} cascade;
    create schema ${schema};
    create table ${schema}.accounts (
      card text primary key,
      status text not null,
      available bigint not null check (available >= 0),
      held bigint not null default 0
    ) with (fillfactor = 50);
    create table ${schema}.authorizations (
      id text primary key,
      card text not null,
      amount bigint not null,
      currency text not null,
      merchant text not null,
      approved boolean not null,
      reason text not null,
      available bigint not null,
      created_at timestamptz not null default now()
    );
    insert into ${schema}.accounts (card, status, available)
    select 'card_' || lpad(n::text, 6, '0') || '_1', 'active', ${Number(balanceMinor)}
    from generate_series(1, ${Number(cardCount)}) as n;
    analyze ${schema}.accounts;`);
}
