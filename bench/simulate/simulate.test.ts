/** The simulator as a person runs it: a process against a real engine and account API, and loads with faults. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { startProcesses } from '../../api/testing/engine-and-api.js';
import { findFreePort } from '../../deploy/free-port.js';
import { databaseFor, folderFor } from '../../deploy/testing/for-test.js';
import { linkSettings, numberedCard, protocolSecrets } from '../../engine/testing/conformance.js';
import { engineBooks, testPanKey, testPassword, testToken, testUser } from '../../engine/testing/engine-process.js';
import { testPanToken } from '../../engine/testing/iso-client.js';
import { testSeed } from '../../engine/testing/runs.js';
import { sqlLedger } from '../testing/sql-ledger.js';
import { playLoad } from './load.js';
import { networkOf } from './networks/index.js';
import type { Network } from './networks/network.js';
import { Port } from './networks/port.js';
import { protocolNames } from './story.js';

const { url, sql } = await databaseFor(t, { connections: 2 });
const folder = folderFor(t);
const linkPort = await findFreePort();
const engineChanges = { ...protocolSecrets, ...linkSettings(folder, linkPort) };
const { place, api } = await startProcesses(t, url, {}, engineChanges);
const authUrl = `http://127.0.0.1:${place.authPort}`;
const environment = {
  ...{
    PATH: process.env['PATH'],
    DATA_DIR: folder,
    AUTH_PORT: String(place.authPort),
    OPS_PORT: String(place.opsPort),
  },
  ...{ API_PORT: new URL(api.process.url).port, ENGINE_TOKEN: testToken, PROCESSOR_USER: testUser },
  ...{ PROCESSOR_PASSWORD: testPassword, PAN_KEY: testPanKey, ...protocolSecrets },
};

const plainCard = { status: 'active', limits: null } as const;

interface Ran {
  readonly exitCode: number;
  readonly text: string;
}

function simulate(args: readonly string[], changes: Record<string, string> = {}): Promise<Ran> {
  const main = fileURLToPath(new URL('./main.js', import.meta.url));
  return new Promise((resolve) => {
    const options = { env: { ...environment, ...changes }, encoding: 'utf8' } as const;
    const child = execFile(process.execPath, [main, ...args], options, (_error, stdout, stderr) => {
      resolve({ exitCode: child.exitCode ?? -1, text: stdout + stderr });
    });
  });
}

t.test('a shipped story is played in every protocol, with a line for each message', async (t) => {
  const { exitCode, text } = await simulate(['story', 'hotel', 'frozen-card', '--protocol', 'all']);
  t.equal(exitCode, 0, text);
  t.match(text, '8 played, 0 not as expected');
  t.match(text, /s \? pgfs\.authorization +stay +300\.00 +200 approved +[\d.]+ ms\n/);
  t.match(text, '= stay  completed held 0.00 posted 381.50 refunded 0.00');
  const lines = text.split('\n').filter((line) => / ms$/.test(line));
  t.equal(new Set(lines.map((line) => line.search(/ {2}(?:200|402) /))).size, 1, 'the answers are in one column');
});

t.test('what is not as expected is named with its place, and the exit code is 1', async (t) => {
  const file = join(folder, 'wrong.yaml');
  writeFileSync(
    file,
    `about: Nothing of this is true.
steps:
  - authorize: 500
    as: shop
    expect: insufficient_funds
books: { held: 0, posted: 500 }
`,
  );
  const { exitCode, text } = await simulate(['story', file]);
  t.equal(exitCode, 1, text);
  t.match(text, `${file}:3: expected a decline; expected the reason insufficient_funds: the answer was 200 approved`);
  t.match(text, `${file}:1: books: expected held 0.00, got 5.00`);
});

t.test('a wrong story or command exits with 2 before any message, and no engine with 3', async (t) => {
  const file = join(folder, 'inquiry.yaml');
  writeFileSync(file, 'about: A balance.\nsteps:\n  - inquire:\nbooks: { held: 0, posted: 0 }\n');
  const refused = await simulate(['story', file, '--protocol', 'stripe']);
  t.equal(refused.exitCode, 2);
  t.match(refused.text, `${file}:3: Stripe asks no balance inquiry; the step names nothing instead`);
  writeFileSync(file, 'about: A balance.\nsteps:\n  - inqire:\nbooks: { held: 0, posted: 0 }\n');
  const misspelt = await simulate(['story', 'hotel', file]);
  t.equal(misspelt.exitCode, 2);
  t.match(misspelt.text, `${file}:3: steps.1.inqire is not known here: did you mean inquire?`);
  t.notMatch(misspelt.text, 'authorization', 'no story was played');
  const keyless = await simulate(['story', 'hotel', '--protocol', 'lithic'], { LITHIC_SECRET: '' });
  t.equal(keyless.exitCode, 2);
  t.match(keyless.text, 'lithic cannot be played: set LITHIC_SECRET');
  const alone = await simulate(['send', 'verify', '--auth-url', 'http://127.0.0.1:9']);
  t.equal(alone.exitCode, 3, alone.text);
  t.match(alone.text, 'does not answer');
});

t.test('credentials that are refused end it at once with 2, and it says what to do', async (t) => {
  for (const [changes, url, ...args] of [
    [{ PROCESSOR_PASSWORD: 'another-password' }, `${authUrl}/v1/authorizations`],
    [{ PROCESSOR_PASSWORD: 'another-password' }, `${authUrl}/marqeta/jit`, '--protocol', 'marqeta'],
    [{ LITHIC_SECRET: 'whsec_YW5vdGhlci1zZWNyZXQtb2YtdGVzdHM=' }, `${authUrl}/lithic/asa`, '--protocol', 'lithic'],
    [{ ENGINE_TOKEN: 'another-token' }, `http://127.0.0.1:${place.opsPort}/admin/accounts/`],
  ] as const) {
    const { exitCode, text } = await simulate(['story', 'hotel', ...args], changes);
    t.equal(exitCode, 2, text);
    t.match(text, url);
    t.match(text, 'answers 401: give it the passwords and secrets of the engine');
    t.notMatch(text, 'not as expected');
  }
  const { exitCode, text } = await simulate(['send']);
  t.equal(exitCode, 2, text);
  t.match(text, 'send needs a verb: known are authorize');
});

t.test('single messages go on with a life that an earlier one began', async (t) => {
  const { cards, id } = await sqlLedger(sql, place).open(10_000, { main: plainCard });
  const numbered = await sqlLedger(sql, place, numberedCard).open(10_000, { main: plainCard });
  const byNumber = { CARD_NUMBER: numbered.cards['main']! };
  for (const protocol of protocolNames) {
    const link = protocol === 'iso8583' ? ['--iso-port', String(linkPort)] : ['--card', cards['main']!];
    const options = ['--protocol', protocol, ...link];
    const asked = await simulate(['send', 'authorize', '1250', '--expect', 'approved', ...options], byNumber);
    t.equal(asked.exitCode, 0, asked.text);
    const of = /--of (\S+)/.exec(asked.text)![1]!;
    const cleared = await simulate(['send', 'clear', '1000', '--of', of, ...options], byNumber);
    t.equal(cleared.exitCode, 0, cleared.text);
  }
  const posted = async (account: string) => (await engineBooks(place, account)).posted;
  t.same([await posted(id), await posted(numbered.id)], [4000, 1000], 'each was posted once');
  const story = ['story', 'fuel', '--protocol', 'iso8583', '--iso-port', String(linkPort), '--account', numbered.id];
  const played = await simulate(story, { ...byNumber });
  t.equal(played.exitCode, 1, 'there is too little on the given account');
  t.match(played.text, /0100 +pump +100\.00 +200 51 /);
  const wrong = await simulate(['send', 'authorize', '1', '--expect', 'declined', '--card', cards['main']!]);
  t.equal(wrong.exitCode, 1);
});

t.test('the command load plays at a rate and compares the books', async (t) => {
  const { exitCode, text } = await simulate(['load', '--rate', '20', '--seconds', '1', '--accounts', '2']);
  t.equal(exitCode, 0, text);
  t.match(text, /^\d+ lives, \d+ messages on 6 cards in native$/m);
  t.match(text, 'books of 2 accounts: as expected');
});

const plan = {
  ...{ ratePerSecond: 60, durationMs: 1500, accountCount: 2, cardsPerAccount: 3, skew: 0.8, seed: testSeed || 1 },
  faults: { late: 0.1, repeated: 0.2, reordered: 0.3, lost: 0.1 },
};

function networkIn(protocol: (typeof protocolNames)[number]): Network {
  const credentials = { user: testUser, password: testPassword };
  const { LITHIC_SECRET, MARQETA_WEBHOOK_SECRET, STRIPE_SECRET } = protocolSecrets;
  const network = networkOf(
    protocol,
    new Port(authUrl),
    {
      ...{ ...credentials, lithicSecret: LITHIC_SECRET },
      ...{ marqetaSecret: MARQETA_WEBHOOK_SECRET, stripeSecret: STRIPE_SECRET },
    },
    { ports: [linkPort], tokenOf: testPanToken },
  );
  if (typeof network === 'string') throw new Error(network);
  return network;
}

t.test('a load with faults leaves the books that its lives come to, in every protocol', async (t) => {
  for (const protocol of protocolNames) await loadOf(t, protocol);
});

async function loadOf(t: Test, protocol: (typeof protocolNames)[number]): Promise<void> {
  const network = networkIn(protocol);
  const ledger = protocol === 'iso8583' ? sqlLedger(sql, place, numberedCard) : sqlLedger(sql, place);
  const { failures, lifeCount, faultCounts, lines } = await playLoad(network, ledger, plan);
  await network.close?.();
  t.same(failures, [], `${protocol}\n${lines.join('\n')}`);
  t.ok(lifeCount > 20, `${lifeCount} lives`);
  for (const [fault, count] of Object.entries(faultCounts)) t.ok(count > 0, `${protocol}: ${fault}`);
}

t.test('a load finds books that are not what its lives come to, and two answers to one message', async (t) => {
  const ledger = sqlLedger(sql, place);
  const lying = { ...ledger, books: async () => ({ funds: 10, available: 4, held: 5, posted: 0 }) };
  const native = networkIn('native');
  let answerCount = 0;
  const wavering: Network = {
    protocol: 'native',
    refuses: () => null,
    isReason: () => true,
    open: (options) => {
      const life = native.open(options);
      return {
        ...{ id: life.id, transactionId: life.transactionId },
        play: (say, deliver) =>
          life.play(say, (message) =>
            deliver({
              ...message,
              send: async () => ({ ...(await message.send()), repeatable: String(++answerCount) }),
            }),
          ),
      };
    },
  };
  const { failures } = await playLoad(wavering, lying, { ...plan, durationMs: 500 });
  const all = failures.join('\n');
  t.match(all, /holds 0\.05, and every life has ended/);
  t.match(all, /has posted 0\.00; the lives come to/);
  t.match(all, /funds are not what its parts are/);
  t.match(all, /has two answers/);
});
