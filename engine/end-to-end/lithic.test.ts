/** Lithic's questions and events over whole lives: real server, real worker, real Postgres. */
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import {
  type LithicEvent,
  lithicAmounts,
  lithicMerchant,
  lithicSample,
  lithicTransaction,
} from '../protocols/testing/lithic-sample.js';
import type { Reply } from '../testing/client.js';
import { startTestEngine } from '../testing/engine-inside.js';
import { engineBooks, metric, opsGet, until, untilSettled } from '../testing/engine-process.js';
import { runs } from '../testing/runs.js';
import { lithicHeaders, lithicSecret } from '../testing/signing.js';

const olderSecret = `whsec_${Buffer.from('the older secret of lithic').toString('base64')}`;
const changes = { LITHIC_SECRET: `${lithicSecret},${olderSecret}` };
const propertyRuns = runs(60).numRuns;
const main = await startTestEngine(t, { accounts: 60 + propertyRuns, balanceMinor: 10_000, changes });

let accountsUsed = 0;
function freshAccount(): { account: string; card: string } {
  const number = String(++accountsUsed).padStart(6, '0');
  return { account: `acct_${number}`, card: `card_${number}_1` };
}
let tokens = 0;
/** Some look like card numbers, and are kept as hashes. */
const nextToken = () => `00000000-0000-4000-8000-${String(++tokens).padStart(12, '0')}`;

function post(path: string, body: object, headers?: Record<string, string | undefined>, at = main): Promise<Reply> {
  const text = JSON.stringify(body);
  return at.client.ask({
    path,
    body: text,
    headers: { authorization: undefined, ...(headers ?? lithicHeaders(text)) },
  });
}
const asa = (body: object, at = main) => post('/lithic/asa', body, undefined, at);

function question(card: string, amount: number, more: Record<string, unknown> = {}) {
  return lithicSample({ token: nextToken(), card: { token: card }, amounts: lithicAmounts(amount), ...more });
}

async function approved(t: Test, card: string, amount: number, more: Record<string, unknown> = {}): Promise<string> {
  const body = question(card, amount, more);
  const reply = await asa(body);
  t.match([reply.status, JSON.parse(reply.body)], [200, { result: 'APPROVED' }]);
  return body['token'] as string;
}

/** Sends the transaction with these events. */
async function report(t: Test, token: string, card: string, status: string, events: readonly LithicEvent[]) {
  const reply = await post('/lithic/events', lithicTransaction({ token, card, status }, events));
  t.match([reply.status, reply.body], [200, '{"received":true}'], status);
}

const event = (type: string, amount: number, result?: string): LithicEvent => ({
  token: nextToken(),
  type,
  amount,
  ...(result === undefined ? {} : { result }),
});

async function booksOf(account: string): Promise<[held: number, posted: number]> {
  const { held, posted } = await engineBooks(main.place, account);
  return [held, posted];
}

interface Windows {
  readonly amounts: readonly number[];
  readonly counts: readonly number[];
}

/** What counts in the card's spend windows. */
async function spentOf(card: string): Promise<Windows> {
  const [row] = await main.sql<{ id: number }[]>`select id::integer as id from cards where token = ${card}`;
  const { text } = await opsGet(main.place, `/admin/windows?card=${row!.id}`);
  return JSON.parse(text).card;
}

t.test('each of the five statuses is decided, and its answer has the balance', async (t) => {
  const { account, card } = freshAccount();
  for (const [status, amount, balance] of [
    ['AUTHORIZATION', 1000, { amount: 10_000, available: 9000 }],
    ['FINANCIAL_AUTHORIZATION', 500, { amount: 10_000, available: 8500 }],
    ['BALANCE_INQUIRY', 0, { amount: 10_000, available: 8500 }],
    ['CREDIT_AUTHORIZATION', 700, { amount: 10_000, available: 8500 }],
    ['FINANCIAL_CREDIT_AUTHORIZATION', -700, { amount: 10_000, available: 8500 }],
  ] as const) {
    const body = question(card, amount, { status });
    const reply = await asa(body);
    t.equal(reply.status, 200, status);
    t.same(JSON.parse(reply.body), { token: body['token'], result: 'APPROVED', balance }, status);
  }
  t.same(await booksOf(account), [1500, 0], 'credits and inquiries move nothing');
  const unheard = question(card, 1, { status: 'UNHEARD_OF' });
  t.same(JSON.parse((await asa(unheard)).body), { token: unheard['token'], result: 'STATUS_NOT_SUPPORTED' });
});

t.test("Lithic's hold is reserved where it names one, and declines have Lithic's words", async (t) => {
  const { account, card } = freshAccount();
  await approved(t, card, 100, { amounts: lithicAmounts(100, 9000) });
  t.same(await booksOf(account), [9000, 0]);
  const cases: readonly (readonly [string, object, string])[] = [
    ['too much', question(card, 1001, { pos: null }), 'INSUFFICIENT_FUNDS'],
    ['hold too large', question(card, 10, { amounts: lithicAmounts(10, 1001), pos: null }), 'INSUFFICIENT_FUNDS'],
    ['other currency', question(card, 1, { amounts: lithicAmounts(1, null, 'EUR') }), 'CURRENCY_MISMATCH'],
    ['unknown card', question('no-such-card', 1), 'CARD_NOT_FOUND'],
  ];
  for (const [name, body, result] of cases) {
    const reply = await asa(body);
    t.match([reply.status, JSON.parse(reply.body).result], [200, result], name);
    t.notOk('approved_amount' in JSON.parse(reply.body), name);
  }
  t.same(await booksOf(account), [9000, 0]);
});

t.test('a terminal that can take less is approved for what is available, and no other terminal is', async (t) => {
  const { account, card } = freshAccount();
  const refused = await asa(question(card, 12_000, { pos: { terminal: { partial_approval_capable: false } } }));
  t.equal(JSON.parse(refused.body).result, 'INSUFFICIENT_FUNDS');
  const body = question(card, 12_000);
  const balance = { amount: 10_000, available: 0 };
  const expected = { token: body['token'], result: 'APPROVED', approved_amount: 10_000, balance };
  t.same(JSON.parse((await asa(body)).body), expected);
  t.same(await booksOf(account), [10_000, 0]);
});

t.test('the same question again gets the same bytes, and other content under its token holds nothing', async (t) => {
  const { account, card } = freshAccount();
  const body = question(card, 400, { event_token: 'e-1' });
  const first = await asa(body);
  await approved(t, card, 1);
  const replies = await Promise.all(Array.from({ length: 10 }, () => asa({ ...body, network: 'VISA' })));
  for (const reply of replies) t.same([reply.status, reply.body], [first.status, first.body]);
  for (const [name, other] of [
    ['another amount', { amounts: lithicAmounts(401) }],
    ['another status', { status: 'FINANCIAL_AUTHORIZATION' }],
    ['another event', { event_token: 'e-2' }],
    ['no event', { event_token: undefined }],
  ] as const) {
    const reply = await asa({ ...body, ...other });
    t.match([reply.status, JSON.parse(reply.body).result], [200, 'DUPLICATE_CONFLICT'], name);
  }
  t.same(await booksOf(account), [401, 0]);
});

t.test('a request without a right signature is answered 401 and reaches no ledger', async (t) => {
  const { account, card } = freshAccount();
  const body = question(card, 100);
  const text = JSON.stringify(body);
  const right = lithicHeaders(text);
  for (const [name, headers] of [
    ['none', {}],
    ['of other bytes', lithicHeaders(`${text} `)],
    ['of another secret', lithicHeaders(text, { secret: `whsec_${Buffer.from('other').toString('base64')}` })],
    ['too old', lithicHeaders(text, { atMs: Date.now() - 400_000 })],
    ['from the future', lithicHeaders(text, { atMs: Date.now() + 400_000 })],
    ['without its id', { ...right, 'webhook-id': undefined }],
  ] as const) {
    for (const path of ['/lithic/asa', '/lithic/events']) {
      const reply = await post(path, body, headers as Record<string, string | undefined>);
      t.match([reply.status, JSON.parse(reply.body).title], [401, 'unauthorized'], `${name} ${path}`);
      t.equal(reply.headers.get('connection'), 'close', 'an unknown client keeps no connection');
    }
  }
  t.same(await booksOf(account), [0, 0]);
  t.equal((await post('/lithic/asa', body, lithicHeaders(text, { secret: olderSecret }))).status, 200, 'older secret');
  t.same(await booksOf(account), [100, 0]);
  const get = await main.client.ask({ method: 'GET', path: '/lithic/asa' });
  t.match([get.status, get.headers.get('allow')], [405, 'POST']);
});

t.test(
  'an engine without LITHIC_SECRET has no paths of Lithic, and a repeat after a 503 gets a decision',
  async (t) => {
    const plain = await startTestEngine(t, { accounts: 2 });
    for (const path of ['/lithic/asa', '/lithic/events']) t.equal((await post(path, {}, {}, plain)).status, 404, path);
    await plain.restart({ ...changes, DEADLINE_MS: '300' });
    const body = question('card_000001_1', 1250);
    const one = question('card_000001_1', 1);
    await until('the first question is decided', async () => (await asa(one, plain)).status === 200);
    plain.disk.holdSyncs();
    const late = await asa(body, plain);
    t.equal(late.status, 503, 'Lithic asks again at once');
    t.equal(JSON.parse(late.body).approved, false, 'the body is a decline');
    plain.disk.releaseSyncs();
    await until('the repeat is decided', async () => (await asa(body, plain)).status === 200);
    t.equal(JSON.parse((await asa(body, plain)).body).result, 'APPROVED');
    t.equal((await engineBooks(plain.place, 'acct_000001')).held, 1251, 'it is held once');
  },
);

t.test('a question that cannot be read is a 400 that names the field', async (t) => {
  const { account, card } = freshAccount();
  const good = question(card, 10);
  const amounts = lithicAmounts(10, 5);
  for (const [name, body, field] of [
    ['no token', { ...good, token: undefined }, 'token'],
    ['a long token', { ...good, token: 'x'.repeat(65) }, 'token'],
    ['no card', { ...good, card: {} }, 'card.token'],
    ['a card number as card', { ...good, card: { token: '4111111111111111' } }, 'card.token'],
    ['a fraction', { ...good, amounts: lithicAmounts(1.5) }, 'amounts.cardholder.amount'],
    ['below zero', { ...good, amounts: lithicAmounts(-1) }, 'amounts.cardholder.amount'],
    ['a hold below zero', { ...good, amounts: lithicAmounts(1, -1) }, 'amounts.hold.amount'],
    ['a hold of nothing named', { ...good, amounts: { ...amounts, hold: {} } }, 'amounts.hold.amount'],
    ['an unknown currency', { ...good, amounts: lithicAmounts(1, null, 'XQQ') }, 'amounts.cardholder.currency'],
    ['no object', [], ''],
  ] as const) {
    const reply = await asa(body);
    t.match([reply.status, JSON.parse(reply.body).field], [400, field], name);
    t.notMatch(reply.body, /4111/, name);
  }
  t.same(await booksOf(account), [0, 0]);
});

/** Of an approval of 1,000: what follows, how the transaction ends, and what it leaves. */
const lives: readonly (readonly [string, [string, number, string?][], string, [number, number]])[] = [
  ['nothing follows', [], 'PENDING', [1000, 0]],
  ['a whole clearing', [['CLEARING', 1000]], 'SETTLED', [0, 1000]],
  ['a smaller clearing ends the hold', [['CLEARING', 700]], 'SETTLED', [0, 700]],
  ['a larger clearing', [['CLEARING', 1200]], 'SETTLED', [0, 1200]],
  ['a part is cleared', [['CLEARING', 300]], 'PENDING', [700, 300]],
  [
    'cleared in two parts',
    [
      ['CLEARING', 300],
      ['CLEARING', 500],
    ],
    'SETTLED',
    [0, 800],
  ],
  ['a part is reversed', [['AUTHORIZATION_REVERSAL', 400]], 'PENDING', [600, 0]],
  ['all is reversed', [['AUTHORIZATION_REVERSAL', 1000]], 'VOIDED', [0, 0]],
  [
    'reversed in part, then cleared',
    [
      ['AUTHORIZATION_REVERSAL', 400],
      ['CLEARING', 600],
    ],
    'SETTLED',
    [0, 600],
  ],
  [
    'cleared in part, the rest reversed',
    [
      ['CLEARING', 300],
      ['AUTHORIZATION_REVERSAL', 700],
    ],
    'SETTLED',
    [0, 300],
  ],
  ['expired', [['AUTHORIZATION_EXPIRY', 1000]], 'EXPIRED', [0, 0]],
  [
    'cleared after it expired',
    [
      ['AUTHORIZATION_EXPIRY', 1000],
      ['CLEARING', 900],
    ],
    'SETTLED',
    [0, 900],
  ],
  ['an increment', [['AUTHORIZATION', 500]], 'PENDING', [1500, 0]],
  [
    'an increment, all cleared',
    [
      ['AUTHORIZATION', 500],
      ['CLEARING', 1500],
    ],
    'SETTLED',
    [0, 1500],
  ],
  ['a new total', [['AUTHORIZATION_ADVICE', 1300]], 'PENDING', [1300, 0]],
  ['a smaller total', [['AUTHORIZATION_ADVICE', 200]], 'PENDING', [200, 0]],
  ['a total of nothing', [['AUTHORIZATION_ADVICE', 0]], 'VOIDED', [0, 0]],
  [
    'refunded',
    [
      ['CLEARING', 1000],
      ['RETURN', 250],
    ],
    'SETTLED',
    [0, 750],
  ],
  [
    'refunded by mistake',
    [
      ['CLEARING', 1000],
      ['RETURN', 250],
      ['RETURN_REVERSAL', 250],
    ],
    'SETTLED',
    [0, 1000],
  ],
  [
    'corrected',
    [
      ['CLEARING', 900],
      ['CORRECTION_DEBIT', 60],
      ['CORRECTION_CREDIT', 10],
    ],
    'SETTLED',
    [0, 950],
  ],
  ['a declined reversal', [['AUTHORIZATION_REVERSAL', 400, 'ORIGINAL_NOT_FOUND']], 'PENDING', [1000, 0]],
  [
    'kinds that move nothing',
    [
      ['BALANCE_INQUIRY', 0],
      ['CREDIT_AUTHORIZATION', 5],
      ['UNHEARD_OF', 7],
    ],
    'PENDING',
    [1000, 0],
  ],
];

t.test('a life leaves the same books whether this engine approved it or Lithic did on its own', async (t) => {
  for (const [name, following, status, books] of lives) {
    for (const isAsked of [true, false]) {
      const { account, card } = accountFor();
      const before = await booksOf(account);
      const token = isAsked ? await approved(t, card, 1000) : nextToken();
      const events = [event('AUTHORIZATION', 1000), ...following.map((of) => event(...of))];
      await report(t, token, card, status, events);
      const after = await booksOf(account);
      const moved = [after[0] - before[0], after[1] - before[1]];
      t.same(moved, books, `${name}, ${isAsked ? 'asked' : 'not asked'}`);
      await report(t, token, card, status, events);
      t.same(await booksOf(account), after, `${name}: the same notification again changes nothing`);
    }
  }
});

/** Lives follow one another on few accounts with enough money. */
let lifeAccount = freshAccount();
let lifeCount = 0;
function accountFor() {
  if (++lifeCount % 4 === 0) lifeAccount = freshAccount();
  return lifeAccount;
}

t.test('purchases in one message, credits and force posts are booked as Lithic reports them', async (t) => {
  const { account, card } = freshAccount();
  const single = await approved(t, card, 900, { status: 'FINANCIAL_AUTHORIZATION' });
  t.same(await booksOf(account), [900, 0], 'held until Lithic says that it has happened');
  const purchase = event('FINANCIAL_AUTHORIZATION', 900);
  await report(t, single, card, 'SETTLED', [purchase]);
  t.same(await booksOf(account), [0, 900]);
  await report(t, single, card, 'SETTLED', [purchase, event('AUTHORIZATION_REVERSAL', 300)]);
  t.same(await booksOf(account), [0, 600], 'a reversal of posted money is a refund');
  await report(t, nextToken(), card, 'SETTLED', [event('FINANCIAL_AUTHORIZATION', 50)]);
  t.same(await booksOf(account), [0, 650], 'one that was not asked');
  await report(t, nextToken(), card, 'SETTLED', [event('CLEARING', 12_000)]);
  t.same(await booksOf(account), [0, 12_650], 'a force post is booked beyond what is available');
  await report(t, nextToken(), card, 'SETTLED', [event('RETURN', 2000)]);
  t.same(await booksOf(account), [0, 10_650], 'a refund of no purchase');
  const credit = event('FINANCIAL_CREDIT_AUTHORIZATION', 650);
  const creditToken = await approved(t, card, 650, { status: 'FINANCIAL_CREDIT_AUTHORIZATION' });
  await report(t, creditToken, card, 'SETTLED', [credit]);
  t.same(await booksOf(account), [0, 10_000]);
  await report(t, creditToken, card, 'SETTLED', [credit, event('AUTHORIZATION_REVERSAL', 650)]);
  t.same(await booksOf(account), [0, 10_650], 'a credit that was reversed');
  const credited = await approved(t, card, 100, { status: 'CREDIT_AUTHORIZATION' });
  await report(t, credited, card, 'SETTLED', [event('CREDIT_AUTHORIZATION', 100), event('RETURN', 100)]);
  t.same(await booksOf(account), [0, 10_550]);
});

t.test('an approval that Lithic did not take is released, and a decline that it overruled is booked', async (t) => {
  const { account, card } = freshAccount();
  const taken = await approved(t, card, 1000);
  await report(t, taken, card, 'DECLINED', [event('AUTHORIZATION', 1000, 'UNKNOWN_HOST_TIMEOUT')]);
  t.same(await booksOf(account), [0, 0]);
  await report(t, nextToken(), card, 'DECLINED', [event('AUTHORIZATION', 5, 'CARD_PAUSED')]);
  t.same(await booksOf(account), [0, 0], 'a question that never came');
  const declined = question(card, 20_000, { pos: null });
  t.equal(JSON.parse((await asa(declined)).body).result, 'INSUFFICIENT_FUNDS');
  const overruled = event('AUTHORIZATION', 20_000);
  await report(t, declined['token'] as string, card, 'PENDING', [overruled]);
  t.same(await booksOf(account), [20_000, 0], 'held beyond what is available');
  await report(t, declined['token'] as string, card, 'SETTLED', [overruled, event('CLEARING', 15_000)]);
  t.same(await booksOf(account), [0, 15_000]);
});

t.test('a hold that is larger than the purchase stays until Lithic reports its end', async (t) => {
  const { account, card } = freshAccount();
  const token = await approved(t, card, 100, { amounts: lithicAmounts(100, 5000) });
  const pump = event('AUTHORIZATION', 100);
  await report(t, token, card, 'PENDING', [pump]);
  t.same(await booksOf(account), [5000, 0]);
  await report(t, token, card, 'SETTLED', [pump, event('CLEARING', 4200)]);
  t.same(await booksOf(account), [0, 4200]);
});

t.test('notifications in any order and number leave the same books, each event counted once', async (t) => {
  const step = fc.constantFrom<[string, number]>(
    ['CLEARING', 300],
    ['CLEARING', 150],
    ['AUTHORIZATION', 200],
    ['AUTHORIZATION_REVERSAL', 100],
    ['AUTHORIZATION_ADVICE', 900],
    ['RETURN', 50],
  );
  const life = fc.record({
    isAsked: fc.boolean(),
    steps: fc.array(step, { minLength: 1, maxLength: 5 }),
    picks: fc.array(fc.nat(), { maxLength: 8 }),
    isAtOnce: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(life, async ({ isAsked, steps, picks, isAtOnce }) => {
      const [ordered, shuffled] = [freshAccount(), freshAccount()];
      const sent: Record<string, unknown>[][] = [];
      for (const { card } of [ordered, shuffled]) {
        const token = isAsked ? await approved(t, card, 1000) : nextToken();
        const events = [event('AUTHORIZATION', 1000), ...steps.map((of) => event(...of))];
        // Lithic calls a transaction settled after each clearing, and more may follow.
        const notifications = events.map(({ type }, index) => {
          const status = index === events.length - 1 || type === 'CLEARING' ? 'SETTLED' : 'PENDING';
          return lithicTransaction({ token, card, status }, events.slice(0, index + 1));
        });
        sent.push(notifications);
      }
      for (const notification of sent[0]!) t.equal((await post('/lithic/events', notification)).status, 200);
      // All of them at least once, some more often, in the order of the picks.
      const order = [...picks, ...sent[1]!.keys()].map((pick) => sent[1]![pick % sent[1]!.length]!);
      order.reverse();
      const replies = isAtOnce ? await Promise.all(order.map((of) => post('/lithic/events', of))) : [];
      if (!isAtOnce) for (const of of order) replies.push(await post('/lithic/events', of));
      for (const { status } of replies) t.equal(status, 200);
      t.same(await booksOf(shuffled.account), await booksOf(ordered.account));
      // A purchase that is refunded before its end counts as none, one that is refunded after it does.
      const isRefunded = steps.some(([type]) => type === 'RETURN');
      const compared = (of: Windows) => (isRefunded ? of.amounts : of);
      t.same(compared(await spentOf(shuffled.card)), compared(await spentOf(ordered.card)));
      t.equal((await booksOf(shuffled.account))[0], 0, 'nothing is held at the end');
    }),
    { numRuns: propertyRuns / 2 },
  );
});

t.test('unknown kinds and fields are acknowledged and counted, and what cannot be read is a 400', async (t) => {
  const { account, card } = freshAccount();
  const count = (labels: string) => metric(main.place, `notifications_total{${labels}}`).catch(() => 0);
  const other = 'protocol="lithic",kind="other"';
  const before = await count(other);
  for (const body of [{ event_type: 'card.created', token: 'x' }, { event_type: 7 }, {}]) {
    const reply = await post('/lithic/events', body);
    t.match([reply.status, reply.body], [200, '{"received":true}']);
  }
  t.equal((await count(other)) - before, 3);
  const unknown = 'protocol="lithic",kind="unknown_part"';
  const unknownBefore = await count(unknown);
  await report(t, nextToken(), card, 'PENDING', [event('UNHEARD_OF', 7)]);
  t.equal((await count(unknown)) - unknownBefore, 1);
  const unheard = { ...lithicTransaction({ token: nextToken(), card, status: 'PENDING' }, []), unheard_of: { a: [1] } };
  t.equal((await post('/lithic/events', unheard)).status, 200);
  const good = lithicTransaction({ token: nextToken(), card, status: 'PENDING' }, [event('AUTHORIZATION', 10)]);
  const { token: _token, ...nameless } = good;
  for (const [name, body, field] of [
    ['no token', nameless, 'token'],
    ['an amount with a fraction', withAmount(good, 1.5), 'events.0.amounts.cardholder.amount'],
    ['no amount', withAmount(good, undefined), 'events.0.amounts.cardholder.amount'],
    ['an unknown currency', withAmount(good, 10, 'XQQ'), 'currency'],
    ['a card number as card', { ...good, card_token: '4111111111111111' }, 'card'],
  ] as const) {
    const reply = await post('/lithic/events', body);
    t.match([reply.status, JSON.parse(reply.body).field], [400, field], name);
    t.notMatch(reply.body, /4111/);
  }
  t.same(await booksOf(account), [0, 0], 'nothing of them is booked');
  const facts = () => metric(main.place, 'notification_facts_total{reason="card_not_found"}').catch(() => 0);
  const lost = await facts();
  await report(t, nextToken(), 'no-such-card', 'PENDING', [event('AUTHORIZATION', 10)]);
  t.equal((await facts()) - lost, 1, 'a fact of an unknown card is acknowledged and counted');
});

function withAmount(good: Record<string, unknown>, amount: number | undefined, currency = 'USD') {
  const [first] = good['events'] as Record<string, unknown>[];
  return { ...good, events: [{ ...first, amounts: { cardholder: { amount, currency } } }] };
}

t.test('the books balance after a restart, and a repeat then still gets its first answer', async (t) => {
  const { account, card } = freshAccount();
  // No card number, so the database has it as it is.
  const token = 'f47ac10b-58cc-4372-a567-0e02b2c3d479';
  const body = question(card, 777, {
    token,
    merchant: { ...lithicMerchant, descriptor: 'pay 4111111111111111' },
  });
  const first = await asa(body);
  t.match(JSON.parse(first.body), { result: 'APPROVED' });
  const events = [event('AUTHORIZATION', 777), event('CLEARING', 700)];
  await report(t, token, card, 'SETTLED', events);
  await main.restart(changes);
  t.equal((await asa(body)).body, first.body);
  await report(t, token, card, 'SETTLED', events);
  t.same(await booksOf(account), [0, 700]);
  await untilSettled(main.place);
  t.same((await auditBooks(main.sql)).findings, []);
  const names = () => main.sql`select merchant_name as name from transactions where id = ${token}`;
  await until('the transaction is settled', async () => (await names()).length > 0);
  t.match((await names())[0], { name: /^pay \*+1111$/ }, 'the card number in the name is masked');
});
