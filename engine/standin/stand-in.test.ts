/**
 * Two fronts on one database: what the owner of a partition approves without it, the next owner answers and books. The
 * first one is gone without a word, as a process that was killed.
 */
import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';
import t, { type Test } from 'tap';
import { databaseFor, folderFor } from '../../deploy/testing/for-test.js';
import { processUrl } from '../../deploy/testing/test-database.js';
import { createLog } from '../../platform/log.js';
import { Status } from '../core/accounts.js';
import { CardType } from '../core/card-types.js';
import { Protocol, packLetters } from '../core/codes.js';
import { Reason } from '../core/reasons.js';
import type { StandInRule } from '../core/stand-in.js';
import type { Answers } from '../exchange/answers.js';
import { EntryStatus } from '../exchange/slab.js';
import type { Waiter } from '../ledger/waiter.js';
import { nativeCodec } from '../protocols/testing/test-codecs.js';
import { until } from '../testing/engine-process.js';
import type { KnownCard } from './known-cards.js';
import { SharedApprovals } from './shared-approvals.js';
import { StandIn } from './stand-in.js';

const log = createLog('silent', 'test');
const deadlineMs = 3000;
const rule: StandInRule = {
  ...{ currency: packLetters('USD'), perCardMinor: 100_000, perDayMinor: 100_000, amountMaxMinor: 500 },
  ...{ mcc: null, stateAgeMsMax: 1000, engines: 2 },
};
const knownCard: KnownCard = {
  ...{ token: 'card_1', status: Status.active, type: CardType.virtual, expiresDay: 40_000, day: 20_000 },
  ...{ userStatus: Status.active, accountStatus: Status.active, currency: rule.currency },
  ...{ cardRules: null, userRules: null, accountRules: null },
  owner: { accountNumber: 1, cardNumber: 1, cardSpend: 1, userNumber: 1, profileVersion: 1 },
};

/** Notes the bytes of its answer, without the time that it took. */
class Client implements Waiter {
  readonly kind = Protocol.native;
  readonly arrivalMs = Date.now();
  reentries = 0;
  said = '';
  isRefused = false;

  get isSettled(): boolean {
    return this.said !== '';
  }
  answer(from: Answers, index: number): void {
    const text = Buffer.from(from.answer.subarray(from.answerStart[index]!, from.answerEnd[index]!)).toString();
    this.said = text.replace(/,"responseTimeMs".*/, '');
  }
  refuse(reason: Reason): void {
    this.isRefused = true;
    this.said = `refused ${reason}`;
  }
}

class Front {
  readonly holder = randomUUID();
  readonly shared: SharedApprovals;
  readonly standIn: StandIn;
  readonly #sql: postgres.Sql;
  epoch: number | null = null;
  isLapsed = false;
  /** Bookings that its partition has not answered. */
  readonly bookings: { readonly id: string; readonly waiter: Waiter }[] = [];

  private constructor(sql: postgres.Sql, url: string, ownRule: StandInRule | null) {
    this.#sql = sql;
    const databaseUrl = processUrl(url, 'engine');
    const { holder } = this;
    this.shared = new SharedApprovals({
      ...{ databaseUrl, holder, deadlineMs, log },
      epochOf: () => this.epoch,
      isLapsed: () => this.isLapsed,
    });
    this.standIn = new StandIn({
      ...{ rule: ownRule, deadlineMs, log, shared: this.shared },
      cards: { find: () => knownCard },
      nowMs: () => Date.now(),
      stateAgeMs: () => 0,
      isStale: () => false,
      mayApprove: () => true,
      book: (_partition, record, waiter) => {
        this.bookings.push({ id: Buffer.from(record).toString('latin1'), waiter });
      },
    });
  }

  static async start(t: Test, sql: postgres.Sql, url: string, ownRule: StandInRule | null = rule): Promise<Front> {
    const front = new Front(sql, url, ownRule);
    await sql`insert into engines (id, auth_url, ops_url, peer_host, peer_port, host, pid, version, lease_ms)
      values (${front.holder}, '', '', '', 1, '', 1, '', 600000)`;
    await sql`insert into partition_leases (partition) values (0) on conflict do nothing`;
    if (ownRule !== null) await front.standIn.open(folderFor(t));
    await front.shared.prepare();
    t.teardown(async () => {
      await front.standIn.close();
      await front.shared.close();
    });
    return front;
  }

  /** As the mover does it. */
  async claim(): Promise<void> {
    const [row] = await this.#sql<{ epoch: number }[]>`
      select claim_partition(0, ${this.holder}::text::uuid)::float8 as epoch`;
    this.epoch = row!.epoch;
    this.standIn.adopt(0, await this.shared.read(0));
  }

  /** Its lease ends, and it does not know it. */
  async lapse(): Promise<void> {
    await this.#sql`update engines set renewed_at = null where id = ${this.holder}`;
  }

  /** A purchase whose partition refuses it. @returns the client, answered by then where it can be */
  ask(id: string, amount = 100, isNew = true): Client {
    const client = new Client();
    const body = JSON.stringify({ id, type: 'authorization', card: 'card_1', amount, currency: 'USD' });
    this.standIn.guard(nativeCodec, 0, Buffer.from(body), client, isNew)?.refuse(Reason.systemError);
    return client;
  }

  bookAll(): void {
    this.standIn.bookSome();
    const decided = { status: [EntryStatus.decided], reason: [Reason.approved] } as unknown as Answers;
    for (const { waiter } of this.bookings.splice(0)) waiter.answer(decided, 0);
  }
}

const answered = (client: Client) => until('it is answered', () => client.isSettled);

t.test('the next owner answers a repeat as the owner before it did, and books it once', async (t) => {
  const { sql, url } = await databaseFor(t);
  for (const nextRule of [rule, null]) {
    const before = await Front.start(t, sql, url);
    await before.claim();
    const first = before.ask('q');
    await answered(first);
    t.match(first.said, '"detail":"stand_in"');
    await before.lapse();
    const next = await Front.start(t, sql, url, nextRule);
    await next.claim();
    const repeat = next.ask('q', 100, false);
    t.equal(repeat.said, first.said, 'before it is booked');
    t.match(next.ask('q', 101, false).said, 'duplicate_conflict', 'other content');
    const waiting = new Client();
    const reversal = JSON.stringify({ id: 'r', type: 'reversal', card: 'card_1', original: 'q' });
    t.ok(next.standIn.isAnswered(nativeCodec, Buffer.from(reversal), waiting), 'what waited for the partition');
    t.ok(waiting.isRefused, 'comes again when it is booked');
    t.equal(next.standIn.unbooked, 1);
    next.bookAll();
    t.equal(next.standIn.unbooked, 0);
    await until('it is removed', async () => (await sql`select from stand_in_approvals`).length === 0);
    await next.lapse();
  }
});

t.test('an owner that was replaced approves nothing more, and takes nothing of the next one away', async (t) => {
  const { sql, url } = await databaseFor(t);
  const before = await Front.start(t, sql, url);
  await before.claim();
  await before.lapse();
  const next = await Front.start(t, sql, url);
  await next.claim();
  const late = before.ask('q');
  await answered(late);
  t.equal(late.said, `refused ${Reason.systemError}`);
  t.equal(before.standIn.refused.get('lease'), 1);
  t.equal(before.standIn.unbooked, 0, 'it owes nothing');
  const approved = next.ask('q');
  await answered(approved);
  t.match(approved.said, '"approved":true');
  await before.shared.remove(0, 'q', Buffer.from('another record'));
  t.equal((await sql`select from stand_in_approvals`).length, 1);
  before.isLapsed = true;
  t.ok(before.ask('other').isRefused, 'an engine that does not reach the database refuses at once');
  t.equal(before.standIn.refused.get('database'), 1);
});

t.test('whenever a partition is taken over, its next owner reads every approval that left', async (t) => {
  const { sql, url } = await databaseFor(t);
  let owner = await Front.start(t, sql, url);
  await owner.claim();
  let count = 0;
  for (let round = 0; round < 2; round++) {
    const next = await Front.start(t, sql, url);
    const from = owner;
    const clients: { id: string; client: Client }[] = [];
    let isOver = false;
    const load = (async () => {
      while (!isOver) {
        const id = `q-${++count}`;
        clients.push({ id, client: from.ask(id) });
        await new Promise((resolve) => setImmediate(resolve));
        if (clients.length % 8 === 0) await until('some are answered', () => clients.at(-8)!.client.isSettled);
      }
    })();
    await until('some are approved', () => from.standIn.approved > 5);
    await from.lapse();
    await next.claim();
    await until('it has noticed', () => (from.standIn.refused.get('lease') ?? 0) > 0, 30_000);
    isOver = true;
    await load;
    for (const { id, client } of clients) {
      await answered(client);
      if (client.isRefused) continue;
      t.equal(next.ask(id, 100, false).said, client.said, id);
    }
    next.bookAll();
    while (next.standIn.unbooked > 0) next.bookAll();
    owner = next;
  }
});

t.test(
  'an approval that the database may have and the client may not is withdrawn before its id is free',
  async (t) => {
    const { sql, url } = await databaseFor(t);
    const front = await Front.start(t, sql, url);
    await front.claim();
    let client = new Client();
    await sql.begin(async (locked) => {
      // The insert waits for this, and ends at its deadline.
      await locked`select from partition_leases for update`;
      client = front.ask('q');
      await until('its time is over', () => {
        front.standIn.expire(Date.now());
        return client.isSettled;
      });
    });
    t.ok(client.isRefused);
    t.ok(front.ask('q', 100, false).isRefused, 'its id');
    await until(
      'it is withdrawn',
      () => {
        front.standIn.bookSome();
        return front.standIn.unbooked === 0;
      },
      30_000,
    );
    t.same(await sql`select from stand_in_approvals`, []);
    t.equal(front.bookings.length, 0, 'it is not booked');
  },
);
