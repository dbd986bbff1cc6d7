/** Links of ISO 8583 over TCP: real engine, real sockets, real worker, real Postgres. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import { findFreePort } from '../../deploy/free-port.js';
import { folderFor } from '../../deploy/testing/for-test.js';
import { startTestEngine } from '../testing/engine-inside.js';
import { engineBooks, metric, until, untilSettled } from '../testing/engine-process.js';
import { IsoClient, type IsoFields, testFraming, testPackager } from '../testing/iso-client.js';
import {
  addCard,
  isoMessage as message,
  originalOf,
  panOf,
  remains,
  repeated,
  reversalOf,
} from '../testing/iso-messages.js';

const folder = folderFor(t);
const port = await findFreePort();
const links = join(folder, 'links.json');
const link = { name: 'network', port, packager: testPackager, framing: testFraming };
const usual = {
  ...link,
  traceField: 62,
  partialApproval: { field: 60, position: 10, value: '1' },
  connectionsMax: 16,
};
function settings(list: readonly object[], file = links): Record<string, string> {
  writeFileSync(file, JSON.stringify(list));
  return { ISO8583_LINKS: file };
}
const changes = { ...settings([usual]), PARTITIONS: '2', DEADLINE_MS: '1500' };
const main = await startTestEngine(t, { accounts: 60, cardsPerAccount: 1, balanceMinor: 10_000, changes });
await main.sql`update accounts set partial_approval = true`;
await main.restart();
let client = await IsoClient.open({ port });
t.teardown(() => client.close());

async function restarted(): Promise<void> {
  await main.restart();
  client = await IsoClient.open({ port });
}

let accountsUsed = 0;
/** An account whose card has a number. */
async function freshCard() {
  const pan = panOf(++accountsUsed);
  return { account: await addCard(main.sql, accountsUsed, pan), pan };
}

async function booksOf(account: string): Promise<[held: number, posted: number]> {
  const { held, posted } = await engineBooks(main.place, account);
  return [held, posted];
}

/** Asks, and tells the code of the answer. */
async function code(fields: IsoFields, at = client): Promise<string> {
  return (await at.ask(fields))[39]!;
}

t.test('an authorization holds, and its answer has what the question is known by', async (t) => {
  const { account, pan } = await freshCard();
  const asked = message('0100', pan, 8000);
  const answer = await client.ask(asked);
  t.match(answer[38], /^[0-9A-Z]{6}$/);
  t.same(answer, {
    ...{ mti: '0110', 3: '000000', 4: '000000008000', 7: asked[7], 11: asked[11], 37: asked[37] },
    ...{ 38: answer[38], 39: '00', 41: 'TERM0007', 49: '840', 54: '0002840C000000002000' },
  });
  t.same(await booksOf(account), [8000, 0]);
  const declined = await client.ask(message('0100', pan, 2001));
  t.match(declined, { mti: '0110', 39: '51' });
  t.same([declined[38], declined[54]], [undefined, undefined]);
  t.equal(await code(message('0100', '9999990000000999', 1)), '14');
});

t.test('a financial message authorizes and posts at once', async (t) => {
  const { account, pan } = await freshCard();
  t.equal(await code(message('0200', pan, 1500)), '00');
  t.same(await booksOf(account), [0, 1500]);
});

t.test('less is approved only where the terminal takes less, and DE 54 says what was wanted', async (t) => {
  const { account, pan } = await freshCard();
  t.equal(await code(message('0100', pan, 12_000)), '51');
  t.equal(await code(message('0100', pan, 12_000, { 60: '0000000000' })), '51');
  const answer = await client.ask(message('0100', pan, 12_000, { 60: '0000000001' }));
  t.match(answer, { 39: '10', 4: '000000010000', 54: '0057840D0000000120000002840C000000000000' });
  t.match(answer[38], /^[0-9A-Z]{6}$/);
  t.same(await booksOf(account), [10_000, 0]);
});

t.test('an inquiry gets both balances, and a verification of nothing 85', async (t) => {
  const { account, pan } = await freshCard();
  t.equal(await code(message('0100', pan, 3000)), '00');
  const inquiry = await client.ask(message('0100', pan, 0, { 3: '311000' }));
  t.match(inquiry, { 39: '00', 54: '1001840C0000000100001002840C000000007000' });
  t.equal(await code(message('0100', pan, 0)), '85');
  t.same(await booksOf(account), [3000, 0]);
});

t.test('a refund credits with a financial message, and its reversal takes the credit back once', async (t) => {
  const { account, pan } = await freshCard();
  t.equal(await code(message('0100', pan, 700, { 3: '200000' })), '85', 'an authorization of it credits nothing');
  t.same(await booksOf(account), [0, 0]);
  const refund = message('0200', pan, 700, { 3: '200000' });
  t.equal(await code(refund), '00');
  t.equal(await code(repeated(refund)), '00');
  t.same(await booksOf(account), [0, -700]);
  t.equal(await code(reversalOf('0420', refund)), '00');
  t.equal(await code(reversalOf('0420', refund)), '00', 'a second one');
  t.same(await booksOf(account), [0, 0]);
});

t.test('advices are booked beyond what is available, acknowledged, and count once', async (t) => {
  const { account, pan } = await freshCard();
  const advice = message('0120', pan, 12_000, { 38: 'A1B2C3', 39: '00' });
  t.match(await client.ask(advice), { mti: '0130', 39: '00' });
  t.match(await client.ask(repeated(advice)), { mti: '0130', 39: '00' });
  t.same(await booksOf(account), [12_000, 0]);
  t.equal(await code(message('0220', pan, 500)), '00');
  t.same(await booksOf(account), [12_000, 500], 'a force post');
  t.equal(await code(message('0120', pan, 300, { 39: '05' })), '00');
  t.same(await booksOf(account), [12_000, 500], 'what the network declined is information');
  const before = await metric(main.place, 'iso8583_unbooked_total{link="network"}');
  t.equal(await code(message('0120', '9999990000000999', 300)), '00', 'of a card that there is not');
  t.equal(await metric(main.place, 'iso8583_unbooked_total{link="network"}'), before + 1);
});

t.test('a completion posts and ends the hold, found by DE 90, by DE 37 with others, or by the trace id', async (t) => {
  const { account, pan } = await freshCard();
  let posted = 0;
  for (const [name, named] of [
    ['DE 90', (asked: IsoFields) => ({ 90: originalOf(asked) })],
    ['DE 37, 11, 41 and 42', (asked: IsoFields) => ({ 37: asked[37]!, 11: asked[11]!, 7: '0315101010' })],
    ['the trace id', (asked: IsoFields) => ({ 62: asked[62]! })],
  ] as const) {
    const asked = message('0100', pan, 1000, { 62: `trace-${name}` });
    t.equal(await code(asked), '00');
    t.equal(await code(message('0220', pan, 900, named(asked))), '00');
    posted += 900;
    t.same(await booksOf(account), [0, posted], name);
  }
});

t.test('what the network answered in our place replaces the hold of the same question', async (t) => {
  const { account, pan } = await freshCard();
  const asked = message('0100', pan, 1000);
  t.equal(await code(asked), '00');
  t.equal(await code({ ...asked, mti: '0120' }), '00');
  t.same(await booksOf(account), [1000, 0], 'no second hold');
  const financial = message('0200', pan, 600);
  t.equal(await code(financial), '00');
  t.equal(await code({ ...financial, mti: '0220' }), '00');
  t.same(await booksOf(account), [1000, 600], 'not posted twice');
});

t.test('a reversal releases all, or all but what DE 95 says remains', async (t) => {
  const { account, pan } = await freshCard();
  const asked = message('0100', pan, 5000);
  t.equal(await code(asked), '00');
  t.match(await client.ask(reversalOf('0420', asked, { 95: remains(3000) })), { mti: '0430', 39: '00' });
  t.same(await booksOf(account), [3000, 0]);
  t.equal(await code(reversalOf('0420', asked, { 95: remains(3000) })), '00');
  t.same(await booksOf(account), [3000, 0], 'as much remains');
  t.match(await client.ask(reversalOf('0400', asked)), { mti: '0410', 39: '00' });
  t.same(await booksOf(account), [0, 0]);
  t.equal(await code(reversalOf('0400', asked)), '00');
  t.same(await booksOf(account), [0, 0], 'a second reversal changes nothing');
  const posted = message('0200', pan, 4000);
  t.equal(await code(posted), '00');
  t.equal(await code(reversalOf('0420', posted, { 95: remains(1000) })), '00');
  t.same(await booksOf(account), [0, 1000]);
  t.equal(await code(reversalOf('0420', posted)), '00');
  t.same(await booksOf(account), [0, 0]);
});

t.test('a reversal after which as much remains as there was, or more, releases nothing', async (t) => {
  const { account, pan } = await freshCard();
  const asked = message('0100', pan, 2000);
  t.equal(await code(asked), '00');
  for (const remaining of [2000, 2001]) {
    t.equal(await code(reversalOf('0420', asked, { 95: remains(remaining) })), '00');
    t.same(await booksOf(account), [2000, 0], `${remaining} remains`);
  }
  // Some senders say what remains in DE 4 too.
  t.equal(await code({ ...reversalOf('0420', asked, { 95: remains(700) }), 4: '000000000700' }), '00');
  t.same(await booksOf(account), [700, 0]);
  const posted = message('0200', pan, 500);
  t.equal(await code(posted), '00');
  t.equal(await code(reversalOf('0420', posted, { 95: remains(500) })), '00');
  t.same(await booksOf(account), [700, 500]);
});

t.test('a reversal of a part of a refund takes back that part', async (t) => {
  const { account, pan } = await freshCard();
  const refund = message('0200', pan, 700, { 3: '200000' });
  t.equal(await code(refund), '00');
  for (const [remaining, posted] of [
    [900, -700],
    [300, -300],
    [300, -300],
    [500, -300],
    [0, 0],
    [300, 0],
  ] as const) {
    t.equal(await code(reversalOf('0420', refund, { 95: remains(remaining) })), '00');
    t.same(await booksOf(account), [0, posted], `${remaining} remains`);
  }
});

t.test('a billing amount of zeros beside an amount is none', async (t) => {
  const { account, pan } = await freshCard();
  const zeros = { 6: '000000000000', 51: '840' };
  t.equal(await code(message('0100', pan, 500, zeros)), '00');
  t.same(await booksOf(account), [500, 0], 'a purchase, and no verification');
  t.equal(await code(message('0120', pan, 300, zeros)), '00');
  t.same(await booksOf(account), [800, 0]);
  t.equal(await code(message('0100', pan, 500, { ...zeros, 49: '978' })), '12', 'in another currency');
  t.equal(await code(message('0100', pan, 0, zeros)), '85');
  const billed = { 49: '978', 6: '000000000600', 51: '840' };
  t.equal(await code(message('0100', pan, 500, billed)), '00');
  t.same(await booksOf(account), [1400, 0]);
});

t.test('what was posted at once is taken back where the reversal does not say what it was', async (t) => {
  const { account, pan } = await freshCard();
  const [byType, byKey] = [message('0200', pan, 100), message('0200', pan, 20)];
  for (const asked of [byType, byKey]) t.equal(await code(asked), '00');
  t.equal(await code(message('0420', pan, 100, { 90: `0000${originalOf(byType).slice(4)}` })), '00');
  t.same(await booksOf(account), [0, 20], 'DE 90 without a type');
  t.equal(await code({ ...byKey, mti: '0420', 37: '000000000000' }), '00');
  t.same(await booksOf(account), [0, 0], 'the key of the original');
});

t.test('what was posted is taken back after a restart too, by its key alone', async (t) => {
  const { account, pan } = await freshCard();
  const byType = message('0200', pan, 100);
  const byKey = message('0200', pan, 20);
  const partly = message('0200', pan, 3000);
  const forced = message('0220', pan, 400);
  const held = message('0100', pan, 5000);
  const completion = message('0220', pan, 5000, { 90: originalOf(held) });
  for (const asked of [byType, byKey, partly, forced, held, completion]) t.equal(await code(asked), '00');
  t.same(await booksOf(account), [0, 8520]);
  const stillOpen = message('0100', pan, 60);
  t.equal(await code(stillOpen), '00');
  await restarted();
  const unbooked = 'iso8583_unbooked_total{link="network"}';
  const before = await metric(main.place, unbooked);
  const ownKey = (asked: IsoFields, more: Readonly<Record<number, string>> = {}): IsoFields => {
    const { 90: _named, ...fields } = asked;
    return { ...fields, mti: '0420', 37: '000000000000', ...more } as IsoFields;
  };
  for (const [reversal, held, posted] of [
    [message('0420', pan, 100, { 90: `0000${originalOf(byType).slice(4)}` }), 60, 8420],
    [ownKey(byKey), 60, 8400],
    [ownKey(partly, { 95: remains(1000) }), 60, 6400],
    [ownKey(forced), 60, 6000],
    [ownKey(completion), 60, 1000],
    [ownKey(stillOpen), 0, 1000],
  ] as const) {
    t.equal(await code(reversal), '00');
    t.same(await booksOf(account), [held, posted]);
    t.equal(await code(repeated(reversal)), '00');
    t.same(await booksOf(account), [held, posted], 'it counts once');
  }
  t.equal(await metric(main.place, unbooked), before, 'nothing of it was lost');
});

t.test('what was taken back is not posted by an advice of the same key', async (t) => {
  const { account, pan } = await freshCard();
  for (const isBehind of [true, false]) {
    const asked = message('0200', pan, 700);
    if (isBehind) t.equal(await code(asked), '00');
    t.equal(await code({ ...asked, mti: '0420', 37: '000000000000' }), '00');
    t.equal(await code({ ...asked, mti: '0220' }), '00');
    t.same(await booksOf(account), [0, 0], isBehind ? 'behind it' : 'without it');
  }
});

t.test('a part that is reversed ahead of its original waits for it, and is held or posted', async (t) => {
  const { account, pan } = await freshCard();
  const sentNow = () => ({
    7: new Date()
      .toISOString()
      .replace(/[^0-9]/g, '')
      .slice(4, 14),
  });
  for (const [mti, books] of [
    ['0100', [300, 0]],
    ['0200', [300, 300]],
  ] as const) {
    const asked = message(mti, pan, 1000, sentNow());
    const part = reversalOf('0420', asked, { 95: remains(300) });
    t.equal(await code(part), '91', 'it is to be repeated');
    t.equal(await code(asked), '00');
    t.equal(await code(repeated(part)), '00');
    t.same(await booksOf(account), books);
  }
  const held = message('0100', pan, 500, sentNow());
  const completion = message('0220', pan, 400, { 90: originalOf(held) });
  t.equal(await code(completion), '91');
  t.equal(await code(held), '00');
  t.equal(await code(repeated(completion)), '00');
  t.same(await booksOf(account), [300, 700]);
  const declined = message('0100', pan, 100_000, sentNow());
  t.equal(await code(declined), '51');
  t.equal(await code(reversalOf('0420', declined, { 95: remains(300) })), '00', 'nothing is to come');
  t.same(await booksOf(account), [300, 700]);
});

t.test('a refund belongs to the purchase that DE 90 names, and so does its reversal', async (t) => {
  const { account, pan } = await freshCard();
  const purchase = message('0200', pan, 1000);
  t.equal(await code(purchase), '00');
  const credit = (amount: number, mti = '0200') => message(mti, pan, amount, { 3: '200000', 90: originalOf(purchase) });
  const [first, second, third] = [credit(200), credit(300), credit(50, '0220')];
  for (const refund of [first!, second!, third!, repeated(first!)]) t.equal(await code(refund), '00');
  t.same(await booksOf(account), [0, 450]);
  await restarted();
  t.equal(await code(repeated(first!)), '00');
  for (const time of ['once', 'again']) {
    t.equal(await code(reversalOf('0420', first!)), '00');
    t.same(await booksOf(account), [0, 650], `by another key, ${time}`);
  }
  t.equal(await code(reversalOf('0420', second!, { 95: remains(100) })), '00');
  t.same(await booksOf(account), [0, 850], 'a part of the second one');
  await until('all of it is settled as one transaction', async () => {
    const rows = await main.sql`
      select posted_amount::int as posted, refunded_amount::int as refunded from transactions t
      join accounts a on a.id = t.account_id where a.public_id = ${account}`;
    return rows.length === 1 && rows[0]!['posted'] === 850 && rows[0]!['refunded'] === 150;
  });
});

t.test('a reversal that leaves money posted is acknowledged and counted', async (t) => {
  const { account, pan } = await freshCard();
  const asked = message('0100', pan, 100);
  t.equal(await code(asked), '00');
  t.equal(await code(message('0220', pan, 100, { 90: originalOf(asked) })), '00');
  const unbooked = 'iso8583_unbooked_total{link="network"}';
  const before = await metric(main.place, unbooked);
  t.equal(await code(reversalOf('0420', asked)), '00');
  t.same(await booksOf(account), [0, 100]);
  t.equal(await metric(main.place, unbooked), before + 1);
});

t.test('a reversal finds its original in the order DE 90, DE 37 with others, trace id', async (t) => {
  const { account, pan } = await freshCard();
  const [one, two, three] = [1, 20, 300].map((amount) => message('0100', pan, amount, { 62: `trace-of-${amount}` }));
  for (const asked of [one!, two!, three!]) t.equal(await code(asked), '00');
  const reversal = (more: Readonly<Record<number, string>>) => message('0400', pan, 1, more);
  const byRetrieval = { 37: two![37]!, 11: two![11]!, 7: '0315101010' };
  t.equal(await code(reversal({ ...byRetrieval, 90: originalOf(one!), 62: three![62]! })), '00');
  t.same(await booksOf(account), [320, 0]);
  t.equal(await code(reversal({ ...byRetrieval, 7: '0315101011', 62: three![62]! })), '00');
  t.same(await booksOf(account), [300, 0]);
  t.equal(await code(reversal({ 62: three![62]! })), '00');
  t.same(await booksOf(account), [0, 0]);
});

t.test('a reversal without its original gets 25, its advice 00, and what comes behind it holds nothing', async (t) => {
  const { account, pan } = await freshCard();
  for (const [mti, expected] of [
    ['0400', '25'],
    ['0420', '00'],
  ] as const) {
    const overtaken = message('0100', pan, 900);
    t.equal(await code(reversalOf(mti, overtaken)), expected);
    t.equal(await code(overtaken), '84', `behind ${mti}`);
    t.same(await booksOf(account), [0, 0]);
  }
});

t.test('the same question gets the same answer, at once, at the same time, and after a restart', async (t) => {
  const { account, pan } = await freshCard();
  const asked = message('0100', pan, 400);
  const others = await Promise.all([1, 2, 3].map(() => IsoClient.open({ port })));
  const [first, ...same] = await Promise.all([client, ...others].map((at) => at.ask(asked)));
  t.equal(first![39], '00');
  for (const answer of same) t.same(answer, first);
  t.equal(await code(message('0100', pan, 100)), '00');
  t.same(await client.ask(repeated(asked)), first);
  t.equal(await code({ ...asked, 4: '000000000500' }), '94', 'another amount under the same key');
  t.same(await booksOf(account), [500, 0]);
  for (const other of others) other.close();
  await main.restart({ ...settings([{ ...usual, duplicateAnswer: 'refused' }]) });
  const again = await IsoClient.open({ port });
  t.equal(await code(repeated(asked), again), '94', 'where the link refuses repeats');
  again.close();
  await main.restart(settings([usual]));
  const stored = await IsoClient.open({ port });
  t.same(await stored.ask(repeated(asked)), first);
  t.same(await booksOf(account), [500, 0]);
  stored.close();
});

t.test('the books balance at the end', async (t) => {
  await untilSettled(main.place);
  t.same((await auditBooks(main.sql)).findings, []);
});
