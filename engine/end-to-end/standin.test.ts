/**
 * Stand-in through a whole engine: what its partition could not answer is approved within the caps, has one answer, and
 * is held once, however the partition comes back.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import { folderFor } from '../../deploy/testing/for-test.js';
import { readEngineConfig } from '../config.js';
import { detailStandIn } from '../core/limit-names.js';
import { answerOf, type Reply, stableBody } from '../testing/client.js';
import { killThread } from '../testing/dying-storage.js';
import { startTestEngine, type TestEngine } from '../testing/engine-inside.js';
import { engineBooks, engineEnvironment, metric, opsGet, until } from '../testing/engine-process.js';
import { accountId, accounts, card, type Engine, severalEngines, untilSpread } from '../testing/several-engines.js';

t.setTimeout(180_000);

const rule = { currency: 'USD', perCardMinor: 500, perDayMinor: 2000, amountMaxMinor: 300, mcc: { block: ['7995'] } };
const account = 'acct_000001';

function startWithStandIn(t: Test, changes: Readonly<Record<string, string>> = {}): Promise<TestEngine> {
  return startTestEngine(t, {
    balanceMinor: 1000,
    changes: { STANDIN: JSON.stringify(rule), DEADLINE_MS: '1500', ...changes },
  });
}

function purchase(id: string, amount: number, changes: Record<string, unknown> = {}): Record<string, unknown> {
  const merchant = { id: 'm-1', name: 'Corner Store', mcc: '5411', country: 'US' };
  return { id, type: 'authorization', card: 'card_000001_1', amount, currency: 'USD', merchant, ...changes };
}

const standsIn = (reply: Reply) => reply.status === 200 && answerOf(reply).detail === 'stand_in';
const allBooked = (engine: TestEngine) =>
  until('every approval is booked', async () => (await metric(engine.place, 'standin_unbooked')) === 0, 30_000);

/** Its partition's journal is settled, and the books balance. */
async function settled(t: Test, engine: TestEngine): Promise<void> {
  const sequence = await metric(engine.place, 'journal_sequence{partition="0"}');
  const shipped = () => metric(engine.place, 'shipper_sequence{partition="0"}');
  await until('Postgres has caught up', async () => (await shipped()) >= sequence, 30_000);
  t.same((await auditBooks(engine.sql)).findings, []);
}

/** Every datasync of this thread's files hangs from here on. */
async function holdDatasyncs(t: Test): Promise<{ release(): void }> {
  const file = await open(folderFor(t));
  const prototype = Object.getPrototypeOf(file) as FileHandle;
  await file.close();
  const { datasync } = prototype;
  let resolve: () => void = () => undefined;
  const released = new Promise<void>((then) => {
    resolve = then;
  });
  prototype.datasync = async function (this: FileHandle) {
    await released;
    return datasync.call(this);
  };
  const release = () => {
    prototype.datasync = datasync;
    resolve();
  };
  t.teardown(release);
  return { release };
}

t.test('a partition that hangs: one hold and one answer, whatever it decided of the same message', async (t) => {
  const engine = await startWithStandIn(t);
  const { client, disk, sql } = engine;
  t.equal(answerOf(await client.native(purchase('before', 100))).approved, true);
  disk.holdSyncs();
  const hung = client.native(purchase('hangs', 1));
  await until('its sync hangs', () => disk.syncHeld);
  const messages = [
    purchase('approved-there', 200),
    // The funds are 1000, and 101 are held: the partition declines these two.
    purchase('declined-there', 300, { card: 'card_000001_2' }),
    purchase('merchant', 10, { merchant: { id: 'm-2', name: 'Casino', mcc: '7995', country: 'US' } }),
  ];
  const [approved, declined, blocked] = await Promise.all(messages.map((message) => client.native(message)));
  t.ok(standsIn(await hung), 'the first one');
  t.ok(standsIn(approved!), approved!.body);
  t.ok(standsIn(declined!), declined!.body);
  t.equal(blocked!.status, 503, 'a category that the rule blocks is refused as without it');
  t.match(answerOf(approved!), { approved: true, approvedAmount: 200, available: 0, currency: 'USD' });
  const again = await client.native(messages[0]!);
  t.equal(stableBody(again.body), stableBody(approved!.body), 'a repeat while the partition hangs');
  const other = await client.native(purchase('approved-there', 201));
  t.equal(other.status, 409, 'the same id with other content is a conflict');
  const reversal = { id: 'r1', type: 'reversal', card: 'card_000001_1', original: 'approved-there' };
  t.equal((await client.native(reversal)).status, 503, 'what follows it is refused until it is booked');
  disk.heal();
  await allBooked(engine);
  const books = await engineBooks(engine.place, account);
  t.equal(books.held, 100 + 1 + 200 + 300, 'each purchase is held once');
  t.equal(stableBody((await client.native(messages[0]!)).body), stableBody(approved!.body), 'a repeat after that');
  t.equal((await client.native(purchase('approved-there', 201))).status, 409);
  t.match(answerOf(await client.native(reversal)), { approved: true, approvedAmount: 200 });
  await settled(t, engine);
  const rows = await sql`
    select id, status, detail, held_amount::integer as held from transactions where occurrence = 0 order by id`;
  t.match(
    rows.filter(({ id }) => id !== 'before' && id !== 'merchant'),
    [
      { id: 'approved-there', status: 3, detail: detailStandIn, held: 0 },
      { id: 'declined-there', status: 1, detail: detailStandIn, held: 300 },
      { id: 'hangs', status: 1, detail: detailStandIn, held: 1 },
    ],
  );
  await engine.restart();
  t.equal(stableBody((await client.native(messages[0]!)).body), stableBody(approved!.body), 'after a restart');
  t.equal(stableBody((await client.native(messages[1]!)).body), stableBody(declined!.body));
  t.match(JSON.parse((await opsGet(engine.place, '/admin/decisions/hangs')).text), { detail: 'stand_in' });
});

t.test('a partition whose thread died: caps hold, and a frozen card gets no stand-in', async (t) => {
  const engine = await startWithStandIn(t);
  const { client, disk, sql } = engine;
  for (const card of ['card_000001_1', 'card_000002_1']) {
    t.equal((await client.native(purchase(`known-${card}`, 1, { card }))).status, 200);
  }
  await sql`update cards set status = 'frozen', version = version + 1 where token = 'card_000002_1'`;
  await until('the freeze is in force', async () => {
    return (
      answerOf(await client.native(purchase(`look-${performance.now()}`, 1, { card: 'card_000002_1' }))).reason ===
      'card_inactive'
    );
  });
  disk.failSyncs();
  const dies = await client.native(purchase('dies', 100));
  t.ok(standsIn(dies), 'the journal failed, which only a restart heals');
  const replies = await Promise.all(
    Array.from({ length: 20 }, (_, index) => client.native(purchase(`s-${index}`, 100))),
  );
  const count = replies.filter(standsIn).length;
  t.equal(count, 4, 'with the first one they come to the cap of the card');
  t.equal(replies.filter(({ status }) => status === 503).length, 16);
  t.equal((await client.native(purchase('frozen', 1, { card: 'card_000002_1' }))).status, 503);
  t.equal((await client.native(purchase('unknown', 1, { card: 'card_999999_1' }))).status, 503);
  t.equal((await client.native(purchase('large', 301))).status, 503);
  t.equal(await metric(engine.place, 'standin_exposure_minor'), 500);
  disk.heal();
  await engine.restart();
  await allBooked(engine);
  t.equal((await engineBooks(engine.place, account)).held, 501);
  t.equal(await metric(engine.place, 'standin_exposure_minor'), 500, 'a restart gives no new cap on the same day');
  t.equal(stableBody((await client.native(purchase('dies', 100))).body), stableBody(dies.body));
  await settled(t, engine);
});

t.test('a thread that is replaced: what it had journaled and could not answer is held once', async (t) => {
  const engine = await startWithStandIn(t);
  const { client, disk } = engine;
  t.equal((await client.native(purchase('before', 1))).status, 200);
  const answers = new Map<string, Reply>();
  for (const moment of ['beforeWrite', 'beforeSync'] as const) {
    killThread(disk, 0, moment);
    const ids = Array.from({ length: 8 }, (_, index) => `${moment}-${index}`);
    const replies = await Promise.all(ids.map((id) => client.native(purchase(id, 10))));
    for (const [index, id] of ids.entries()) if (replies[index]!.status === 200) answers.set(id, replies[index]!);
    await until('it is ready again', async () => (await opsGet(engine.place, '/readyz')).status === 200);
  }
  t.ok([...answers.values()].some(standsIn), 'some of them are approved by stand-in');
  await allBooked(engine);
  for (const [id, reply] of answers) {
    t.equal(stableBody((await client.native(purchase(id, 10))).body), stableBody(reply.body), id);
  }
  t.equal((await engineBooks(engine.place, account)).held, 1 + 10 * answers.size);
  await settled(t, engine);
});

t.test('a repeat that was with the partition before the stand-in gets the same answer', async (t) => {
  const engine = await startWithStandIn(t, { DEADLINE_MS: '3000' });
  const { client, disk } = engine;
  t.equal(answerOf(await client.native(purchase('before', 900))).approved, true);
  // The funds are 1000: the partition approves the first of the two, and declines the other.
  for (const [id, amount] of [
    ['approved-there', 10],
    ['declined-there', 200],
  ] as const) {
    disk.holdSyncs();
    const first = client.native(purchase(id, amount));
    await until('its sync hangs', () => disk.syncHeld);
    let isAnswered = false;
    void first.then(() => {
      isAnswered = true;
    });
    const repeats: Promise<Reply>[] = [];
    while (!isAnswered) {
      repeats.push(client.native(purchase(id, amount)));
      await pause(200);
    }
    const other = client.native(purchase(id, amount + 1));
    const answer = await first;
    t.ok(standsIn(answer), answer.body);
    disk.heal();
    for (const repeat of await Promise.all(repeats)) t.equal(stableBody(repeat.body), stableBody(answer.body), id);
    t.equal((await other).status, 409);
    await allBooked(engine);
    t.equal(stableBody((await client.native(purchase(id, amount))).body), stableBody(answer.body), id);
  }
  t.equal((await engineBooks(engine.place, account)).held, 900 + 10 + 200);
  await settled(t, engine);
});

t.test('both disks hang: the client is refused at its deadline, and nothing is held', async (t) => {
  const engine = await startWithStandIn(t);
  const { client, disk, place } = engine;
  t.equal(answerOf(await client.native(purchase('before', 100))).approved, true);
  const standInDisk = await holdDatasyncs(t);
  disk.holdSyncs();
  t.equal((await client.native(purchase('late', 10))).status, 503);
  t.equal((await client.native(purchase('late', 10))).status, 503, 'nor can a repeat be answered');
  standInDisk.release();
  disk.heal();
  await until('it is cancelled', async () => (await metric(place, 'standin_cancelled_total')) === 1);
  await allBooked(engine);
  let again = await client.native(purchase('late', 10));
  await until('it is decided', async () => {
    if (again.status === 503) again = await client.native(purchase('late', 10));
    return again.status === 200;
  });
  t.match(answerOf(again), { approved: true, available: 890 });
  t.equal((await engineBooks(place, account)).held, 110);
  await settled(t, engine);
});

t.test('without STANDIN what was approved before is booked, and nothing more is approved', async (t) => {
  const engine = await startWithStandIn(t);
  const { client, disk, place } = engine;
  t.equal(answerOf(await client.native(purchase('before', 100))).approved, true);
  disk.failSyncs();
  const approved = await client.native(purchase('owed', 50));
  t.ok(standsIn(approved), approved.body);
  disk.heal();
  await engine.restart({ STANDIN: '' });
  await allBooked(engine);
  t.equal((await engineBooks(place, account)).held, 150);
  t.equal(stableBody((await client.native(purchase('owed', 50))).body), stableBody(approved.body));
  disk.failSyncs();
  t.equal((await client.native(purchase('refused', 50))).status, 503);
});

t.test(
  'with the journal in PostgreSQL, which hangs: the owner stands in, and answers repeats of any engine',
  async (t) => {
    const { start, sql } = await severalEngines(t);
    const settings = { DEADLINE_MS: '3000', STANDIN: JSON.stringify({ ...rule, engines: 2 }) };
    const engines = [
      await start({ ...settings, DATA_DIR: folderFor(t) }),
      await start({ ...settings, DATA_DIR: folderFor(t) }),
    ] as const;
    await untilSpread(engines);
    const ask = (engine: Engine, number: number, id: string) =>
      engine.client.native(purchase(id, 100, { card: card(number) }));
    const numbers = Array.from({ length: accounts }, (_, index) => index + 1);
    // Each engine has known the ids of its partitions when it has approved.
    for (const number of numbers) t.equal((await ask(engines[0], number, `before-${number}`)).status, 200);
    const approved: { number: number; id: string; by: number; reply: Reply }[] = [];
    await sql.begin(async (locked) => {
      await locked`lock table journal_frames in exclusive mode`;
      await Promise.all(
        numbers.flatMap((number) =>
          engines.map(async (engine, by) => {
            const id = `${by}-${number}`;
            const asked = ask(engine, number, id);
            await pause(200);
            const repeated = ask(engines[1 - by]!, number, id);
            const reply = await asked;
            const repeat = await repeated;
            if (standsIn(reply)) {
              approved.push({ number, id, by, reply });
              // Its own engine may refuse it first; a second answer it never gives.
              if (repeat.status !== 503)
                t.equal(stableBody(repeat.body), stableBody(reply.body), 'a repeat by the other');
            } else t.equal(reply.status, 503, 'the owner is the other engine, or the caps are reached');
          }),
        ),
      );
      t.same(new Set(approved.map(({ by }) => by)), new Set([0, 1]), 'both stand in for their partitions');
      for (const { number, id, by, reply } of approved) {
        t.equal(
          stableBody((await ask(engines[1 - by]!, number, id)).body),
          stableBody(reply.body),
          'at the other engine',
        );
      }
    });
    for (const { place } of engines) {
      await until('every approval is booked', async () => (await metric(place, 'standin_unbooked')) === 0, 30_000);
    }
    for (const number of numbers) {
      const count = approved.filter((one) => one.number === number).length;
      t.ok(count * 100 <= rule.perCardMinor / 2, 'half of the cap of a card');
      const { held } = await engineBooks(engines[0].place, accountId(number));
      t.equal(held, 100 + 100 * count, accountId(number));
    }
    for (const { number, id, by, reply } of approved) {
      t.equal(stableBody((await ask(engines[1 - by]!, number, id)).body), stableBody(reply.body), 'after it is booked');
    }
    t.ok(approved.length * 100 <= rule.perDayMinor);
  },
);

t.test('with the journal in PostgreSQL it needs a share and a folder', async (t) => {
  const environment = (changes: Record<string, string>) =>
    engineEnvironment(
      { databaseUrl: 'postgres://x/y', dataDir: '', authPort: 1, opsPort: 1 },
      { JOURNAL: 'postgres', ...changes },
    );
  t.throws(() => readEngineConfig(environment({ STANDIN: JSON.stringify(rule), DATA_DIR: '/d' })), /needs engines/);
  const shared = JSON.stringify({ ...rule, engines: 2 });
  t.throws(() => readEngineConfig(environment({ STANDIN: shared })), /^STANDIN needs DATA_DIR/);
  t.match(readEngineConfig(environment({ STANDIN: shared, DATA_DIR: '/d' })).standIn, { perCardMinor: 250 });
});
