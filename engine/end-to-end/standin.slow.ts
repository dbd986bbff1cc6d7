/**
 * Stand-in under load while parts are killed: threads, the whole process, and the room of the journal. Each answer that
 * left is in the books once, repeats of it are the same bytes, and the caps hold.
 */
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import { embeddedRoles } from '../../deploy/database-roles.js';
import { startEmbeddedPostgres } from '../../deploy/embedded-postgres.js';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { databaseFor, folderFor } from '../../deploy/testing/for-test.js';
import { migrate } from '../../sql/migrate.js';
import { answerOf, Client, type Reply, stableBody } from '../testing/client.js';
import { killThread } from '../testing/dying-storage.js';
import { startTestEngine } from '../testing/engine-inside.js';
import {
  type EnginePlace,
  engineBooks,
  enginePlace,
  metric,
  opsGet,
  shortLease,
  startEngineProcess,
  until,
} from '../testing/engine-process.js';
import {
  accountId,
  card,
  type Engine,
  owned,
  accounts as several,
  severalEngines,
  untilSpread,
} from '../testing/several-engines.js';

t.setTimeout(0);

/** Between two questions of a client, and two looks at the engine: each answer is asked again twice. */
const pauseMs = 5;
const accounts = 8;
const rule = { currency: 'USD', perCardMinor: 400, perDayMinor: 2500, amountMaxMinor: 50 };
const cardOf = (account: number) => `card_${String(account).padStart(6, '0')}_1`;
const accountOf = (account: number) => `acct_${String(account).padStart(6, '0')}`;

/** A client that remembers each answer, and compares the books with them. */
class Answers {
  readonly #t: Test;
  readonly #client: () => Client;
  readonly #answered = new Map<string, { message: Record<string, unknown>; account: number; reply: Reply }>();
  asked = 0;
  standIns = 0;
  refused = 0;

  constructor(t: Test, client: () => Client) {
    this.#t = t;
    this.#client = client;
  }

  async askOne(): Promise<void> {
    const number = ++this.asked;
    const account = 1 + (number % accounts);
    const merchant = { id: 'm-1', name: 'Corner Store', mcc: '5411', country: 'US' };
    const amount = 1 + (number % 17);
    const message = {
      id: `q-${number}`,
      type: 'authorization',
      card: cardOf(account),
      amount,
      currency: 'USD',
      merchant,
    };
    const reply = await this.#client()
      .native(message)
      .catch(() => null);
    // The process was killed: whether it was approved is asked later, with the same id.
    if (reply === null) return;
    if (reply.status === 503) {
      this.refused++;
      return;
    }
    if (reply.status !== 200) this.#t.fail(`${reply.status} ${reply.body}`);
    if (answerOf(reply).detail === 'stand_in') this.standIns++;
    this.#answered.set(String(message.id), { message, account, reply });
  }

  async load(width: number, isDone: () => boolean | Promise<boolean>): Promise<void> {
    let done = false;
    const one = async () => {
      while (!done) {
        await this.askOne();
        await delay(pauseMs);
      }
    };
    const watch = async () => {
      while (!done) {
        done = await isDone();
        if (!done) await delay(pauseMs);
      }
    };
    await Promise.all([watch(), ...Array.from({ length: width }, one)]);
  }

  /** Each answer again, whatever happened in between. */
  async compareRepeats(): Promise<void> {
    for (const [id, { message, reply }] of this.#answered) {
      let again = await this.#client().native(message);
      await until(`${id} is answered`, async () => {
        if (again.status === 503) again = await this.#client().native(message);
        return again.status !== 503;
      });
      if (stableBody(again.body) !== stableBody(reply.body)) {
        this.#t.fail(`two answers to ${id}:\n${reply.body}\n${again.body}`);
      }
    }
    this.#t.pass(`${this.#answered.size} answers have the same bytes again`);
  }

  /** What was answered is held at least. What was asked and never answered may be held too. */
  async compareBooks(place: EnginePlace, mayHoldMore: boolean): Promise<void> {
    for (let account = 1; account <= accounts; account++) {
      let held = 0;
      for (const one of this.#answered.values())
        if (one.account === account) held += answerOf(one.reply).approvedAmount;
      const books = await engineBooks(place, accountOf(account));
      this.#t.ok(
        mayHoldMore ? books.held >= held : books.held === held,
        `account ${account}: ${books.held} of ${held}`,
      );
    }
  }

  compareCaps(): void {
    const sums = new Map<number, number>();
    let total = 0;
    for (const { account, reply } of this.#answered.values()) {
      const { detail, approvedAmount } = answerOf(reply);
      if (detail !== 'stand_in') continue;
      sums.set(account, (sums.get(account) ?? 0) + approvedAmount);
      total += approvedAmount;
    }
    this.#t.ok(total <= rule.perDayMinor, `${total} in all`);
    for (const sum of sums.values()) if (sum > rule.perCardMinor) this.#t.fail(`a card has ${sum}`);
  }
}

const standIn = { STANDIN: JSON.stringify(rule), DEADLINE_MS: '1500' };
const isReady = async (place: EnginePlace) => (await opsGet(place, '/readyz')).status === 200;

async function quiet(t: Test, place: EnginePlace, sql: Parameters<typeof auditBooks>[0], partitions: number) {
  await until('every approval is booked', async () => (await metric(place, 'standin_unbooked')) === 0, 60_000);
  for (let partition = 0; partition < partitions; partition++) {
    const sequence = await metric(place, `journal_sequence{partition="${partition}"}`);
    const settled = () => metric(place, `shipper_sequence{partition="${partition}"}`);
    await until('Postgres has caught up', async () => (await settled()) >= sequence, 60_000);
  }
  t.same((await auditBooks(sql)).findings, [], 'the books balance');
  const [row] = await sql<{ doubles: number }[]>`
    select count(*)::integer as doubles from (
      select id from transactions where status <> 5 group by id having count(*) > 1) d`;
  t.equal(row!.doubles, 0, 'no id has two purchases');
}

t.test('threads that are killed under load', async (t) => {
  const changes = { ...standIn, PARTITIONS: '2' };
  const engine = await startTestEngine(t, { accounts, balanceMinor: 1_000_000, changes });
  const answers = new Answers(t, () => engine.client);
  await answers.load(4, () => answers.asked >= 4 * accounts);
  let restarts = 0;
  for (const moment of ['beforeWrite', 'beforeSync', 'beforeWrite', 'beforeSync'] as const) {
    killThread(engine.disk, restarts % 2, moment);
    const isDead = async () => (await metric(engine.place, 'worker_restarts')) > restarts;
    await answers.load(16, async () => (await isDead()) && (await isReady(engine.place)));
    restarts++;
  }
  t.ok(answers.standIns > 0, `${answers.standIns} approved by stand-in, ${answers.refused} refused`);
  await quiet(t, engine.place, engine.sql, 2);
  await answers.compareRepeats();
  await answers.compareBooks(engine.place, false);
  answers.compareCaps();
  await engine.restart();
  await answers.compareRepeats();
  await quiet(t, engine.place, engine.sql, 2);
});

t.test('a process that is killed while stand-in approvals wait for a full journal', async (t) => {
  const { sql, url } = await databaseFor(t);
  await seedAccounts(sql, { accounts, cardsPerAccount: 1, balanceMinor: 1_000_000 });
  const place = await enginePlace(url, folderFor(t));
  const changes = { ...standIn, ...shortLease, JOURNAL_SEGMENTS_MAX: '2' };
  let engine = await startEngineProcess(place, changes);
  let client = new Client(place.authPort);
  t.teardown(async () => {
    client.close();
    await engine.kill('SIGKILL');
  });
  const answers = new Answers(t, () => client);
  await answers.load(4, () => answers.asked >= 4 * accounts);
  const wide = '𝄞';
  let filled = 0;
  const fill = () =>
    client.authorize(`fill-${++filled}`, cardOf(1), 1_000_000_00, {
      merchant: { id: wide.repeat(64), name: wide.repeat(128), mcc: '5411', country: 'US' },
    });
  for (let round = 0; round < 2; round++) {
    await sql.begin(async (locked) => {
      await locked`select * from journal_positions for update`;
      let isFull = false;
      while (!isFull) {
        const replies = await Promise.all(Array.from({ length: 64 }, fill));
        isFull = replies.some(({ status }) => status === 503);
      }
      const before = answers.standIns;
      await answers.load(16, () => answers.standIns >= before + 40 || answers.refused > 2000);
      t.ok(answers.standIns > before, `${answers.standIns - before} approved while the journal is full`);
      // In the middle of more of them.
      const killing = answers.load(16, () => !engine.isAlive);
      await engine.kill('SIGKILL');
      await killing;
      client.close();
    });
    client = new Client(place.authPort);
    engine = await startEngineProcess(place, changes);
    await quiet(t, place, sql, 1);
    await answers.compareRepeats();
  }
  await answers.compareBooks(place, true);
  answers.compareCaps();
  const exposureMinor = await metric(place, 'standin_exposure_minor');
  t.ok(exposureMinor <= rule.perDayMinor, `${exposureMinor} with what no client received`);
});

const numbers = Array.from({ length: several }, (_, index) => index + 1);

async function askOf(engine: Engine, number: number, id: string): Promise<Reply | null> {
  const message = { id, type: 'authorization', card: card(number), amount: 10, currency: 'USD' };
  return engine.client.native(message).catch(() => null);
}

for (const successor of ['with', 'without'] as const) {
  t.test(
    `the next owner, ${successor} STANDIN, answers and books what an engine that was killed approved`,
    async (t) => {
      const { start, sql } = await severalEngines(t);
      const standIns = { DEADLINE_MS: '3000', STANDIN: JSON.stringify({ ...rule, engines: 2 }) };
      const dataDir = folderFor(t);
      const first = await start({ ...standIns, DATA_DIR: dataDir });
      const second = await start({ ...(successor === 'with' ? standIns : {}), DATA_DIR: folderFor(t) });
      await untilSpread([first, second]);
      for (const number of numbers) t.equal((await askOf(first, number, `before-${number}`))?.status, 200);
      const approved: { number: number; id: string; reply: Reply }[] = [];
      await sql.begin(async (locked) => {
        await locked`lock table journal_frames in exclusive mode`;
        await Promise.all(
          numbers.map(async (number) => {
            const reply = await askOf(first, number, `s-${number}`);
            if (reply?.status === 200) approved.push({ number, id: `s-${number}`, reply });
          }),
        );
        await first.kill('SIGKILL');
      });
      t.ok(approved.length > 0, `${approved.length} approved`);
      // From now on, through the takeover: no answer differs, and each comes in the end.
      await Promise.all(
        approved.map(async ({ number, id, reply }) => {
          let again: Reply | null = null;
          await until(`${id} is answered`, async () => {
            again = await askOf(second, number, id);
            return again?.status === 200;
          });
          t.equal(stableBody(again!.body), stableBody(reply.body), id);
        }),
      );
      t.equal(await owned(second), 6, 'the other one has all partitions');
      await until('all are booked', async () => (await metric(second.place, 'standin_unbooked')) === 0, 60_000);
      for (const { number } of approved) {
        t.equal((await engineBooks(second.place, accountId(number))).held, 20, accountId(number));
      }
      await until('none is left', async () => (await sql`select from stand_in_approvals`).length === 0);
      const again = await start({ ...standIns, DATA_DIR: dataDir });
      t.equal(await metric(again.place, 'standin_unbooked'), 0, 'the one that was killed owes nothing');
      t.equal(await metric(again.place, 'standin_exposure_minor'), 10 * approved.length, 'and remembers its caps');
    },
  );
}

t.test('owners that are killed under load: no id gets two answers, whichever engine is asked', async (t) => {
  const { start, sql } = await severalEngines(t);
  const standIns = { DEADLINE_MS: '3000', STANDIN: JSON.stringify({ ...rule, perDayMinor: 25_000, engines: 2 }) };
  const folders = [folderFor(t), folderFor(t)];
  const startOne = (index: number) => start({ ...standIns, DATA_DIR: folders[index]! });
  const engines = [await startOne(0), await startOne(1)];
  await untilSpread(engines);
  const answers = new Map<string, Reply>();
  let [asked, standInCount, repeated, isDone] = [0, 0, 0, false];
  const ids: [number, string][] = [];
  const takeAnswer = (id: string, reply: Reply | null) => {
    if (reply === null || reply.status === 503) return;
    const before = answers.get(id);
    answers.set(id, before ?? reply);
    if (before === undefined) standInCount += answerOf(reply).detail === 'stand_in' ? 1 : 0;
    else if (stableBody(before.body) === stableBody(reply.body)) repeated++;
    else t.fail(`two answers to ${id}:\n${before.body}\n${reply.body}`);
  };
  const load = async (turn: number) => {
    for (let round = turn; !isDone; round++) {
      const isRepeat = round % 3 !== 0 && ids.length > 0;
      const [number, id] = isRepeat
        ? ids[Math.max(0, ids.length - 1 - (round % 40))]!
        : ([1 + (asked % several), `k-${++asked}`] as [number, string]);
      if (!isRepeat) ids.push([number, id]);
      takeAnswer(id, await askOf(engines[round % 2]!, number, id));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const loads = Promise.all(Array.from({ length: 12 }, (_, turn) => load(turn)));
  for (let round = 0; round < 4; round++) {
    const victim = round % 2;
    const before = standInCount;
    await sql.begin(async (locked) => {
      await locked`lock table journal_frames in exclusive mode`;
      await until('some are approved by stand-in', () => standInCount >= before + 5, 60_000);
      await engines[victim]!.kill('SIGKILL');
    });
    await until('the other one has all', async () => (await owned(engines[1 - victim]!)) === 6, 60_000);
    engines[victim] = await startOne(victim);
    await untilSpread(engines);
  }
  isDone = true;
  await loads;
  for (const { place } of engines) {
    await until('all are booked', async () => (await metric(place, 'standin_unbooked')) === 0, 60_000);
  }
  for (const [number, id] of ids) takeAnswer(id, await askOf(engines[0]!, number, id));
  t.ok(standInCount >= 20, `${standInCount} approved by stand-in, ${repeated} repeats of ${answers.size} answers`);
  const held = new Map<number, number>();
  for (const [number, id] of ids) {
    const reply = answers.get(id);
    if (reply !== undefined && answerOf(reply).approved) held.set(number, (held.get(number) ?? 0) + 10);
  }
  for (const [number, sum] of held) {
    t.equal((await engineBooks(engines[0]!.place, accountId(number))).held, sum, accountId(number));
  }
  t.same(await sql`select from stand_in_approvals`, [], 'none is left');
});

for (const journal of ['local', 'postgres'] as const) {
  t.test(`a Postgres that is stopped (JOURNAL=${journal})`, async (t) => {
    const dataDir = folderFor(t);
    const options = { dataDir, log: () => undefined, settings: { fsync: 'off', full_page_writes: 'off' } };
    let server = await startEmbeddedPostgres(options);
    t.teardown(() => server.stop());
    const { urls } = await embeddedRoles(dataDir, server.url);
    await migrate({ databaseUrl: urls.owner });
    // With a local journal partitions decide until the feed is stale; the writer's lease goes on.
    const stale = { FEED_STALE_MS_MAX: '2000', LEASE_MS: '60000' };
    const changes = {
      ...(journal === 'local' ? stale : {}),
      ...{ JOURNAL: journal, PARTITIONS: '2', DEADLINE_MS: '1500' },
      STANDIN: JSON.stringify({ ...rule, engines: 1, stateAgeMsMax: 600_000 }),
    };
    const engine = await startTestEngine(t, {
      ...{ databaseUrl: urls.engine, adminUrl: server.url, accounts, cardsPerAccount: 1 },
      changes,
    });
    const answers = new Answers(t, () => engine.client);
    await answers.load(4, () => answers.asked >= 4 * accounts);
    await server.stop();
    await answers.load(16, () => answers.standIns >= 60);
    server = await startEmbeddedPostgres(options);
    await until('it is ready again', () => isReady(engine.place), 60_000);
    await quiet(t, engine.place, engine.sql, 2);
    await answers.compareRepeats();
    await answers.compareBooks(engine.place, false);
    answers.compareCaps();
  });
}
