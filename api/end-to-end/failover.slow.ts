/**
 * The database's primary dies under load and its synchronous standby is promoted: engine and API go on by themselves,
 * and what was acknowledged is on the new primary, once.
 */
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import t, { type Test } from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { ReplicatedPostgres } from '../../deploy/testing/replicated-postgres.js';
import { createTestDatabase } from '../../deploy/testing/test-database.js';
import { answerOf, Client } from '../../engine/testing/client.js';
import { type EnginePlace, metric, until } from '../../engine/testing/engine-process.js';
import { connectPostgres } from '../../platform/postgres/connect.js';
import { readJournalPosition } from '../../workers/settle/settle.js';
import type { Reply } from '../testing/api-inside.js';
import { type ApiUnderTest, Customer } from '../testing/customer.js';
import { startProcesses } from '../testing/engine-and-api.js';

t.setTimeout(0);

const accounts = 20;
const clients = 8;
/** Under load before the primary dies, without a primary, and after the promotion. */
const loadMs = 3000;
const awayMs = 2000;
const recoveryMsMax = 15_000;
/** Of answers whose commit was over when the standby stopped. */
const onTheirWayMs = 500;

t.test('a primary that dies under load costs nothing that was acknowledged', (t) => failOver(t, 'local'));
t.test('nor does it where it has the journal', (t) => failOver(t, 'postgres'));

async function failOver(t: Test, journal: 'local' | 'postgres'): Promise<void> {
  t.setTimeout(0);
  const servers = await ReplicatedPostgres.start();
  t.teardown(() => servers.stop());
  const database = await createTestDatabase({ serverUrl: servers.primaryUrl });
  const url = servers.bothOf(database.url);
  const sql = connectPostgres(url, { max: 1, onnotice: () => undefined });
  t.teardown(() => sql.end({ timeout: 1 }));
  await seedAccounts(sql, { accounts, cardsPerAccount: 1, balanceMinor: 100_000_000 });
  const { api, engine, place } = await startProcesses(t, url, {}, { JOURNAL: journal });
  const customer = await Customer.register(api, 'business');
  const cards = new Cards(api, customer, await customer.card(await customer.accountId()));
  const load = new Load(place);

  await delay(loadMs);
  if (journal === 'postgres') {
    servers.pauseStandby();
    await delay(onTheirWayMs);
    const before = load.approved;
    await delay(onTheirWayMs);
    t.equal(load.approved, before, 'no approval leaves that the standby does not have');
    servers.resumeStandby();
    await load.oneMore();
  }
  servers.killPrimary();
  await delay(awayMs);
  const approvedAway = load.approved;
  await servers.promote();
  const promotedAt = performance.now();
  const since = () => Math.round(performance.now() - promotedAt);
  await load.oneMore();
  const firstApprovalMs = since();
  await until('the API serves reads', () => cards.read(), recoveryMsMax);
  const firstReadMs = since();
  const position = await metric(place, 'shipper_sequence{partition="0"}');
  await until('settling goes on', () => movedBeyond(place, position), recoveryMsMax);
  const firstSettledMs = since();
  await until('the API takes a write', () => cards.toggle(), recoveryMsMax);
  const firstWriteMs = since();
  await delay(loadMs);
  await load.stop();

  t.ok(approvedAway > 0 && load.approved > approvedAway, 'there was traffic before and after');
  t.ok(firstApprovalMs < 5000, `an approval came ${firstApprovalMs} ms after the promotion`);
  await settledWhole(t, place, sql);
  for (let account = 1; account <= accounts; account++) {
    const [row] = await sql<{ held: number }[]>`
      select held::integer as held from accounts where public_id = ${accountOf(account)}`;
    t.equal(row!.held, load.held(account), `account ${account} holds what was acknowledged`);
  }
  t.equal((await cards.state()).status, cards.status, 'the card is as the API acknowledged it');
  t.ok(engine.isAlive && api.process.isAlive, 'no process was started again');
  t.comment(
    `after the promotion: approval ${firstApprovalMs} ms, read ${firstReadMs} ms, settling ${firstSettledMs} ms, ` +
      `write ${firstWriteMs} ms; ${load.approved} approvals, ${load.refused} times 503`,
  );

  await servers.restartPrimary();
  const [{ port } = { port: 0 }] = await freshly(
    url,
    (sql) => sql<{ port: number }[]>`select inet_server_port() as port`,
  );
  t.equal(port, Number(new URL(servers.standbyUrl).port), 'the former primary that came back is not believed');
}

t.test('a settled position that is read waits for the standby, as a commit does', async (t) => {
  const servers = await ReplicatedPostgres.start();
  t.teardown(() => servers.stop());
  const database = await createTestDatabase({ serverUrl: servers.primaryUrl });
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  t.teardown(() => sql.end({ timeout: 1 }));
  await sql`insert into journal_positions (partition, partition_count) values (0, 1)`;
  servers.pauseStandby();
  let position: number | null = null;
  const reading = readJournalPosition(sql, 0).then((sequence) => {
    position = sequence;
  });
  await delay(1000);
  t.equal(position, null, 'what may be on no other server is not believed');
  servers.resumeStandby();
  await reading;
  t.equal(position, 0);
});

/** Authorizations without a pause, with what was approved of each account. */
class Load {
  readonly #client: Client;
  readonly #held = new Map<number, number>();
  readonly #loops: Promise<void>[];
  #asked = 0;
  #isOver = false;
  approved = 0;
  refused = 0;

  constructor(place: EnginePlace) {
    this.#client = new Client(place.authPort);
    this.#loops = Array.from({ length: clients }, () => this.#loop());
  }

  held(account: number): number {
    return this.#held.get(account) ?? 0;
  }

  async oneMore(): Promise<void> {
    const before = this.approved;
    await until('an approval', () => this.approved > before, recoveryMsMax, 1);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#loops);
    this.#client.close();
  }

  async #loop(): Promise<void> {
    const merchant = { id: 'm-1', name: 'Corner Store', mcc: '5411', country: 'US' };
    while (!this.#isOver) {
      const number = ++this.#asked;
      const account = (number % accounts) + 1;
      const message = {
        id: `failover-${number}`,
        type: 'authorization',
        card: `card_${String(account).padStart(6, '0')}_1`,
        amount: 1 + (number % 7),
        currency: 'USD',
        merchant,
      };
      // An answer of 503 is none: the id is asked again until there is one.
      for (;;) {
        const reply = await this.#client.native(message);
        if (reply.status === 503) {
          this.refused++;
          await delay(20);
          continue;
        }
        const { approved, approvedAmount } = answerOf(reply);
        if (approved) this.approved++;
        this.#held.set(account, this.held(account) + approvedAmount);
        break;
      }
      await delay(2);
    }
  }
}

/** A card that the API freezes and unfreezes by turns. */
class Cards {
  readonly #api: ApiUnderTest;
  readonly #token: string;
  readonly #id: string;
  status = 'active';

  constructor(api: ApiUnderTest, { token }: Customer, { id }: { readonly id: string }) {
    this.#api = api;
    this.#token = token;
    this.#id = id;
  }

  /** Not the customer's own way, which asks again after a 503. */
  #ask(method: string, body?: object): Promise<Reply> {
    return this.#api.request(method, `/api/cards/${this.#id}`, { token: this.#token, body });
  }

  async read(): Promise<boolean> {
    return (await this.#ask('GET')).status === 200;
  }

  async state(): Promise<{ status: string }> {
    return (await this.#ask('GET')).json;
  }

  async toggle(): Promise<boolean> {
    const wanted = this.status === 'active' ? 'frozen' : 'active';
    const reply = await this.#ask('PATCH', { status: wanted });
    // 202: written, and not known yet to be in force at the engine.
    if (reply.status !== 200 && reply.status !== 202) return false;
    this.status = wanted;
    return true;
  }
}

const accountOf = (number: number) => `acct_${String(number).padStart(6, '0')}`;

async function movedBeyond(place: EnginePlace, position: number): Promise<boolean> {
  return (await metric(place, 'shipper_sequence{partition="0"}')) > position;
}

/** Everything durable is settled, without a gap or a double, and the books balance. */
async function settledWhole(t: Test, place: EnginePlace, sql: postgres.Sql): Promise<void> {
  const durable = await metric(place, 'journal_sequence{partition="0"}');
  await until('everything is settled', () => movedBeyond(place, durable - 1), 60_000);
  const [row] = await sql<{ events: number; newest: number }[]>`
    select count(*)::integer as events, max(sequence)::integer as newest from transaction_events where partition = 0`;
  t.same(row, { events: row!.newest, newest: row!.newest }, 'no gap, no double');
  t.ok(row!.newest >= durable);
  t.same((await auditBooks(sql)).findings, [], 'the books balance');
}

/** On connections of its own, chosen now. */
async function freshly<T>(url: string, query: (sql: postgres.Sql) => PromiseLike<T>): Promise<T> {
  const sql = connectPostgres(`${url}&application_name=freshly`, { max: 1, onnotice: () => undefined });
  try {
    return await query(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}
