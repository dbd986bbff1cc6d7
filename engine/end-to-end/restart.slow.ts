/**
 * Starts after the segments of settled messages are gone. Their ids come from files beside the journal, or from
 * Postgres when those are missing or damaged. Either way every repeat receives its first answer. Killed under load
 * again and again, so that segments are on their way out when it happens.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { databaseFor, folderFor } from '../../deploy/testing/for-test.js';
import { Client, stableBody } from '../testing/client.js';
import { type EngineProcess, enginePlace, metric, startEngineProcess, until } from '../testing/engine-process.js';

const accounts = 50;
const askers = 32;
/** A segment of 8 MiB holds about 13,000 of these. */
const messagesPerLife = 16_000;
const lives = 3;
/** Of what was answered, so many are asked again after each start. */
const sample = 400;

t.setTimeout(0);

t.test('ids of settled messages survive kills, in files beside the journal or in Postgres', async (t) => {
  t.setTimeout(0);
  const { sql, url } = await databaseFor(t);
  const dataDir = folderFor(t);
  let engine: EngineProcess | undefined;
  t.teardown(() => engine?.kill('SIGKILL'));
  await seedAccounts(sql, { accounts, cardsPerAccount: 1, balanceMinor: 1_000_000_000 });
  const place = await enginePlace(url, dataDir);
  const start = () => startEngineProcess(place);
  const journal = join(dataDir, 'journal', 'p0');
  const idFiles = () => readdirSync(journal).filter((name) => name.startsWith('ids-'));
  const answers = new Map<number, string>();

  for (let life = 0; life < lives; life++) {
    engine = await start();
    await askAgain(t, place.authPort, answers);
    const first = life * messagesPerLife;
    const running = engine;
    let repeats = 0;
    await inParallel(place.authPort, messagesPerLife, async (client, index) => {
      const number = first + index;
      const reply = await client.native(message(number));
      if (reply.status === 200) answers.set(number, stableBody(reply.body));
      // An earlier one in between, while segments are sealed, retired, zeroed and filled again.
      const earlier = number - 1 - ((index * 37) % messagesPerLife);
      const before = index % 8 === 0 ? answers.get(earlier) : undefined;
      if (before === undefined) return;
      const again = await client.native(message(earlier));
      if (again.status !== 200) return;
      repeats++;
      if (stableBody(again.body) !== before) t.fail(`two answers to ${earlier}: ${before} ${again.body}`);
    });
    t.ok(repeats > 500, `${repeats} repeats`);
    t.equal(await metric(place, 'worker_restarts'), 0, 'no worker died');
    if (life > 0) await until('a segment has left its ids', () => idFiles().length > 0, 60_000);
    await running.kill('SIGKILL');
  }
  t.ok(answers.size > messagesPerLife, `${answers.size} messages were answered`);

  engine = await start();
  t.match(engine.logged, /"idsFrom":"journal"/);
  await askAgain(t, place.authPort, answers);
  await until('all is settled', async () => (await metric(place, 'shipper_lag_records{partition="0"}')) === 0, 60_000);
  await engine.kill('SIGKILL');

  const damaged = join(journal, idFiles()[0]!);
  const bytes = readFileSync(damaged);
  bytes[1000]! ^= 1;
  writeFileSync(damaged, bytes);
  engine = await start();
  t.match(engine.logged, /"idsFrom":"postgres"/, 'a damaged file counts as a missing one');
  await askAgain(t, place.authPort, answers);
  t.equal(await engine.kill('SIGTERM'), 0);
  t.same((await auditBooks(sql)).findings, [], 'the books balance');
  const [repeated] = await sql<{ count: number }[]>`
    select count(*)::integer as count from (
      select from transaction_events where type <> 10 group by request_id having count(*) > 1) as twice`;
  t.equal(repeated?.count, 0, 'no message was journaled twice');
});

/** Long texts, so that segments fill soon. */
function message(number: number): object {
  return {
    id: `restart-${String(number).padStart(56, '0')}`,
    type: 'authorization',
    card: `card_${String((number % accounts) + 1).padStart(6, '0')}_1`,
    amount: 100 + (number % 900),
    currency: 'USD',
    merchant: { id: `m-${'7'.repeat(60)}`, name: 'N'.repeat(120), mcc: '5411', country: 'US' },
    channel: 'chip',
  };
}

/** From the first moment on, while ids are still on their way into memory. */
async function askAgain(t: Test, port: number, answers: ReadonlyMap<number, string>): Promise<void> {
  const numbers = [...answers.keys()];
  const step = Math.max(1, Math.floor(numbers.length / sample));
  const chosen = numbers.filter((_, index) => index % step === 0);
  let wrong = 0;
  await inParallel(port, chosen.length, async (client, index) => {
    const number = chosen[index]!;
    for (;;) {
      const reply = await client.native(message(number));
      // No answer: asking again is right.
      if (reply.status === 503) continue;
      if (stableBody(reply.body) !== answers.get(number)) wrong++;
      return;
    }
  });
  t.equal(wrong, 0, `${chosen.length} repeated messages received their first answers`);
}

async function inParallel(port: number, count: number, one: (client: Client, index: number) => Promise<void>) {
  let next = 0;
  const loop = async () => {
    const client = new Client(port);
    try {
      while (next < count) await one(client, next++);
    } finally {
      client.close();
    }
  };
  await Promise.all(Array.from({ length: askers }, loop));
}
