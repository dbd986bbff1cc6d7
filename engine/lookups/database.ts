/**
 * What the front asks of Postgres: lookups of what a partition misses, restoring
 * after a restart, and finding lapsed holds. Every query has a deadline; nothing here moves money (the shipper does, in
 * one statement).
 */
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { BoundedConnections } from '../../platform/postgres/bounded-connections.js';
import { type DatabaseRole, databaseRoleQuery } from '../../platform/postgres/database-role.js';
import { knownTypes } from '../../platform/postgres/driver-types.js';
import { statusNamed } from '../core/accounts.js';
import { cardTypeNamed } from '../core/card-types.js';
import { MessageType, packLetters, TransactionStatus } from '../core/codes.js';
import type { CardPayload } from '../core/feed.js';
import { levels } from '../core/limit-names.js';
import type {
  AccountRow,
  CardRow,
  PartitionRows,
  RecordRow,
  SpendEntity,
  SpendRow,
  TransactionRow,
  UserRow,
} from '../core/partition-rows.js';
import { readRecordRoot } from '../core/record.js';
import { storedUserLevel, userSpendNumber } from '../core/spend-key.js';
import type { WriterFence } from '../core/writer-fence.js';
import {
  type AccountSummary,
  accountOwners,
  accountSummaries,
  type BooksRead,
  cardOwners,
  readAccounts,
  readBooks,
  type SpendEntities,
  type SpendSummary,
  settledOf,
  spendJson,
  spendOf,
  spendRows,
  spendSummaries,
} from './database-accounts.js';

/** Longest a look-up may run: far above the 100 ms that a waiting terminal has, so that only a sick server hits it. */
const lookupTimeoutMs = 1000;
/** Restoring after a crash reads what the journal's tail touches: more rows, and no terminal waits for one of them. */
const restoreTimeoutMs = 60_000;
/** Above the server's own limit, with room for a queue: only a connection that hangs runs into it. */
const lookupDeadlineMs = 2000;
const connectTimeoutS = 2;
/** Lookups run side by side (lookups.ts); more connections would only queue inside Postgres. */
const connectionsMax = 5;
/** Ids per restore query: bounds the size of one statement and of its answer. */
const restoreKeysMax = 10_000;
/** Tombstones older than the longest life of a hold guard nothing any more; the count bounds a flood of them. */
const tombstonesMax = 100_000;
/**
 * Two numbers of 8 bytes each, in base64, must fit a slab, and a message behind them waits until they are taken over.
 */
const seenChunk = 20_000;
/** How far back a warm start looks for cards in use: a fraction of a second of Postgres. */
const recentEvents = 200_000;
/** Ten seconds: a cancelled statement stops at its next row. */
const fenceAttemptsMax = 200;
const fencePauseMs = 50;

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

export interface KeysRead {
  readonly message: PartitionRows;
  readonly found: ReadonlySet<string>;
}

export interface Quarantine {
  readonly count: number;
  /** Partition and sequence, the transaction, and why; '' when there is none. */
  readonly oldest: string;
}

/** A stretch of remembered ids for a partition, newest first. */
export interface SeenChunk {
  readonly message: PartitionRows;
  readonly count: number;
  readonly oldestSequence: number;
}

/** Where a page of lapsed transactions ended. */
export interface LapsePlace {
  readonly expires: string;
  readonly id: string;
  readonly occurrence: string;
}

export interface LapsedPage {
  /** The database's clock. */
  readonly databaseMs: number;
  readonly names: readonly string[];
  /** Null: there are no more. */
  readonly last: LapsePlace | null;
}

export class Database {
  readonly #lookupConnections: BoundedConnections;
  readonly #restoreSql: postgres.Sql;

  constructor(url: string) {
    this.#lookupConnections = new BoundedConnections(() =>
      connect(url, connectionsMax, lookupTimeoutMs, 'engine lookups', planOnce),
    );
    this.#restoreSql = connect(url, 1, restoreTimeoutMs, 'engine restore');
  }

  #lookUp<T>(run: (sql: postgres.Sql) => Promise<T>): Promise<T> {
    return this.#lookupConnections.run(lookupDeadlineMs, run);
  }

  /**
   * Opens the connections that a start needs, beside whatever else it does. Whatever fails fails again where it
   * matters.
   */
  connect(): void {
    this.#restoreSql`select 1`.catch(() => undefined);
    void this.warmUp(1);
  }

  /**
   * Opens connections for look-ups and runs each kind once, with nothing to find: the first message would otherwise
   * wait for a connection, a plan and cold code in turn. Never rejects.
   */
  async warmUp(connectionCount = connectionsMax): Promise<void> {
    const all = Array.from({ length: connectionCount }, async () => {
      await this.readCards([''], () => false, 0);
      await this.readRecords(0, ['']);
    });
    await Promise.all(all).catch(() => undefined);
  }

  /** Throws when Postgres does not answer. */
  async ping(): Promise<void> {
    await this.#lookUp((sql) => sql`select 1`);
  }

  async close(): Promise<void> {
    await Promise.all([this.#lookupConnections.close(), this.#restoreSql.end({ timeout: 1 })]);
  }

  /** Which role this engine signs in as. */
  async role(): Promise<DatabaseRole> {
    const [role] = await this.#restoreSql.unsafe<DatabaseRole[]>(databaseRoleQuery);
    return role!;
  }

  /**
   * Ends what an engine that was killed, or a shipper that died, may still have running: a settle statement whose
   * client is gone goes on and commits, and the state read for a restart would be half before and half after it. The
   * caller holds the writer's lease. A shipper that lives loses its connection, and settles again from where Postgres
   * stands. Throws when one does not end.
   */
  async endSettlers(): Promise<void> {
    for (let attempt = 0; attempt < fenceAttemptsMax; attempt++) {
      const ended = await this.#restoreSql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'settle' and pid <> pg_backend_pid()`;
      if (ended.length === 0) return;
      await delay(fencePauseMs);
    }
    throw new Error('a settle statement of an earlier engine does not end: see pg_stat_activity, application "settle"');
  }

  /**
   * Settled position of a partition's journal; a row is made for a new one. Throws when the partition count differs, or
   * another engine has the writer's lease.
   */
  async openPosition(partition: number, partitionCount: number, { epoch, holder }: WriterFence): Promise<number> {
    const sql = this.#restoreSql;
    await sql`
      with fence as materialized (
        select from writer_epochs where scope = 'ledger' and epoch = ${epoch}
        and holder = ${holder}::text::uuid for share)
      insert into journal_positions (partition, partition_count)
      select ${partition}::integer, ${partitionCount}::integer from fence
      on conflict (partition) do nothing`;
    const [row] = await sql<{ sequence: string; partition_count: number }[]>`
      select sequence, partition_count from journal_positions where partition = ${partition} and exists (
        select from writer_epochs where scope = 'ledger' and epoch = ${epoch} and holder = ${holder}::text::uuid)`;
    if (row === undefined) throw new Error('another engine has taken the lease of this database');
    if (row.partition_count !== partitionCount) {
      throw new Error(
        `this database is kept by ${row.partition_count} partitions, and their number cannot be changed: ` +
          `start with WORKERS=${row.partition_count} (now it is ${partitionCount})`,
      );
    }
    return Number(row.sequence);
  }

  /** The record that was settled under a sequence, byte for byte as a journal had it; null when there is none. */
  async settledRecord(partition: number, sequence: number): Promise<Uint8Array | null> {
    const [row] = await this.#restoreSql<{ record: Buffer }[]>`
      select record from transaction_events where partition = ${partition} and sequence = ${sequence}
      union all
      select record from quarantined_records where partition = ${partition} and sequence = ${sequence}`;
    return row?.record ?? null;
  }

  /** Which ledger this database is: the same in every backup of it. */
  async ledgerId(): Promise<string> {
    const [row] = await this.#restoreSql<{ id: string }[]>`select id::text as id from ledger_identity`;
    if (row === undefined) throw new Error('the table ledger_identity is empty: put its row back from a backup');
    return row.id;
  }

  /**
   * Cards by token, with everything that a decision about them needs.
   * @param isOurs by owner key: whether the asking partition owns the account; of others only the owner is returned
   * @param partition the asking one
   */
  async readCards(
    tokens: readonly string[],
    isOurs: (ownerKey: number) => boolean,
    partition: number,
  ): Promise<CardsRead> {
    const rows = await this.#lookUp(
      // Rows and newest place are of one instant: what has that place, or a lower one, is in the rows.
      (sql) => sql<{ json: CardJson; asOf: number; settled: number }[]>`
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
      where c.token = any(${tokens as string[]})`,
    );
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

  /** What cards whose profiles are known spend from. */
  readBooks(cards: readonly CardPayload[], partition: number): Promise<BooksRead> {
    return this.#lookUp((sql) => readBooks(sql, cards, partition));
  }

  /** Owner keys by card token, or by public id of an account; unknown ones are left out. */
  async ownersOf(kind: 'card' | 'account', keys: readonly string[]): Promise<ReadonlyMap<string, number>> {
    return this.#lookUp((sql) => (kind === 'card' ? cardOwners(sql, keys) : accountOwners(sql, keys)));
  }

  /** Accounts by public id, as readCards: for ledger commands. */
  readAccounts(
    publicIds: readonly string[],
    isOurs: (ownerKey: number) => boolean,
    partition: number,
  ): Promise<OwnedRows> {
    return this.#lookUp((sql) => readAccounts(sql, publicIds, isOurs, partition));
  }

  /**
   * A partition's transactions by their name, or by the id of a later message of theirs, with the books of their
   * accounts.
   */
  readTransactions(partition: number, ids: readonly string[]): Promise<KeysRead> {
    return this.#lookUp((sql) => readTransactions(sql, partition, ids));
  }

  /** Journal records of a partition's settled questions, by request id: of one that was asked again, the newest. */
  async readRecords(partition: number, ids: readonly string[]): Promise<KeysRead> {
    const records = await this.#lookUp(
      (sql) => sql<RecordRow[]>`
      select distinct on (id) id, sequence::float8 as sequence, encode(record, 'base64') as record
      from (
        select request_id as id, sequence, record from transaction_events
        -- By the id's index alone: without statistics the planner would read the partition's whole primary key as well.
        where request_id = any(${ids as string[]}) and partition + 0 = ${partition}
        union all
        select a.id, q.sequence, q.record from unnest(${ids as string[]}::text[]) a (id)
        join quarantined_records q on q.partition = ${partition} and q.request = name_key(a.id)) known
      order by id, known.sequence desc`,
    );
    return { message: { records: [...records] }, found: new Set(records.map((row) => row.id)) };
  }

  /** The state that a journal's unsettled tail touches, as settled. */
  async restore(keys: {
    readonly accounts: readonly number[];
    readonly cards: readonly number[];
    readonly users: readonly number[];
    readonly userSpend: readonly number[];
    readonly transactions: readonly string[];
    readonly partition: number;
    readonly holdMs: number;
  }): Promise<PartitionRows> {
    const sql = this.#restoreSql;
    const accounts: AccountRow[] = [];
    for (const part of parts(keys.accounts)) accounts.push(...(await accountRows(sql, part)));
    const users: UserRow[] = [];
    for (const part of parts(keys.users)) users.push(...(await userRows(sql, part)));
    const spend: SpendRow[] = [];
    for (const part of parts(keys.cards)) spend.push(...(await readSpend(sql, spendRows(sql, part, [], []))));
    for (const part of parts(keys.userSpend)) {
      const rows = sql`
        select * from spend_windows where level = ${storedUserLevel}
        and entity_id = any(${part as number[]}::bigint[])`;
      spend.push(...(await readSpend(sql, rows)));
    }
    for (const part of parts(keys.accounts)) spend.push(...(await readSpend(sql, spendRows(sql, [], [], part))));
    const transactions: TransactionRow[] = [];
    for (const part of parts(keys.transactions))
      transactions.push(...(await transactionRows(sql, keys.partition, part)));
    const tombstones = await tombstoneRows(sql, keys.partition, keys.holdMs);
    return { accounts, users, spend, transactions, tombstones };
  }

  /** Hashes of settled ids below `beforeSequence`, newest first. */
  async seenBefore(partition: number, beforeSequence: number): Promise<SeenChunk> {
    // One row of bytes: a hundred thousand numbers as text would keep the event loop busy for half a second.
    const [row] = await this.#restoreSql<
      { sequences: Buffer | null; hashes: Buffer | null; count: number; oldest: string | null }[]
    >`
      select count(*)::int as count, min(sequence) as oldest, string_agg(float8send(sequence::float8),
      ''::bytea) as sequences,
        string_agg(int8send(id_hash), ''::bytea) as hashes
      from (
        select sequence, coalesce(id_hash, 0) as id_hash from (
          (select sequence, id_hash from transaction_events
          where partition = ${partition} and sequence < ${beforeSequence}
          order by sequence desc limit ${seenChunk})
          union all
          (select sequence, id_hash from quarantined_records
          where partition = ${partition} and sequence < ${beforeSequence}
          order by sequence desc limit ${seenChunk})) known
        order by sequence desc limit ${seenChunk}) newest`;
    const empty = Buffer.alloc(0);
    return {
      message: {
        seen: {
          sequences: (row?.sequences ?? empty).toString('base64'),
          hashes: (row?.hashes ?? empty).toString('base64'),
        },
      },
      count: row?.count ?? 0,
      oldestSequence: Number(row?.oldest ?? 0),
    };
  }

  /**
   * Tokens of cards that a partition has decided about lately, the most recent first; where those are few, as in a
   * database that was just seeded, the newest active cards behind them.
   */
  async recentCards(partition: number, partitionCount: number, limit: number): Promise<string[]> {
    const recent = await this.#restoreSql<{ token: string }[]>`
      select c.token from (
        select card_id, max(sequence) as newest from (
          select card_id, sequence from transaction_events
          where partition = ${partition} order by sequence desc limit ${recentEvents}) recent
        where card_id is not null group by card_id order by newest desc limit ${limit}) used
      join cards c on c.id = used.card_id order by used.newest desc`;
    const tokens = new Set(recent.map(({ token }) => token));
    if (tokens.size < limit) {
      const newest = await this.#restoreSql<{ token: string }[]>`
        select c.token from cards c join accounts a on a.id = c.account_id
        where c.status = 'active' and (a.owner_key / 2) % ${partitionCount} = ${partition}
        order by c.id desc limit ${limit - tokens.size}`;
      for (const { token } of newest) tokens.add(token);
    }
    return [...tokens].slice(0, limit);
  }

  /**
   * A partition's open transactions whose lifetime ended, oldest first, by `nowMs` and by the clock of the database.
   * @param after the last one of the page before
   */
  async lapsed(partition: number, nowMs: number, after: LapsePlace | null, limit: number): Promise<LapsedPage> {
    const { expires, id, occurrence } = after ?? { expires: '-infinity', id: '', occurrence: '0' };
    const [row] = await this.#lookUp(
      (sql) => sql<{ databaseMs: number; page: (LapsePlace & { name: string })[]; quarantined: string[] }[]>`
      select extract(epoch from now())::float8 * 1000 as "databaseMs", coalesce((
        select json_agg(json_build_object('name', transaction_name(id, occurrence), 'expires', expires_at::text, 'id',
        id,
          'occurrence', occurrence::text) order by expires_at, id, occurrence)
        from (
          select id, occurrence, expires_at from transactions t
          where status = 1 and partition = ${partition} and expires_at <= least(${new Date(nowMs)}, now())
            and (expires_at, id, occurrence) > (${expires}::text::timestamptz, ${id}::text, ${occurrence}::text::bigint)
            and not exists (
              select from quarantined_records q
              where q.partition = ${partition} and q.chain = name_key(transaction_name(t.id, t.occurrence)))
          order by expires_at, id, occurrence limit ${limit}) due), '[]') as page, coalesce((
        select json_agg(encode(record, 'base64')) from (
          select distinct on (chain) chain_state, record from quarantined_records
          where partition = ${partition} and chain is not null and ${after === null}
          order by chain, sequence desc) newest
        where (chain_state ->> 'status')::integer = 1 and (chain_state ->> 'expiresAtMs')::float8 > 0
          and (chain_state ->> 'expiresAtMs')::float8 <= least(${nowMs}::float8, extract(epoch from now()) * 1000)
        ), '[]') as quarantined`,
    );
    const { databaseMs, page, quarantined } = row!;
    // They have no row that is up to date, and come with the first page.
    const apart = quarantined.map((record) => transactionName(Buffer.from(record, 'base64')));
    return {
      databaseMs,
      names: [...apart, ...page.map(({ name }) => name)],
      last: page.length < limit ? null : page.at(-1)!,
    };
  }

  /** How many records settling has set apart, and the oldest of them. */
  async quarantined(): Promise<Quarantine> {
    const [row] = await this.#lookUp(
      (sql) => sql<{ count: number; partition: number; sequence: string; error: string; record: Buffer }[]>`
      select count(*) over ()::integer as count, partition, sequence, error, record from quarantined_records
      order by quarantined_at limit 1`,
    );
    if (row === undefined) return { count: 0, oldest: '' };
    const { count, partition, sequence, error, record } = row;
    return { count, oldest: `${partition}/${sequence} (${transactionName(record)}): ${error}` };
  }

  /** Accounts with those public ids, with their owners and settled books; unknown ones are left out. */
  accountSummaries(publicIds: readonly string[]): Promise<readonly AccountSummary[]> {
    return this.#lookUp((sql) => accountSummaries(sql, publicIds));
  }

  /** Owners, zones and settled spend windows of a card, a user and an account; unknown ones are left out. */
  spendSummaries(entities: SpendEntities): Promise<readonly SpendSummary[]> {
    return this.#lookUp((sql) => spendSummaries(sql, entities));
  }
}

/**
 * A look-up asks a few keys of many tables: to plan it takes longer than to run it (2 ms of 2.5 for four cards), so it
 * is planned once for a connection. Always by index, because the plan outlives the moment in which the tables were
 * empty.
 */
const planOnce = { plan_cache_mode: 'force_generic_plan', enable_seqscan: 'off' };

function connect(
  url: string,
  max: number,
  statementTimeoutMs: number,
  name: string,
  settings: Readonly<Record<string, string>> = {},
): postgres.Sql {
  return postgres(url, {
    max,
    idle_timeout: 30,
    connect_timeout: connectTimeoutS,
    onnotice: () => undefined,
    connection: { application_name: name, statement_timeout: statementTimeoutMs, ...settings },
    ...knownTypes,
  });
}

function* parts<T>(keys: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < keys.length; start += restoreKeysMax) yield keys.slice(start, start + restoreKeysMax);
}

async function accountRows(sql: postgres.Sql, numbers: readonly number[]): Promise<AccountRow[]> {
  if (numbers.length === 0) return [];
  const rows = await sql<{ json: Omit<AccountRow, 'status'> & { status: string } }[]>`
    select json_build_object('number', a.id, 'version', a.version, 'status', a.status, 'currency', a.currency,
      'timeZone', a.time_zone, 'partialApproval', a.partial_approval, 'limits', l.limits, 'funds', a.funds,
      'held', a.held, 'posted', a.posted) as json
    from engine_accounts a left join limits l on l.level = 2 and l.entity_id = a.id
    where a.id = any(${numbers as number[]}::bigint[])`;
  return rows.map(({ json }) => ({ ...json, status: statusNamed(json.status) }));
}

async function userRows(sql: postgres.Sql, numbers: readonly number[]): Promise<UserRow[]> {
  if (numbers.length === 0) return [];
  const rows = await sql<{ json: Omit<UserRow, 'status'> & { status: string } }[]>`
    select json_build_object('number', u.id, 'version', u.version, 'status', u.status, 'limits', l.limits) as json
    from users u left join limits l on l.level = 1 and l.entity_id = u.id
    where u.id = any(${numbers as number[]}::bigint[])`;
  return rows.map(({ json }) => ({ ...json, status: statusNamed(json.status) }));
}

/** @param from rows of spend_windows */
async function readSpend(sql: postgres.Sql, from: postgres.PendingQuery<postgres.Row[]>): Promise<SpendRow[]> {
  const rows = await sql<{ json: SpendRow }[]>`select ${spendJson(sql, 's')} as json from (${from}) s`;
  return rows.map((row) => row.json);
}

/** The name of the transaction that a record opens or follows. */
function transactionName(record: Buffer): string {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const root = { start: 0, end: 0 };
  readRecordRoot(view, 0, root);
  return record.toString('utf8', root.start, root.end);
}

/**
 * A transaction that a reversal opened is a tombstone: its authorization has not come (transactions keep it as
 * reversed).
 */
function transactionStatus(status: number, type: number): TransactionStatus {
  return type === MessageType.reversal ? TransactionStatus.tombstone : (status as TransactionStatus);
}

type TransactionJson = Omit<TransactionRow, 'status'> & { readonly status: number; readonly type: number };

function transactionRow({ type, ...json }: TransactionJson): TransactionRow {
  return { ...json, status: transactionStatus(json.status, type) };
}

/**
 * Transactions of one partition: an id means nothing beyond it. A transaction that gave its id up to a later one is
 * found by its name only, which the look for lapsed holds knows.
 */
async function transactionRows(
  sql: postgres.Sql,
  partition: number,
  ids: readonly string[],
): Promise<TransactionRow[]> {
  if (ids.length === 0) return [];
  const rows = await sql<{ json: TransactionJson }[]>`
    with asked as (select unnest(${ids as string[]}::text[]) as asked_id),
    direct as (
      select a.asked_id, a.asked_id as name from asked a
      join transactions t on t.id = name_id(a.asked_id) and t.partition = ${partition}
        and t.occurrence = name_occurrence(a.asked_id)),
    -- The id of a later message leads to its transaction.
    indirect as (
      select asked_id, name from (
        select distinct on (a.asked_id) a.asked_id, e.transaction_id as name, e.approved
        from asked a join transaction_events e on e.request_id = a.asked_id and e.partition + 0 = ${partition}
        where a.asked_id not in (select asked_id from direct)
        order by a.asked_id, e.sequence desc) newest
      -- What was declined or taken back added nothing that could be followed. An answer shows the name, so it is an id.
      where approved and name_occurrence(name) = 0),
    named as (select * from direct union all select * from indirect)
    select json_build_object('id', k.name, 'askedId', k.asked_id, 'accountNumber', t.account_id, 'cardNumber',
    t.card_id,
      'cardSpend', coalesce(c.spend_of, t.card_id), 'userNumber', t.user_id, 'status', t.status, 'type', t.type,
      'held', t.held_amount, 'posted', t.posted_amount,
      'refunded', t.refunded_amount, 'firstDay', t.spend_day, 'newestDay', t.newest_spend_day,
      'newestAmount', t.newest_spend_amount,
      'expiresAtMs', coalesce(extract(epoch from t.expires_at) * 1000, 0)) as json
    from named k
    join transactions t on t.id = name_id(k.name) and t.partition = ${partition}
    and t.occurrence = name_occurrence(k.name)
    left join cards c on c.id = t.card_id
    where t.account_id is not null and not exists (
      select from quarantined_records q where q.partition = ${partition} and q.chain = name_key(k.name))
    union all
    -- What is quarantined is not in the row yet: the newest record has the whole.
    select (q.chain_state || jsonb_build_object('id', k.name, 'askedId', k.asked_id))::json
    from (select * from named union select asked_id, asked_id from asked) k
    cross join lateral (
      select chain_state from quarantined_records
      where partition = ${partition} and chain = name_key(k.name) order by sequence desc limit 1) q
    where q.chain_state ->> 'accountNumber' is not null`;
  return rows.map((row) => transactionRow(row.json));
}

async function readTransactions(sql: postgres.Sql, partition: number, ids: readonly string[]): Promise<KeysRead> {
  // First: what is read behind it has all that is settled here, or more.
  const [position] = await sql<{ settled: number }[]>`select ${settledOf(sql, partition)}`;
  const transactions = await transactionRows(sql, partition, ids);
  const numbers = (pick: (row: TransactionRow) => number) => [...new Set(transactions.map(pick))];
  const [accounts, users, rows] = await Promise.all([
    accountRows(
      sql,
      numbers((row) => row.accountNumber),
    ),
    userRows(
      sql,
      numbers((row) => row.userNumber),
    ),
    readSpend(
      sql,
      spendRows(
        sql,
        numbers((row) => row.cardSpend ?? row.cardNumber),
        numbers((row) => row.userNumber),
        numbers((row) => row.accountNumber),
      ),
    ),
  ]);
  const { settled } = position!;
  const { spend, unspent } = spendOf(transactions, accounts, rows);
  return {
    message: { settled, accounts, users, spend, unspent, transactions },
    found: new Set(transactions.map((row) => row.askedId)),
  };
}

async function tombstoneRows(sql: postgres.Sql, partition: number, holdMs: number): Promise<TransactionRow[]> {
  const rows = await sql<{ json: TransactionJson }[]>`
    select json_build_object('id', t.id, 'askedId', t.id, 'accountNumber', t.account_id, 'cardNumber', t.card_id,
      'userNumber', t.user_id, 'status', t.status, 'type', t.type, 'held', 0, 'posted', 0, 'refunded', 0,
      'firstDay', 0, 'newestDay', 0, 'newestAmount', 0, 'expiresAtMs', 0) as json
    from transactions t
    where t.type = ${MessageType.reversal} and t.partition = ${partition} and t.occurrence = 0
      and t.created_at > ${new Date(Date.now() - holdMs)}
    order by t.created_at desc limit ${tombstonesMax}`;
  return rows.map((row) => transactionRow(row.json));
}
