/**
 * Any bytes on the authorization port: random and mutated bodies on both endpoints, and broken HTTP on the bare port.
 * The same goes to the ops port, where money comes in and out. A bad request gets a 4xx that says why, never a 5xx, and
 * afterwards the engine is as right as before. FUZZ_SECONDS sets how long, TEST_SEED repeats the choices of a run.
 */
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { databaseFor, folderFor } from '../../deploy/testing/for-test.js';
import { marqetaSample, sampleText } from '../protocols/testing/marqeta-sample.js';
import { jsonText, Message, Random } from '../protocols/testing/mutate.js';
import { answerOf, Client, marqetaPath, nativePath, requestBytes, stableBody } from '../testing/client.js';
import { EngineProcess, engineBooks, enginePlace, metric, testToken, until } from '../testing/engine-process.js';
import { testSeed } from '../testing/runs.js';

const { FUZZ_SECONDS = '15' } = process.env;
const fundsMinor = 1_000_000;
const accounts = 8;

t.setTimeout(0);

const types = ['authorization', 'incremental', 'reversal', 'clearing', 'refund', 'verification', 'advice', 'purchase'];

function nativeMessage(random: Random): Record<string, unknown> {
  return {
    id: `fuzz-${random.below(500)}`,
    type: random.pick(types),
    card: `card_00000${1 + random.below(accounts)}_1`,
    amount: random.below(1000),
    currency: 'USD',
    original: `fuzz-${random.below(500)}`,
    merchant: { id: 'm-1', name: 'Café ☕', mcc: '5411', country: 'US' },
    channel: 'chip',
    final: random.oneIn(2),
    at: '2026-11-22T18:00:00Z',
  };
}

/** A body that is nearly right, or far from it. */
function anyBody(random: Random, path: string): Buffer {
  if (random.oneIn(8)) return randomBytes(random, random.below(3000));
  const value =
    path === nativePath
      ? nativeMessage(random)
      : {
          ...marqetaSample({ token: `jit-${random.below(500)}` }),
          card_token: `card_00000${1 + random.below(accounts)}_1`,
        };
  const text = path === nativePath ? jsonText(random, value, random.oneIn(3)) : sampleText(value);
  return random.oneIn(10) ? Buffer.from(text) : mutated(random, text);
}

/** A ledger command that is nearly right, or far from it. */
function anyCommand(random: Random): Buffer {
  if (random.oneIn(10)) return randomBytes(random, random.below(6000));
  const text = jsonText(random, { id: `fuzz-${random.below(300)}`, amount: random.below(500) }, random.oneIn(3));
  return random.oneIn(4) ? Buffer.from(text) : mutated(random, text);
}

function randomBytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.below(256)));
}

const scratch = new Message(128 * 1024, []);

/** A few random edits. */
function mutated(random: Random, text: string): Buffer {
  scratch.set(text);
  for (let count = random.below(4); count >= 0; count--) scratch.mutate(random);
  return Buffer.from(scratch.bytes.subarray(0, scratch.length));
}

t.test('no bytes that a client sends break the engine or its books', async (t) => {
  t.setTimeout(0);
  const random = new Random(testSeed);
  const { sql, url } = await databaseFor(t);
  const dataDir = folderFor(t);
  const place = await enginePlace(url, dataDir);
  await seedAccounts(sql, { accounts, cardsPerAccount: 1, balanceMinor: fundsMinor });
  const engine = new EngineProcess(place, { LOG_LEVEL: 'warn', SLOW_AUTHORIZATION_MS: '100000', DEADLINE_MS: '100' });
  const client = new Client(place.authPort);
  const ops = new Client(place.opsPort);
  t.teardown(async () => {
    client.close();
    ops.close();
    await engine.kill('SIGKILL');
  });
  t.ok(await engine.ready());

  const endsAtMs = performance.now() + Number(FUZZ_SECONDS) * 1000;
  /** A busy machine needs longer until there are enough answers of both kinds. */
  const goesOn = () => {
    const isShown = [200, 400].every((status) => (statuses.get(status) ?? 0) > 100);
    return performance.now() < endsAtMs + (isShown ? 0 : 60_000);
  };
  const statuses = new Map<number, number>();
  let raw = 0;
  const bodies = async () => {
    while (goesOn()) {
      const path = random.oneIn(2) ? nativePath : marqetaPath;
      const bytes = anyBody(random, path);
      // In chunks now and then; an empty one would end the body.
      const middle = bytes.length >> 1;
      const isChunked = middle > 0 && random.oneIn(6);
      const reply = await client.ask({
        path,
        body: isChunked ? [bytes.subarray(0, middle), bytes.subarray(middle)] : bytes,
      });
      statuses.set(reply.status, (statuses.get(reply.status) ?? 0) + 1);
      const isExpected = [200, 400, 402, 409, 413, 503].includes(reply.status);
      let isJson = true;
      try {
        JSON.parse(reply.body);
      } catch {
        isJson = false;
      }
      if (!isExpected || !isJson) t.fail(`${reply.status} ${reply.body} to ${path} ${bytes.toString('base64')}`);
    }
  };
  const bare = async () => {
    while (goesOn()) {
      raw++;
      const whole = requestBytes({ body: jsonText(random, nativeMessage(random), false) }).toString();
      const bytes = random.oneIn(3) ? randomBytes(random, 1 + random.below(2000)) : mutated(random, whole);
      const socket = connect({ port: place.authPort, host: '127.0.0.1', noDelay: true });
      socket.on('error', () => undefined);
      socket.resume();
      const closed = new Promise((resolve) => socket.once('close', resolve));
      const answered = new Promise((resolve) => socket.once('data', resolve));
      await new Promise((sent) => socket.write(bytes, sent));
      // A server that waits for the rest of a request says nothing.
      if (random.oneIn(2)) await Promise.race([answered, closed, delay(20)]);
      if (random.oneIn(2)) socket.resetAndDestroy();
      else socket.destroySoon();
      await closed;
    }
  };
  /** What each account was acknowledged to have got, by the id of the command. */
  const moved = Array.from({ length: accounts + 1 }, () => new Map<string, number>());
  const commandStatuses = new Map<number, number>();
  const commands = async () => {
    while (goesOn()) {
      const number = 1 + random.below(accounts);
      const kind = random.pick(['deposits', 'withdrawals']);
      const path = `/admin/accounts/${random.oneIn(20) ? 'missing' : `acct_00000${number}`}/${kind}`;
      const body = anyCommand(random);
      const ask = () => ops.ask({ path, body, headers: { authorization: `Bearer ${testToken}` } });
      let reply = await ask();
      // The outcome of a 503 is unknown: the client must ask again before it counts.
      while (reply.status === 503) reply = await ask();
      const { status } = reply;
      commandStatuses.set(status, (commandStatuses.get(status) ?? 0) + 1);
      const isExpected = [200, 400, 404, 409, 413].includes(status);
      if (!isExpected) t.fail(`${status} ${reply.body} to ${path} ${body.toString('base64')}`);
      const { id, approved, amount } = JSON.parse(reply.body);
      if (status === 200 && approved) moved[number]!.set(id, kind === 'deposits' ? amount : -amount);
    }
  };
  await Promise.all([
    ...Array.from({ length: 8 }, bodies),
    ...Array.from({ length: 4 }, bare),
    ...Array.from({ length: 3 }, commands),
  ]);
  t.comment(`commands: ${JSON.stringify([...commandStatuses].sort(([a], [b]) => a - b))}`);
  for (const status of [200, 400, 404, 409])
    t.ok((commandStatuses.get(status) ?? 0) > 0, `some requests were answered ${status}`);
  t.comment(`${raw} bare connections; ${JSON.stringify([...statuses].sort(([a], [b]) => a - b))}`);
  t.ok(engine.isAlive, 'the engine still runs');
  t.ok((statuses.get(400) ?? 0) > 100, 'bad requests were answered 400');
  t.ok((statuses.get(200) ?? 0) > 100, 'good requests were decided');
  if (!engine.isAlive) throw new Error(`it ended; it said:\n${engine.logged}`);

  // Postgres and the engine agree, and every answer in the journal is still given.
  for (let number = 1; number <= accounts; number++) {
    const { funds, available, held, posted } = await engineBooks(place, `acct_00000${number}`);
    t.equal(funds, available + held + posted);
    const paidIn = [...moved[number]!.values()].reduce((sum, amount) => sum + amount, 0);
    t.equal(funds, fundsMinor + paidIn, 'the funds equal the acknowledged deposits');
  }
  const message = { id: 'after', type: 'authorization', card: 'card_000001_1', amount: 1, currency: 'USD' };
  const first = await client.native(message);
  t.equal(answerOf(first).id, 'after');
  t.equal(stableBody((await client.native(message)).body), stableBody(first.body));
  t.equal(await metric(place, 'worker_restarts'), 0);
  await until('nothing is in flight', async () => (await metric(place, 'authorization_in_flight')) === 0);
  const live = await Promise.all(
    Array.from({ length: accounts }, (_, index) => engineBooks(place, `acct_00000${index + 1}`)),
  );
  t.equal(await engine.kill('SIGTERM'), 0, 'the engine stops cleanly');
  t.same((await auditBooks(sql)).findings, [], 'the books balance');
  const rows = await sql<{ id: string; held: number; posted: number }[]>`
    select public_id as id, held::integer, posted::integer from accounts order by public_id`;
  t.same(
    [...rows],
    live.map(({ id, held, posted }) => ({ id, held, posted })),
  );
});
