/**
 * Customers are served while the history of personal customers is far behind, with a slow MongoDB-protocol server (the
 * tests' FerretDB). A freeze is in force, and the history is copied all the same. BACKLOG_RECORDS says how far behind.
 */
import type postgres from 'postgres';
import t from 'tap';
import { findFreePort } from '../../deploy/free-port.js';
import { databaseFor, folderFor } from '../../deploy/testing/for-test.js';
import { MongoServer } from '../../deploy/testing/mongo-server.js';
import { until } from '../../engine/testing/engine-process.js';
import { request } from '../testing/api-inside.js';
import { ApiProcess } from '../testing/api-process.js';
import { type ApiUnderTest, Customer } from '../testing/customer.js';

t.setTimeout(0);

const { BACKLOG_RECORDS = '20000' } = process.env;
const waitingMin = Number(BACKLOG_RECORDS);
const freezes = 100;
/** The server is slow by itself, and other suites run beside this one. */
const waitMsMax = 600_000;

/** Authorizations of one card, settled behind what is there: `count` of them, each with a clearing when asked for. */
async function settle(sql: postgres.Sql, cardId: string, prefix: string, count: number): Promise<void> {
  await sql.unsafe(
    `with card as (select id, account_id, user_id from cards where public_id = $1),
     last as (select coalesce(max(sequence), 0) as sequence from transaction_events where partition = 0),
     chain as (
       insert into transactions (id, account_id, card_id, user_id, amount, approved_amount, held_amount, posted_amount,
         refunded_amount, newest_spend_amount, created_at, updated_at, partition, spend_day, newest_spend_day, type,
         status,
         reason, detail, mcc, channel, forced, currency, country, merchant_id, merchant_name)
       select $2 || n, c.account_id, c.id, c.user_id, 100, 100, 100, 0, 0, 0, now(), now(), 0, 20000, 20000, 1, 1, 0, 0,
         5411, 1, false, 'USD', 'US', 'm-1', 'Corner Store'
       from card c, generate_series(1, $3::integer) n
     ),
     event as (
       insert into transaction_events (sequence, account_id, card_id, user_id, amount, approved_amount, available_delta,
         held_delta, posted_delta, external_delta, at, partition, type, protocol, reason, detail, approved,
         transaction_id, request_id, record)
       select l.sequence + n, c.account_id, c.id, c.user_id, 100, 100, 0, 0, 0, 0, now(), 0, 1, 1, 0, 0, true, $2 || n,
         $2 || n, ''
       from card c, last l, generate_series(1, $3::integer) n
     )
     insert into journal_positions (partition, partition_count, sequence)
     select 0, 1, sequence + $3::integer from last
     on conflict (partition) do update set sequence = excluded.sequence`,
    [cardId, prefix, count],
  );
}

/**
 * Clears what settle() authorized under that prefix: the history has these transactions already, and must change
 * them.
 */
async function clear(sql: postgres.Sql, prefix: string): Promise<void> {
  await sql.unsafe(
    `with last as (select max(sequence) as sequence from transaction_events where partition = 0),
     cleared as (
       update transactions set held_amount = 0, posted_amount = 100, status = 2 where id like $1 || '%'
       returning id, account_id, card_id, user_id
     ),
     numbered as (select *, row_number() over (order by id) as n from cleared),
     event as (
       insert into transaction_events (sequence, account_id, card_id, user_id, amount, approved_amount, available_delta,
         held_delta, posted_delta, external_delta, at, partition, type, protocol, reason, detail, approved,
         transaction_id, request_id, record)
       select l.sequence + n, account_id, card_id, user_id, 100, 100, 0, 0, 0, 0, now(), 0, 4, 1, 0, 0, true, id,
         id || '-clearing', ''
       from numbered, last l
     )
     update journal_positions set sequence = l.sequence + (select count(*) from cleared) from last l
     where partition = 0`,
    [prefix],
  );
}

function percentile(sorted: readonly number[], share: number): string {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!.toFixed(1);
}

t.test('a freeze is in force while history waits, and the copying of history continues', async (t) => {
  const database = await databaseFor(t);
  const { sql } = database;
  const folder = folderFor(t);
  const mongo = new MongoServer(await findFreePort(), folder);
  await mongo.start();
  const process = new ApiProcess(await findFreePort(), {
    API_OPS_PORT: String(await findFreePort()),
    DATABASE_URL: database.url,
    MONGODB_URI: `${mongo.uri}backlog`,
    LOG_LEVEL: 'warn',
  });
  t.teardown(async () => {
    await process.stop();
    await mongo.signal('SIGKILL');
  });
  await process.ready();
  const api: ApiUnderTest = {
    engine: null,
    request: (method, path, options) => request(process.url, method, path, options),
  };
  const metric = async (name: string) => {
    const { text } = await request(process.opsUrl, 'GET', '/metrics');
    return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
  };
  const customer = await Customer.register(api, 'personal');
  // Balances need an engine, which this test does without.
  const [account] = await sql<{ id: string }[]>`select public_id as id from accounts`;
  const card = await customer.card(account!.id);
  const path = `/api/cards/${card.id}`;

  /** Freezes and thaws the card again and again: every answer must be a change that is in force. */
  const freezeOften = async (what: string) => {
    const tookMs: number[] = [];
    for (let index = 0; index < freezes; index++) {
      const status = index % 2 === 0 ? 'frozen' : 'active';
      const startedMs = performance.now();
      const reply = await api.request('PATCH', path, { token: customer.token, body: { status } });
      tookMs.push(performance.now() - startedMs);
      if (reply.status !== 200 || reply.json.status !== status) t.fail(`${what}: ${reply.status} ${reply.text}`);
    }
    tookMs.sort((a, b) => a - b);
    t.comment(`${what}: p50 ${percentile(tookMs, 0.5)} ms, p99 ${percentile(tookMs, 0.99)} ms`);
  };

  await freezeOften('nothing waits');
  await settle(sql, card.id, 'few-', 100);
  await freezeOften('100 authorizations by one customer');
  await until('they are in the history', async () => (await metric('personal_history_copied_total')) >= 100, waitMsMax);

  await settle(sql, card.id, 'some-', 400);
  await until('they are in the history', async () => (await metric('personal_history_copied_total')) >= 500, waitMsMax);
  await clear(sql, 'few-');
  await freezeOften('100 transactions change, of 500 in the history');
  await until('they are in the history', async () => (await metric('personal_history_lag_records')) === 0, waitMsMax);

  await settle(sql, card.id, 'many-', Math.ceil(1.5 * waitingMin));
  await until('they wait', async () => (await metric('personal_history_lag_records')) > waitingMin, waitMsMax);
  const before = await metric('personal_history_copied_total');
  await freezeOften(`${await metric('personal_history_lag_records')} records wait`);
  const lag = await metric('personal_history_lag_records');
  t.ok(lag > 0, 'records waited all the time');
  await until('history goes on', async () => (await metric('personal_history_copied_total')) > before, waitMsMax);
  t.comment(`${(await metric('personal_history_copied_total')) - before} copied meanwhile, ${lag} wait`);
});
