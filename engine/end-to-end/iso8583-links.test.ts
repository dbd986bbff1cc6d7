/** How links of ISO 8583 treat connections and bytes: real engine, real sockets, hostile peers. */
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import { findFreePort } from '../../deploy/free-port.js';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { createTestCertificates } from '../../deploy/testing/certificates.js';
import { databaseFor, folderFor } from '../../deploy/testing/for-test.js';
import { startTestEngine } from '../testing/engine-inside.js';
import {
  engineBooks,
  enginePlace,
  metric,
  metrics,
  startEngineProcess,
  until,
  untilSettled,
} from '../testing/engine-process.js';
import { IsoClient, type IsoFields, testFraming, testPackager, testPanToken } from '../testing/iso-client.js';
import {
  addCard,
  as1993,
  isoMessage,
  originalOf,
  panOf,
  remains,
  repeated,
  reversalOf,
} from '../testing/iso-messages.js';
import { runs } from '../testing/runs.js';
import { severalEngines } from '../testing/several-engines.js';

const folder = folderFor(t);
const certificates = await createTestCertificates();
t.teardown(() => certificates.remove());

/** Writes a file of links. */
function linksFile(name: string, links: readonly object[]): string {
  const file = join(folder, `${name}.json`);
  writeFileSync(file, JSON.stringify(links));
  return file;
}

const plain = { packager: testPackager, framing: testFraming };
const forms = {
  plain: { ...plain, connectionsMax: 64, inFlightMax: 1000 },
  narrow: { ...plain, inFlightMax: 4 },
  signed_on: { ...plain, signOnRequired: true },
  secure: {
    ...plain,
    tls: { certFile: certificates.certificate, keyFile: certificates.key, caFile: certificates.authority },
  },
  packed: {
    packager: { version: 1987, encoding: 'bcd' },
    framing: { length: 'binary2', header: { kind: 'tpdu' }, keepAlive: 'echo' },
  },
  ebcdic: { packager: { version: 1987, encoding: 'ebcdic' }, framing: { length: 'ascii4' } },
  bare: { packager: { ...testPackager, overrides: { 38: null, 54: null } }, framing: testFraming },
  wide: {
    packager: { ...testPackager, overrides: { 4: { format: 'n10' }, 42: { format: 'ans...999' } } },
    framing: testFraming,
    partialApproval: { field: 60, position: 10, value: '1' },
  },
  newer: { packager: { version: 1993, encoding: 'ascii' }, framing: { length: 'binary4' } },
} as const;
type FormName = keyof typeof forms;
const names = Object.keys(forms) as FormName[];
const ports = Object.fromEntries(
  await Promise.all(names.map(async (name) => [name, await findFreePort()] as const)),
) as Record<FormName, number>;

const file = linksFile(
  'all',
  names.map((name) => ({ name, port: ports[name], ...forms[name] })),
);
const propertyRuns = runs(20).numRuns;
const main = await startTestEngine(t, {
  accounts: 40 + propertyRuns,
  cardsPerAccount: 1,
  balanceMinor: 10_000,
  changes: { ISO8583_LINKS: file, PARTITIONS: '2' },
});

async function open(t: Test, name: FormName): Promise<IsoClient> {
  const { packager, framing } = forms[name];
  const client = await IsoClient.open({ port: ports[name], packager, framing });
  t.teardown(() => client.close());
  return client;
}

let accountsUsed = 0;
async function freshCard() {
  const pan = panOf(++accountsUsed);
  return { account: await addCard(main.sql, accountsUsed, pan), pan };
}

async function booksOf(account: string): Promise<[held: number, posted: number]> {
  const { held, posted } = await engineBooks(main.place, account);
  return [held, posted];
}

t.test('frames that are glued, or split at every byte, are answered one by one', async (t) => {
  const { account, pan } = await freshCard();
  const client = await open(t, 'plain');
  const asked = Array.from({ length: 50 }, () => isoMessage('0100', pan, 10));
  const answers = asked.map((fields) => client.expect(fields));
  client.socket.write(Buffer.concat(asked.map((fields) => client.frame(fields))));
  for (const answer of await Promise.all(answers)) t.equal(answer[39], '00');
  const last = isoMessage('0100', pan, 1);
  const answer = client.expect(last);
  client.socket.setNoDelay(true);
  for (const byte of client.frame(last)) {
    client.socket.write(Uint8Array.of(byte));
    await new Promise(setImmediate);
  }
  t.equal((await answer)[39], '00');
  t.same(await booksOf(account), [501, 0]);
});

t.test('a peer may send more than it may have in flight, and receives every answer', async (t) => {
  const { account, pan } = await freshCard();
  const client = await open(t, 'narrow');
  const answers = await Promise.all(Array.from({ length: 300 }, () => client.ask(isoMessage('0100', pan, 1))));
  t.ok(answers.every((answer) => answer[39] === '00'));
  t.same(await booksOf(account), [300, 0]);
});

t.test('bytes that are no frames close their connection and no other', async (t) => {
  const { pan } = await freshCard();
  const good = await open(t, 'plain');
  const broken = 'iso8583_broken_frames_total{link="plain"}';
  const before = await metric(main.place, broken);
  const bad = await open(t, 'plain');
  bad.socket.write(Buffer.from('ffff', 'hex'));
  await once(bad.socket, 'close');
  t.equal(await metric(main.place, broken), before + 1);
  t.equal((await good.ask(isoMessage('0100', pan, 1)))[39], '00');
  const drawn = fc.array(fc.uint8Array({ minLength: 1, maxLength: 400 }), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(drawn, fc.boolean(), async (chunks, isFramed) => {
      const hostile = await IsoClient.open({ port: ports.plain });
      for (const chunk of chunks) {
        if (isFramed) hostile.socket.write(Uint8Array.of(chunk.length >> 8, chunk.length & 255));
        hostile.socket.write(chunk);
      }
      hostile.socket.end();
      await once(hostile.socket, 'close');
    }),
    runs(100),
  );
  t.equal((await good.ask(isoMessage('0100', pan, 1)))[39], '00', 'the others go on');
});

t.test('a message that cannot be read is answered 30 where its type and number can', async (t) => {
  const { pan } = await freshCard();
  const client = await open(t, 'plain');
  const asked = isoMessage('0100', pan, 1);
  const frame = client.frame(asked);
  const answer = client.expect(asked);
  client.socket.write(Buffer.from(frame.toString('latin1').replace('000000000001', '00000000x001'), 'latin1'));
  t.match(await answer, { mti: '0110', 39: '30' });
  const { 2: _pan, ...anonymous } = isoMessage('0100', pan, 1);
  t.equal((await client.ask(anonymous as IsoFields))[39], '30', 'a message without a card');
  t.equal((await client.ask(isoMessage('0100', pan, 1, { 49: '000' })))[39], '30', 'an unknown currency');
  t.equal((await client.ask(isoMessage('0300', pan, 1)))[39], '40', 'a class that is not served');
  t.equal((await client.ask(isoMessage('0100', pan, 1, { 3: '400000' })))[39], '40', 'a transfer');
  const dropped = 'iso8583_unparsable_total{link="plain"}';
  const before = await metric(main.place, dropped);
  client.socket.write(Buffer.concat([Uint8Array.of(0, 4), Buffer.from('abcd')]));
  await until('the message is dropped', async () => (await metric(main.place, dropped)) === before + 1);
  t.equal((await client.ask(isoMessage('0100', pan, 1)))[39], '00');
});

t.test('sign-on, echo and sign-off are answered, and a link may require a sign-on', async (t) => {
  const { pan } = await freshCard();
  const network = (code: string): IsoFields => ({
    mti: '0800',
    7: '0314092653',
    11: isoMessage('0100', pan, 1)[11]!,
    70: code,
  });
  const client = await open(t, 'signed_on');
  t.equal((await client.ask(isoMessage('0100', pan, 1)))[39], '91');
  t.match(await client.ask(network('001')), { mti: '0810', 39: '00', 70: '001' });
  t.equal((await client.ask(isoMessage('0100', pan, 1)))[39], '00');
  t.match(await client.ask(network('301')), { mti: '0810', 39: '00', 70: '301' });
  t.match(await client.ask(network('161')), { mti: '0810', 39: '40' }, 'keys are not exchanged');
  t.match(await client.ask(network('002')), { mti: '0810', 39: '00' });
  t.equal((await client.ask(isoMessage('0100', pan, 1)))[39], '91');
});

t.test('a link with TLS takes only clients with a certificate of its authority', async (t) => {
  const { pan } = await freshCard();
  const ca = readFileSync(certificates.authority);
  const own = { ca, cert: readFileSync(certificates.certificate), key: readFileSync(certificates.key) };
  const client = await IsoClient.open({ port: ports.secure, tls: own });
  t.teardown(() => client.close());
  t.equal((await client.ask(isoMessage('0100', pan, 1)))[39], '00');
  const other = await createTestCertificates();
  t.teardown(() => other.remove());
  const foreign = { ca, cert: readFileSync(other.certificate), key: readFileSync(other.key) };
  for (const [name, tls] of [
    ['without one', { ca }],
    ['with one of another authority', foreign],
  ] as const) {
    const refused = new IsoClient({ port: ports.secure, tls });
    refused.socket.write(refused.frame(isoMessage('0100', pan, 1)));
    await until('the connection is closed', () => refused.isClosed);
    t.same(refused.others, [], name);
  }
  const plainText = new IsoClient({ port: ports.secure });
  plainText.socket.write(plainText.frame(isoMessage('0100', pan, 1)));
  await until('the connection is closed', () => plainText.isClosed);
  t.equal((await client.ask(isoMessage('0100', pan, 1)))[39], '00');
});

for (const name of ['plain', 'packed', 'ebcdic', 'newer'] as const) {
  t.test(`one life in the form of the link ${name}`, async (t) => {
    const { account, pan } = await freshCard();
    const client = await open(t, name);
    const isNewer = name === 'newer';
    const form = (fields: IsoFields) => (isNewer ? as1993(fields) : fields);
    const reversal = (mti: string, asked: IsoFields, remaining: number) => {
      if (!isNewer) return reversalOf(mti, asked, remaining === 0 ? {} : { 95: remains(remaining) });
      const amount = Number(asked[4]);
      const before = `${String(amount).padStart(12, '0')}000000000000`;
      const original = `${asked.mti}${asked[11]}${asked[12]}06${asked[32]}`;
      return form(isoMessage(mti, pan, remaining === 0 ? amount : remaining, { 30: before, 56: original }));
    };
    const ok = isNewer ? '000' : '00';
    const acknowledged = isNewer ? '400' : '00';
    const asked = form(isoMessage('0100', pan, 5000));
    const first = await client.ask(asked);
    t.match(first, { mti: isNewer ? '1110' : '0110', 39: ok, 41: 'TERM0007' });
    t.same(await client.ask(repeated(asked)), first);
    t.equal((await client.ask(reversal('0420', asked, 3000)))[39], acknowledged);
    t.same(await booksOf(account), [3000, 0]);
    t.equal((await client.ask(reversal('0420', asked, 0)))[39], acknowledged);
    t.same(await booksOf(account), [0, 0]);
    t.equal((await client.ask(form(isoMessage('0100', pan, 20_000))))[39], isNewer ? '116' : '51');
    t.equal((await client.ask(form(isoMessage('0200', pan, 100))))[39], ok);
    t.equal((await client.ask(form(isoMessage('0220', pan, 200))))[39], ok);
    t.equal((await client.ask(form(isoMessage('0120', pan, 300))))[39], ok);
    t.same(await booksOf(account), [300, 300]);
  });
}

t.test('a link may have a shorter amount and a longer merchant than the standard has', async (t) => {
  const { account, pan } = await freshCard();
  await main.sql`update accounts set partial_approval = true where public_id = ${account}`;
  await main.restart();
  const client = await open(t, 'wide');
  const more = { 4: '0000012000', 42: 'SHOP'.repeat(200), 60: '0000000001' };
  t.match(await client.ask(isoMessage('0100', pan, 1, more)), { 39: '10', 4: '0000010000' });
  t.same(await booksOf(account), [10_000, 0]);
});

t.test('an answer leaves out what the link has no field for', async (t) => {
  const { pan } = await freshCard();
  const answer = await (await open(t, 'bare')).ask(isoMessage('0100', pan, 100));
  t.same([answer[39], answer[38], answer[54]], ['00', undefined, undefined]);
});

t.test(
  'the system asks a silent peer whether it is there',
  { skip: process.platform === 'linux' ? false : 'its timers are not shown here' },
  async (t) => {
    await open(t, 'plain');
    const port = ports.plain.toString(16).toUpperCase().padStart(4, '0');
    // Address, peer, state (1: established), queues, and the timer (2: of keep-alive).
    const asking = new RegExp(`^ *[0-9]+: [0-9A-F]{8}:${port} [0-9A-F:]+ 01 [0-9A-F:]+ 02:`, 'm');
    await until('its timer runs', () => asking.test(readFileSync('/proc/net/tcp', 'latin1')));
  },
);

t.test('a frame of nothing is echoed where the link says so', async (t) => {
  const client = await open(t, 'packed');
  client.socket.write(Uint8Array.of(0, 0));
  await until('the echo comes', () => client.others.some(({ mti }) => mti === 'keep-alive'));
  t.equal(client.isClosed, false);
});

t.test('a question and what follows it end in the same books in every order, repeated or not', async (t) => {
  const client = await open(t, 'plain');
  const history = fc.record({
    kinds: fc.shuffledSubarray(['question', 'half', 'tenth', 'completion', 'full'], { minLength: 1 }),
    isFinancial: fc.boolean(),
    times: fc.integer({ min: 1, max: 2 }),
  });
  await fc.assert(
    fc.asyncProperty(history, async ({ kinds, isFinancial, times }) => {
      const { account, pan } = await freshCard();
      // Sent now: what comes ahead of the question is worth waiting for it.
      const asked = isoMessage(isFinancial ? '0200' : '0100', pan, 1000, { 7: monthDayTime() });
      const made: Readonly<Record<string, IsoFields>> = {
        question: asked,
        half: reversalOf('0420', asked, { 95: remains(500) }),
        tenth: reversalOf('0420', asked, { 95: remains(100) }),
        full: reversalOf('0420', asked),
        completion: isoMessage('0220', pan, 900, { 90: originalOf(asked) }),
      };
      const order = kinds.includes('question') ? kinds : [...kinds, 'question'];
      let waiting: IsoFields[] = [];
      const say = async (fields: IsoFields) => {
        if ((await client.ask(fields))[39] === '91') waiting.push(repeatedOnce(fields));
      };
      for (const kind of order) {
        for (let time = 0; time < times; time++) await say(time === 0 ? made[kind]! : repeatedOnce(made[kind]!));
        // The network repeats what was not acknowledged.
        const again = waiting;
        waiting = [];
        for (const fields of again) await say(fields);
      }
      t.same(waiting, [], 'all is acknowledged in the end');
      const has = (kind: string) => order.includes(kind);
      const left = has('full') ? 0 : has('tenth') ? 100 : has('half') ? 500 : 1000;
      const expected = isFinancial ? [0, left] : has('completion') ? [0, 900] : [left, 0];
      t.same(await booksOf(account), expected, `${asked.mti}: ${order.join(' ')}`);
    }),
    runs(30),
  );
});
const monthDayTime = () =>
  new Date()
    .toISOString()
    .replace(/[^0-9]/g, '')
    .slice(4, 14);
const repeatedOnce = (fields: IsoFields) => (fields.mti.endsWith('1') ? fields : repeated(fields));

t.test('what cannot be decided in time is answered 91 and not remembered', async (t) => {
  await main.restart({ DEADLINE_MS: '300' });
  const { account, pan } = await freshCard();
  const client = await open(t, 'plain');
  await until('the first question is decided', async () => (await client.ask(isoMessage('0100', pan, 1)))[39] === '00');
  const before = (await engineBooks(main.place, account)).held;
  const asked = isoMessage('0100', pan, 1250);
  main.disk.holdSyncs();
  t.match(await client.ask(asked), { mti: '0110', 39: '91' });
  main.disk.releaseSyncs();
  await until('the repeat is decided', async () => (await client.ask(repeated(asked)))[39] === '00');
  t.equal((await engineBooks(main.place, account)).held, before + 1250, 'it is held once');
  await main.restart();
});

t.test('an engine that stops answers what it has, and closes the links', async (t) => {
  const { pan } = await freshCard();
  const client = await open(t, 'plain');
  const asked = Array.from({ length: 50 }, () => client.ask(isoMessage('0100', pan, 1)));
  await asked[0];
  await main.stop();
  for (const answer of await Promise.all(asked)) t.match(answer[39], /^(?:00|91)$/);
  await until('the connection is closed', () => client.isClosed);
  await main.restart();
});

t.test('a card keeps the token of its key when PAN_KEY is rotated, and repeats are found', async (t) => {
  const { account, pan } = await freshCard();
  const client = await open(t, 'plain');
  const asked = isoMessage('0100', pan, 500);
  const first = await client.ask(asked);
  await main.restart({ PAN_KEY: 'newer-key-of-the-tests,pan-key-of-the-tests' });
  const again = await open(t, 'plain');
  t.same(await again.ask(repeated(asked)), first);
  t.equal((await again.ask(isoMessage('0100', pan, 20)))[39], '00');
  t.equal((await again.ask(reversalOf('0420', asked)))[39], '00');
  t.same(await booksOf(account), [20, 0]);
  const newPan = panOf(900_000_000 + accountsUsed);
  await addCard(main.sql, accountsUsed, newPan, testPanToken(newPan, 'newer-key-of-the-tests'));
  t.equal((await again.ask(isoMessage('0100', newPan, 3)))[39], '00', 'a card under the newer key');
  t.equal((await again.ask(isoMessage('0100', panOf(999_999_999), 3)))[39], '14');
  await main.restart();
});

t.test('the books balance at the end', async (t) => {
  await untilSettled(main.place);
  t.same((await auditBooks(main.sql)).findings, []);
});

t.test('no card number is in the journal, the database, the log or the metrics', async (t) => {
  const { url, sql } = await databaseFor(t);
  await seedAccounts(sql, { accounts: 1, cardsPerAccount: 1, balanceMinor: 10_000 });
  const dataDir = folderFor(t);
  const port = await findFreePort();
  const place = await enginePlace(url, dataDir);
  const links = linksFile('own', [{ name: 'own', port, ...plain }]);
  const engine = await startEngineProcess(place, { ISO8583_LINKS: links, LOG_LEVEL: 'debug' });
  t.teardown(() => engine.kill('SIGKILL'));
  const [pan, unknown, byTrack] = ['9999990000004321', '4111111111111111', '9999990000008765'];
  await addCard(sql, 1, pan!);
  const client = await IsoClient.open({ port });
  t.teardown(() => client.close());
  const asked = isoMessage('0100', pan!, 100);
  const { 2: _pan, ...anonymous } = isoMessage('0100', byTrack!, 100, { 35: `${byTrack}=30121010000012300000` });
  const inTexts = { 43: `SHOP ${pan}`.padEnd(40) };
  const spaced = pan!.replace(/(....)/g, '$1 ').trim();
  // Fifteen of its digits fill the field.
  const inParts = { 42: pan!.slice(0, 15), 43: `AT ${spaced}`.padEnd(40) };
  const cut = { 43: `ANY SHOP ${pan}`.padEnd(40), 42: '378282246310005' };
  for (const fields of [
    ...[asked, { ...asked, 4: '000000000999' }, isoMessage('0100', unknown!, 1), anonymous as IsoFields],
    ...[isoMessage('0120', unknown!, 1), reversalOf('0420', asked), isoMessage('0100', pan!, 1, { 49: '000' })],
    ...[inTexts, inParts, cut].map((texts) => isoMessage('0100', pan!, 1, texts)),
  ]) {
    await client.ask(fields);
  }
  client.socket.write(Buffer.concat([Uint8Array.of(0, 20), Buffer.from(`01xx${pan}`)]));
  await untilSettled(place);
  const rows = await sql<{ text: string }[]>`
    select query_to_xml('select * from ' || quote_ident(table_name), true, true, '')::text as text
    from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'`;
  const files = readdirSync(dataDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'));
  const kept = [...rows.map(({ text }) => text), ...files, engine.logged, await metrics(place)].join('\n');
  t.ok(kept.includes(testPanToken(pan!)), 'the token is where the card number is not');
  t.ok(kept.includes('SHOP ************4321'), 'also where a text of the merchant has it');
  for (const secret of [pan!, unknown!, byTrack!, spaced, pan!.slice(0, 13), '378282246310005']) {
    t.notOk(kept.includes(secret), `nothing has ${secret}`);
    t.notOk(kept.includes(Buffer.from(secret).toString('hex')), `nothing has ${secret} as bytes`);
  }
});

t.test('several engines: the same key asked of another engine gets the answer of the first', async (t) => {
  const { start, sql } = await severalEngines(t);
  const pans = [1, 2, 3, 4].map((number) => panOf(700_000_000 + number));
  for (const [index, pan] of pans.entries()) await addCard(sql, index + 1, pan);
  const clients: IsoClient[] = [];
  for (const name of ['first', 'second']) {
    const port = await findFreePort();
    await start({ ISO8583_LINKS: linksFile(name, [{ name, port, ...plain }]) });
    const client = await IsoClient.open({ port });
    t.teardown(() => client.close());
    clients.push(client);
  }
  for (const pan of pans) {
    const asked = isoMessage('0100', pan, 700);
    let first = await clients[0]!.ask(asked);
    await until('a partition has an owner', async () => {
      first = await clients[0]!.ask(asked);
      return first[39] === '00';
    });
    t.same(await clients[1]!.ask(repeated(asked)), first);
    t.equal((await clients[1]!.ask(reversalOf('0420', asked)))[39], '00');
    const [posted, forced] = [isoMessage('0200', pan, 400), isoMessage('0220', pan, 300)];
    for (const fields of [posted, forced]) {
      t.equal((await clients[0]!.ask(fields))[39], '00');
      t.equal((await clients[1]!.ask({ ...fields, mti: '0420', 37: '000000000000' }))[39], '00', 'by its own key');
    }
    t.match(await clients[0]!.ask(isoMessage('0100', pan, 100_000)), { 39: '00' }, 'all of it is available again');
  }
});
