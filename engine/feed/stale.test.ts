/** Without its database the engine goes on with what it knows, until it can no longer vouch for it. */
import t from 'tap';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { databaseFor, folderFor } from '../../deploy/testing/for-test.js';
import { answerOf, Client } from '../testing/client.js';
import { enginePlace, metric, opsGet, startEngineProcess, until } from '../testing/engine-process.js';
import { TcpProxy } from '../testing/tcp-proxy.js';

t.setTimeout(120_000);

for (const how of ['cut', 'stall'] as const) {
  t.test(`known cards are approved until the feed is stale, and facts are always accepted (${how})`, async (t) => {
    const database = await databaseFor(t);
    const { sql } = database;
    await seedAccounts(sql, { accounts: 2, cardsPerAccount: 1, balanceMinor: 100_000 });
    const proxy = await TcpProxy.start(Number(new URL(database.url).port));
    const dataDir = folderFor(t);
    const place = await enginePlace(proxy.url(database.url), dataDir);
    const engine = await startEngineProcess(place, {
      FEED_STALE_MS_MAX: '3000',
      LEASE_MS: '60000',
    });
    const client = new Client(place.authPort);
    t.teardown(async () => {
      client.close();
      await engine.kill('SIGKILL');
      await proxy.close();
    });
    let asked = 0;
    const card = 'card_000001_1';
    const ask = async (changes: object = {}) => answerOf(await client.authorize(`stale-${++asked}`, card, 1, changes));
    const health = async () => JSON.parse((await opsGet(place, '/health')).text);

    t.equal((await ask({ id: 'original' })).reason, 'approved');
    // Until every id of before is known to be known, unknown ids are looked up.
    await until('ids are known', async () => (await ask()).reason === 'approved');
    await until('it was renewed just now', async () => (await metric(place, 'feed_age_ms')) < 500);
    proxy[how]();
    t.equal((await ask()).reason, 'approved', 'known cards are decided without the feed');
    t.equal((await opsGet(place, '/readyz')).status, 200, 'the engine is ready without the feed');
    await sql`update cards set status = 'frozen' where token = ${card}`;
    await until('it is too old', async () => (await ask()).reason === 'system_error');
    // The first may have been approved a moment before, and revoked: that is a 503, and not a decline.
    t.equal((await ask()).reason, 'system_error');
    const report = await health();
    t.equal(report.status, 'unhealthy');
    t.match(report.components.feed, { status: 'unhealthy', detail: /declining with system_error/ });
    t.equal((await ask({ type: 'reversal', original: 'original' })).approved, true, 'facts are accepted');
    const ready = await opsGet(place, '/readyz');
    t.equal(ready.status, 503, 'the engine is not ready once no card can be approved');
    t.match(JSON.parse(ready.text), { reasons: [/^the feed is stale/] });
    const logged = /"kind":"declined system_error","count":\d+,"cause":"the feed is stale/;
    await until('the first decline is logged', () => logged.test(engine.logged));

    proxy.heal();
    await until('it is up to date', async () => (await ask()).reason === 'card_inactive');
    t.equal((await health()).components.feed.status, 'healthy');
    t.equal((await opsGet(place, '/readyz')).status, 200);
    await until('the last decline is logged', () => /"kind":"declined system_error".*kind ended/.test(engine.logged));
  });
}
