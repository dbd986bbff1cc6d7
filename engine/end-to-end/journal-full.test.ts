/** A journal without room, in a real process: it says so in health, metrics and log, and recovers by itself. */
import t from 'tap';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { databaseFor, folderFor } from '../../deploy/testing/for-test.js';
import { Client } from '../testing/client.js';
import { enginePlace, opsGet, startEngineProcess, until } from '../testing/engine-process.js';

t.setTimeout(120_000);

t.test('a full journal is logged twice, and the engine is not ready until Postgres catches up', async (t) => {
  const { sql, url } = await databaseFor(t);
  await seedAccounts(sql, { accounts: 1, cardsPerAccount: 1, balanceMinor: 100_000_000 });
  const dataDir = folderFor(t);
  const place = await enginePlace(url, dataDir);
  const engine = await startEngineProcess(place, { JOURNAL_SEGMENTS_MAX: '2' });
  const client = new Client(place.authPort);
  t.teardown(async () => {
    client.close();
    await engine.kill('SIGKILL');
  });
  const wide = '𝄞';
  let asked = 0;
  /** About a kilobyte in the journal. */
  const ask = () =>
    client.authorize(`full-${++asked}`, 'card_000001_1', 1, {
      merchant: { id: wide.repeat(64), name: wide.repeat(128), mcc: '5411', country: 'US' },
    });
  const health = async () => JSON.parse((await opsGet(place, '/health')).text);
  t.equal((await ask()).status, 200);
  t.match((await health()).components, { disk: { status: 'healthy' }, journal: { status: 'healthy' } });

  const noRoom = /journal of partition 0 has no room \(books lag\): Postgres must/;
  const readiness = async () => {
    const { status, text } = await opsGet(place, '/readyz');
    return { status, reasons: (JSON.parse(text).reasons ?? []) as string[] };
  };
  let refused = 0;
  await sql.begin(async (locked) => {
    await locked`select * from journal_positions for update`;
    // A busy machine also declines at the deadline. And a journal without room for 64 messages may have room for one.
    for (let isFull = false; !isFull && asked < 100_000; ) {
      const declined = (await Promise.all(Array.from({ length: 64 }, ask))).filter(
        ({ status }) => status === 503,
      ).length;
      refused += declined;
      isFull = declined === 64 && refused >= 200 && (await readiness()).reasons.some((reason) => noRoom.test(reason));
    }
    t.ok(refused >= 200, `declined after ${asked}`);
    t.match(await readiness(), { status: 503, reasons: [noRoom] });
    t.match((await health()).components.journal, { status: 'unhealthy', detail: /no room \(books lag\)/ });
    await until('the first decline is logged', () => /without room in the journal: books lag/.test(engine.logged));
  });
  await until(
    'it is ready again, although no message asks',
    async () => (await opsGet(place, '/readyz')).status === 200,
  );
  await until('messages are approved', async () => (await ask()).status === 200);
  await until('the last decline is logged', () => /"kind":"503 system_error".*kind ended/.test(engine.logged));
  const count = Number(/"kind":"503 system_error","count":(\d+),"seconds":\d+/.exec(engine.logged)?.[1]);
  t.ok(count >= refused, `all ${refused} are counted in ${count}`);
  t.ok(engine.logged.match(/declines of this kind/g)!.length <= 6, 'the log has a few lines, not one for each decline');
});
