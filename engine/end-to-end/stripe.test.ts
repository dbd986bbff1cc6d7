/** Stripe's questions and events over whole lives: real server, real worker, real Postgres. */
import fc from 'fast-check';
import Stripe from 'stripe';
import t, { type Test } from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import {
  stripeAuthorization,
  stripeEvent,
  stripeMerchant,
  stripeQuestion,
} from '../protocols/testing/stripe-sample.js';
import type { Reply } from '../testing/client.js';
import { startTestEngine } from '../testing/engine-inside.js';
import { engineBooks, metric, opsGet, until, untilSettled } from '../testing/engine-process.js';
import { runs } from '../testing/runs.js';
import { stripeHeaders, stripeSecret } from '../testing/signing.js';

const olderSecret = 'whsec_the_older_secret_of_stripe';
const changes = { STRIPE_SECRET: `${stripeSecret},${olderSecret}`, PARTITIONS: '2' };
const propertyRuns = runs(60).numRuns;
const main = await startTestEngine(t, { accounts: 60 + propertyRuns, balanceMinor: 10_000, changes });
const { webhooks } = new Stripe('none');

let accountsUsed = 0;
function freshAccount(): { account: string; card: string } {
  const number = String(++accountsUsed).padStart(6, '0');
  return { account: `acct_${number}`, card: `card_${number}_1` };
}
let ids = 0;
const nextId = (prefix: string) => `${prefix}_1NvPyS${String(++ids).padStart(18, '0')}`;

/** Signed by Stripe's own client. */
function post(body: object, headers?: Record<string, string | undefined>, at = main): Promise<Reply> {
  const payload = JSON.stringify(body);
  const signature = webhooks.generateTestHeaderString({ payload, secret: stripeSecret });
  const signed = headers ?? { 'stripe-signature': signature };
  return at.client.ask({ path: '/stripe/issuing', body: payload, headers: { authorization: undefined, ...signed } });
}

const question = (card: string, asked: number, more: Partial<Parameters<typeof stripeQuestion>[1]> = {}) =>
  stripeQuestion(nextId('evt'), { id: nextId('iauth'), card, asked, ...more });
const authorizationOf = (body: Record<string, unknown>) => (body['data'] as { object: { id: string } }).object.id;

async function approved(
  t: Test,
  card: string,
  asked: number,
  more: Partial<Parameters<typeof stripeQuestion>[1]> = {},
) {
  const body = question(card, asked, more);
  const reply = await post(body);
  t.match([reply.status, JSON.parse(reply.body)], [200, { approved: true }]);
  return authorizationOf(body);
}

async function report(t: Test, body: object, name = '') {
  const reply = await post(body);
  t.match([reply.status, reply.body], [200, '{"received":true}'], name);
}

interface Request {
  readonly amount: number;
  readonly reason?: string;
  readonly approved?: boolean;
}
const history = (requests: readonly Request[]) =>
  requests.map(({ amount, reason = 'webhook_approved', approved = true }, index) => ({
    amount,
    approved,
    reason,
    reason_message: null,
    authorization_code: 'S498162',
    amount_details: null,
    created: 1_790_000_000 + index,
    currency: 'usd',
    merchant_amount: amount,
    merchant_currency: 'usd',
    network_risk_score: null,
    requested_at: null,
  }));

interface State {
  readonly status?: string;
  readonly amount: number;
  readonly requests: readonly Request[];
  readonly transactions?: readonly object[];
}

/** An event about the authorization as it is then. */
function authorizationEvent(id: string, card: string, kind: 'created' | 'updated', state: State, previous?: object) {
  const { status = 'pending', amount, requests, transactions = [] } = state;
  const isApproved = requests.some(({ approved = true }) => approved);
  const changes = { status, approved: isApproved, request_history: history(requests), transactions };
  const object = stripeAuthorization({ id, card, amount, changes });
  return stripeEvent(nextId('evt'), `issuing_authorization.${kind}`, object, previous);
}

function transactionOf(card: string, type: string, amount: number, authorization: string | null) {
  return {
    id: nextId('ipi'),
    object: 'issuing.transaction',
    type,
    amount: type === 'capture' ? -amount : amount,
    authorization,
    card,
    cardholder: 'ich_demo_204',
    currency: 'usd',
    merchant_amount: amount,
    merchant_currency: 'usd',
    merchant_data: stripeMerchant,
    created: 1_790_000_100,
    metadata: {},
    wallet: null,
  };
}
const transactionEvent = (transaction: object, kind = 'created') =>
  stripeEvent(nextId('evt'), `issuing_transaction.${kind}`, transaction);

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

t.test('a question is answered in its 200 body, in the version that asks', async (t) => {
  const { account, card } = freshAccount();
  const reply = await post(question(card, 8000));
  t.same([reply.status, reply.body], [200, '{"approved":true,"metadata":{"decision":"approved"}}']);
  t.equal(reply.headers.get('stripe-version'), '2026-10-28.endive');
  t.equal(reply.headers.get('content-type'), 'application/json');
  t.equal(reply.headers.get('keep-alive'), 'timeout=5');
  t.same(await booksOf(account), [8000, 0]);
  const declined = await post(question(card, 2001, { isControllable: false }));
  t.same([declined.status, JSON.parse(declined.body)], [200, decline('insufficient_funds')]);
  for (const version of ['2025-03-31.basil', null, 'a\r\nb: c', 7]) {
    const versioned = await post({ ...question(card, 0), api_version: version });
    t.same(JSON.parse(versioned.body), { approved: true, metadata: { decision: 'approved' } }, 'a verification');
    t.equal(versioned.headers.get('stripe-version'), '2025-03-31.basil', String(version));
  }
  t.same(JSON.parse((await post(question('no-such-card', 1))).body), decline('card_not_found'));
  t.same(JSON.parse((await post(question(card, 1, { currency: 'eur' }))).body), decline('currency_mismatch'));
  t.same(await booksOf(account), [8000, 0]);
});

const decline = (decision: string) => ({ approved: false, metadata: { decision } });

t.test('less is approved only where the amount is controllable', async (t) => {
  const { account, card } = freshAccount();
  t.same(
    JSON.parse((await post(question(card, 12_000, { isControllable: false }))).body),
    decline('insufficient_funds'),
  );
  const answer = JSON.parse((await post(question(card, 12_000))).body);
  t.same(answer, { approved: true, amount: 10_000, metadata: { decision: 'approved' } });
  t.same(await booksOf(account), [10_000, 0]);
});

t.test('a later question about an authorization adds to its hold', async (t) => {
  const { account, card } = freshAccount();
  const id = await approved(t, card, 3000);
  const increment = stripeQuestion(nextId('evt'), { id, card, amount: 3000, asked: 2000 });
  const first = await post(increment);
  t.match(JSON.parse(first.body), { approved: true });
  t.same([(await post(increment)).body, await booksOf(account)], [first.body, [5000, 0]], 'the same event again');
  const same = stripeQuestion(nextId('evt'), { id, card, amount: 5000, asked: 2000 });
  t.match(JSON.parse((await post(same)).body), { approved: true }, 'as much again is another increment');
  t.same(await booksOf(account), [7000, 0]);
  const tooMuch = stripeQuestion(nextId('evt'), { id, card, amount: 7000, asked: 3001 });
  t.same(JSON.parse((await post(tooMuch)).body), decline('insufficient_funds'));
  const unasked = stripeQuestion(nextId('evt'), { id: nextId('iauth'), card, amount: 1, asked: 1 });
  t.same(JSON.parse((await post(unasked)).body), decline('original_not_found'));
});

t.test('the same question again gets the same bytes, and other content under its id holds nothing', async (t) => {
  const { account, card } = freshAccount();
  const body = question(card, 400);
  const first = await post(body);
  await approved(t, card, 1);
  for (const reply of await Promise.all(Array.from({ length: 10 }, () => post({ ...body, livemode: true })))) {
    t.same([reply.status, reply.body], [first.status, first.body]);
  }
  const other = stripeQuestion(nextId('evt'), { id: authorizationOf(body), card, asked: 401 });
  const conflict = await post(other);
  t.same([conflict.status, JSON.parse(conflict.body)], [200, decline('duplicate_conflict')]);
  t.same(await booksOf(account), [401, 0]);
});

t.test('a request without a right signature is answered 401 and reaches no ledger', async (t) => {
  const { account, card } = freshAccount();
  const body = question(card, 100);
  const text = JSON.stringify(body);
  for (const [name, headers] of [
    ['none', {}],
    ['of other bytes', stripeHeaders(`${text} `)],
    ['of another secret', stripeHeaders(text, { secrets: ['another'] })],
    ['too old', stripeHeaders(text, { atMs: Date.now() - 400_000 })],
    ['of Basic authentication alone', { authorization: 'Basic cHJvY2Vzc29yOnBhc3N3b3JkLW9mLXRlc3Rz' }],
  ] as const) {
    const reply = await post(body, headers as Record<string, string>);
    t.match([reply.status, JSON.parse(reply.body).title], [401, 'unauthorized'], name);
    t.equal(reply.headers.get('connection'), 'close');
  }
  t.same(await booksOf(account), [0, 0]);
  t.equal((await post(body, stripeHeaders(text, { secrets: ['another', olderSecret] }))).status, 200, 'older secret');
  t.same(await booksOf(account), [100, 0]);
});

t.test('an engine without STRIPE_SECRET has no path of Stripe, and a repeat after a 503 gets a decision', async (t) => {
  const plain = await startTestEngine(t, { accounts: 2, changes: { PARTITIONS: changes.PARTITIONS } });
  t.equal((await post({}, undefined, plain)).status, 404);
  await plain.restart({ ...changes, DEADLINE_MS: '300' });
  const one = question('card_000001_1', 1);
  await until('the first question is decided', async () => (await post(one, undefined, plain)).status === 200);
  const body = question('card_000001_1', 1250);
  plain.disk.holdSyncs();
  const late = await post(body, undefined, plain);
  t.match([late.status, JSON.parse(late.body).approved], [503, false], 'the body is a decline');
  plain.disk.releaseSyncs();
  let repeat = late;
  await until('the repeat is decided', async () => {
    repeat = await post(body, undefined, plain);
    return repeat.status === 200;
  });
  t.match(JSON.parse(repeat.body), { approved: true });
  t.equal((await engineBooks(plain.place, 'acct_000001')).held, 1251, 'it is held once');
});

t.test('an authorization is captured, reversed in part, expires or is refunded', async (t) => {
  const { account, card } = freshAccount();
  const requests = [{ amount: 1000 }];
  const first = await approved(t, card, 1000);
  await report(t, authorizationEvent(first, card, 'created', { amount: 1000, requests }));
  t.same(await booksOf(account), [1000, 0], 'the hold is counted once');
  const smaller = authorizationEvent(first, card, 'updated', { amount: 600, requests }, { amount: 1000 });
  await report(t, smaller);
  await report(t, smaller);
  t.same(await booksOf(account), [600, 0], 'a partial reversal');
  const capture = transactionOf(card, 'capture', 550, first);
  await report(t, transactionEvent(capture));
  t.same(await booksOf(account), [50, 550]);
  const state = { status: 'closed', amount: 0, requests, transactions: [capture] };
  await report(t, authorizationEvent(first, card, 'updated', state, { status: 'pending', transactions: [] }));
  t.same(await booksOf(account), [0, 550], 'what the capture left of the hold ends');
  await report(t, transactionEvent(transactionOf(card, 'refund', 200, first)));
  t.same(await booksOf(account), [0, 350]);
  await report(t, transactionEvent(capture, 'updated'));
  t.same(await booksOf(account), [0, 350], 'an update of a transaction books nothing');

  for (const status of ['reversed', 'expired']) {
    const id = await approved(t, card, 700);
    const previous = { amount: 700, status: 'pending' };
    const over = { status, amount: 0, requests: [{ amount: 700 }] };
    await report(t, authorizationEvent(id, card, 'updated', over, previous));
    t.same(await booksOf(account), [0, 350], status);
  }
  const larger = await approved(t, card, 500);
  const more = transactionOf(card, 'capture', 800, larger);
  const closed = { status: 'closed', amount: 0, requests: [{ amount: 500 }], transactions: [more] };
  await report(t, authorizationEvent(larger, card, 'updated', closed, { status: 'pending' }));
  t.same(await booksOf(account), [0, 1150], 'a capture of more than the hold');
  await report(t, transactionEvent(more));
  t.same(await booksOf(account), [0, 1150], 'its own event books nothing more');
});

t.test('what Stripe or the network decided without this engine is booked as reported', async (t) => {
  const { account, card } = freshAccount();
  const id = nextId('iauth');
  const requests = [{ amount: 12_000, reason: 'network_fallback' }];
  await report(t, authorizationEvent(id, card, 'created', { amount: 12_000, requests }));
  t.same(await booksOf(account), [12_000, 0], 'held beyond what is available');
  const grown = [...requests, { amount: 500, reason: 'network_fallback' }];
  await report(
    t,
    authorizationEvent(
      id,
      card,
      'updated',
      { amount: 12_500, requests: grown },
      { amount: 12_000, request_history: [] },
    ),
  );
  t.same(await booksOf(account), [12_500, 0]);
  const capture = transactionOf(card, 'capture', 12_400, id);
  await report(t, transactionEvent(capture));
  const closed = { status: 'closed', amount: 0, requests: grown, transactions: [capture] };
  await report(t, authorizationEvent(id, card, 'updated', closed, { status: 'pending' }));
  t.same(await booksOf(account), [0, 12_400]);
  await report(t, transactionEvent(transactionOf(card, 'capture', 100, null)));
  t.same(await booksOf(account), [0, 12_500], 'a forced capture');
  await report(t, transactionEvent(transactionOf(card, 'refund', 12_500, null)));
  t.same(await booksOf(account), [0, 0], 'a refund without an authorization');

  const declined = question(card, 20_000, { isControllable: false });
  t.match(JSON.parse((await post(declined)).body), decline('insufficient_funds'));
  const overruled = [{ amount: 20_000, reason: 'webhook_timeout' }];
  await report(
    t,
    authorizationEvent(authorizationOf(declined), card, 'created', { amount: 20_000, requests: overruled }),
  );
  t.same(await booksOf(account), [20_000, 0], 'a decline that came too late');
});

t.test('an approval that Stripe did not take is released', async (t) => {
  const { account, card } = freshAccount();
  for (const reason of ['webhook_timeout', 'webhook_error', 'unheard_of']) {
    const id = await approved(t, card, 1000);
    const requests = [{ amount: 1000, reason, approved: false }];
    await report(t, authorizationEvent(id, card, 'created', { status: 'closed', amount: 0, requests }));
    t.same(await booksOf(account), [0, 0], reason);
  }
  const requests = [{ amount: 1000, reason: 'spending_controls', approved: false }];
  await report(t, authorizationEvent(nextId('iauth'), card, 'created', { status: 'closed', amount: 0, requests }));
  t.same(await booksOf(account), [0, 0]);
});

t.test('events in any order and number leave the same books, each counted once', async (t) => {
  const life = fc.record({
    isAsked: fc.boolean(),
    increments: fc.array(fc.record({ amount: fc.integer({ min: 1, max: 300 }), isAsked: fc.boolean() }), {
      maxLength: 2,
    }),
    reversal: fc.integer({ min: 0, max: 900 }),
    captures: fc.array(fc.integer({ min: 1, max: 700 }), { maxLength: 3 }),
    refund: fc.integer({ min: 0, max: 400 }),
    end: fc.constantFrom('closed', 'reversed', 'expired'),
    order: fc.array(fc.nat(), { maxLength: 12 }),
    isAtOnce: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(life, async ({ isAsked, increments, reversal, captures, refund, end, order, isAtOnce }) => {
      const results = [];
      const spent: Windows[] = [];
      for (const isShuffled of [false, true]) {
        const { account, card } = freshAccount();
        const id = isAsked ? await approved(t, card, 1000) : nextId('iauth');
        const reason = (isOurs: boolean) => (isOurs ? 'webhook_approved' : 'network_fallback');
        let requests: Request[] = [{ amount: 1000, reason: reason(isAsked) }];
        let amount = 1000;
        const events = [authorizationEvent(id, card, 'created', { amount, requests })];
        for (const { amount: more, isAsked: isAskedToo } of increments) {
          const isOurs = isAsked && isAskedToo;
          if (isOurs) {
            const reply = await post(stripeQuestion(nextId('evt'), { id, card, amount, asked: more }));
            t.match(JSON.parse(reply.body), { approved: true });
          }
          const previous = { amount, request_history: history(requests) };
          requests = [...requests, { amount: more, reason: reason(isOurs) }];
          amount += more;
          events.push(authorizationEvent(id, card, 'updated', { amount, requests }, previous));
        }
        if (reversal > 0) {
          const left = { amount: amount - reversal, requests };
          events.push(authorizationEvent(id, card, 'updated', left, { amount }));
        }
        const transactions = captures.map((captured) => transactionOf(card, 'capture', captured, id));
        events.push(...transactions.map((transaction) => transactionEvent(transaction)));
        const over = { status: end, amount: 0, requests, transactions };
        events.push(authorizationEvent(id, card, 'updated', over, { status: 'pending', transactions: [] }));
        if (refund > 0) events.push(transactionEvent(transactionOf(card, 'refund', refund, id)));
        // All of them at least once, some more often.
        const picked = isShuffled ? [...order, ...events.keys()].map((pick) => events[pick % events.length]!) : events;
        if (isShuffled) picked.reverse();
        const replies = isAtOnce && isShuffled ? await Promise.all(picked.map((event) => post(event))) : [];
        if (replies.length === 0) for (const event of picked) replies.push(await post(event));
        for (const { status } of replies) t.equal(status, 200);
        results.push(await booksOf(account));
        spent.push(await spentOf(card));
      }
      const posted = captures.reduce((sum, captured) => sum + captured, 0) - refund;
      t.same(results, [
        [0, posted],
        [0, posted],
      ]);
      // A capture that comes before its authorization is a purchase of its own, and a purchase that is refunded before
      // its end is none.
      const compared = (of: Windows) => (isAsked && refund === 0 ? of : of.amounts);
      t.same(compared(spent[1]!), compared(spent[0]!), 'the spend windows too');
    }),
    { numRuns: propertyRuns / 2 },
  );
});

t.test('unknown kinds and fields are acknowledged and counted, and what cannot be read is a 400', async (t) => {
  const { account, card } = freshAccount();
  const count = (kind: string) =>
    metric(main.place, `notifications_total{protocol="stripe",kind="${kind}"}`).catch(() => 0);
  const before = await count('other');
  for (const type of ['issuing_card.created', 'unheard.of', 7]) {
    await report(t, { ...stripeEvent(nextId('evt'), '', {}), type });
  }
  t.equal((await count('other')) - before, 3);
  const unknown = await count('unknown_part');
  await report(t, transactionEvent(transactionOf(card, 'unheard_of', 100, null)));
  t.equal((await count('unknown_part')) - unknown, 1);
  t.same(await booksOf(account), [0, 0], 'nothing of them is booked');
  const good = transactionOf(card, 'capture', 10, null);
  for (const [name, body, field] of [
    ['no card', transactionEvent({ ...good, card: undefined }), 'data.object.card'],
    ['a fraction', transactionEvent({ ...good, amount: -1.5 }), 'data.object.amount'],
    ['no history', stripeEvent('evt', 'issuing_authorization.created', { ...good }), undefined],
    ['an unknown currency', transactionEvent({ ...good, currency: 'xqq' }), 'currency'],
    ['a card number as card', transactionEvent({ ...good, card: '4111111111111111' }), 'card'],
    ['a question without an amount', stripeEvent('evt', 'issuing_authorization.request', {}), undefined],
  ] as const) {
    const reply = await post(body);
    t.equal(reply.status, 400, name);
    if (field !== undefined) t.equal(JSON.parse(reply.body).field, field, name);
    t.notMatch(reply.body, /4111/);
  }
  t.same(await booksOf(account), [0, 0]);
  const lost = () => metric(main.place, 'notification_facts_total{reason="card_not_found"}').catch(() => 0);
  const lostBefore = await lost();
  await report(t, transactionEvent(transactionOf('no-such-card', 'capture', 10, null)));
  t.equal((await lost()) - lostBefore, 1, 'a fact of an unknown card is acknowledged and counted');
});

t.test('the books balance after a restart, and a repeat then still gets its first answer', async (t) => {
  const { account, card } = freshAccount();
  const body = question(card, 777);
  const first = await post(body);
  const capture = transactionEvent(transactionOf(card, 'capture', 700, authorizationOf(body)));
  await report(t, capture);
  await main.restart(changes);
  t.equal((await post(body)).body, first.body);
  await report(t, capture);
  t.same(await booksOf(account), [77, 700]);
  await untilSettled(main.place);
  t.same((await auditBooks(main.sql)).findings, []);
});
