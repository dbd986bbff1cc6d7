/** Marqeta's questions and notifications over whole lives: real server, real worker, real Postgres. */
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import { type MarqetaMessage, marqetaMessage, marqetaSample, sampleText } from '../protocols/testing/marqeta-sample.js';
import { NumberText } from '../protocols/testing/mutate.js';
import type { Reply } from '../testing/client.js';
import { startTestEngine } from '../testing/engine-inside.js';
import { engineBooks, metric, opsGet, until, untilSettled } from '../testing/engine-process.js';
import { runs } from '../testing/runs.js';
import { marqetaHeaders, marqetaSecret } from '../testing/signing.js';

const olderSecret = 'the-older-secret-of-marqeta';
const changes = { MARQETA_WEBHOOK_SECRET: `${marqetaSecret},${olderSecret}`, PARTITIONS: '2' };
const propertyRuns = runs(60).numRuns;
const main = await startTestEngine(t, { accounts: 60 + propertyRuns, balanceMinor: 10_000, changes });

let accountsUsed = 0;
function freshAccount(): { account: string; card: string } {
  const number = String(++accountsUsed).padStart(6, '0');
  return { account: `acct_${number}`, card: `card_${number}_1` };
}
let ids = 0;
const nextToken = (kind: string) => `7d1e4c2a-0000-4000-8000-${kind}${String(++ids).padStart(12 - kind.length, '0')}`;
const major = (minor: number) => (minor / 100).toFixed(2);

interface Asked {
  /** Token of the transaction's message. */
  readonly token: string;
  readonly jit: string;
  readonly status: number;
}

/** Asks as Marqeta's gateway does. */
async function ask(card: string, amount: number, method = 'pgfs.authorization', original?: string): Promise<Asked> {
  const [token, jit] = [nextToken('a'), nextToken('b')];
  const funding = { token: jit, method, amount: new NumberText(major(amount)), original_jit_funding_token: original };
  const body = sampleText({ ...marqetaSample(funding), token, card_token: card });
  const { status } = await main.client.ask({ path: '/marqeta/jit', body });
  return { token, jit, status };
}

function post(body: unknown, headers?: Record<string, string | undefined>): Promise<Reply> {
  const text = sampleText(body);
  return main.client.ask({ path: '/marqeta/webhook', body: text, headers: headers ?? marqetaHeaders(text) });
}

async function report(t: Test, message: object, name = '') {
  const reply = await post({ transactions: [message] });
  t.match([reply.status, reply.body], [200, '{"received":true}'], name);
}

const ours = { code: '200' };
type Part = Omit<MarqetaMessage, 'token' | 'card' | 'amount'> & { readonly token?: string };

/** A message of one card: amounts in minor units. */
function messageOf(card: string, amount: number, part: Part): Record<string, unknown> {
  return marqetaMessage({ token: nextToken('c'), card, amount: major(amount), ...part });
}

interface Life {
  readonly token: string;
  readonly jit: string;
}

function authorizationOf(card: string, amount: number, { token, jit }: Life, part: Partial<Part> = {}) {
  const method = 'pgfs.authorization';
  return messageOf(card, amount, {
    ...{ type: 'authorization', state: 'PENDING', token, log: ours, jit: { token: jit, method } },
    ...part,
  });
}

function followOf(card: string, amount: number, { token, jit }: Life, type: string, part: Partial<Part> = {}) {
  const isUnload = type.includes('reversal') || type.includes('refund');
  const method = isUnload ? 'pgfs.authorization.reversal' : 'pgfs.authorization.capture';
  return messageOf(card, amount, {
    type,
    state: type.includes('reversal') ? 'PENDING' : 'COMPLETION',
    jit: { token: nextToken('d'), original: jit, method },
    isUnload,
    ...part,
    changes: { preceding_related_transaction_token: token, ...part.changes },
  });
}

const clearing = 'authorization.clearing';
const reversal = 'authorization.reversal';

async function booksOf(account: string): Promise<[held: number, posted: number]> {
  const { held, posted } = await engineBooks(main.place, account);
  return [held, posted];
}

async function spentOf(card: string): Promise<{ amounts: readonly number[]; counts: readonly number[] }> {
  const [row] = await main.sql<{ id: number }[]>`select id::integer as id from cards where token = ${card}`;
  const { text } = await opsGet(main.place, `/admin/windows?card=${row!.id}`);
  return JSON.parse(text).card;
}

t.test('a ping is answered, and a request without Basic authentication or the right signature is a 401', async (t) => {
  const pings = { pings: [{ token: 'marqeta', payload: 'healthcheck' }] };
  t.equal((await post(pings)).status, 200);
  const { account, card } = freshAccount();
  const life = { token: nextToken('a'), jit: nextToken('b') };
  const body = { transactions: [authorizationOf(card, 100, life)] };
  const text = sampleText(body);
  for (const [name, headers] of [
    ['no signature', {}],
    ['no Basic authentication', { ...marqetaHeaders(text), authorization: undefined }],
    ['another secret', marqetaHeaders(text, { secret: 'another' })],
    ['other bytes', marqetaHeaders(`${text} `)],
    ['capitals', { 'x-marqeta-signature': marqetaHeaders(text)['x-marqeta-signature']!.toUpperCase() }],
  ] as const) {
    const reply = await post(body, headers);
    t.match([reply.status, JSON.parse(reply.body).title], [401, 'unauthorized'], name);
    t.equal(reply.headers.get('connection'), 'close');
  }
  t.same(await booksOf(account), [0, 0]);
  t.equal((await post(body, marqetaHeaders(text, { secret: olderSecret, algorithm: 'sha1' }))).status, 200);
  t.same(await booksOf(account), [100, 0], 'the older secret, by SHA-1');
});

t.test('an approval is reported, reversed in part, cleared and refunded', async (t) => {
  const { account, card } = freshAccount();
  const life = await ask(card, 1000);
  t.equal(life.status, 200);
  await report(t, authorizationOf(card, 1000, life));
  t.same(await booksOf(account), [1000, 0], 'the hold is counted once');
  const part = followOf(card, 300, life, reversal, { changes: { request_amount: new NumberText('10.00') } });
  for (let time = 0; time < 3; time++) await report(t, part);
  t.same(await booksOf(account), [700, 0], 'the reversal counts once');
  await report(t, followOf(card, 200, life, clearing, { changes: { is_final_clearing: false } }));
  t.same(await booksOf(account), [500, 200]);
  const last = { multi_clearing_sequence_number: 2, multi_clearing_sequence_count: 2 };
  await report(t, followOf(card, 450, life, clearing, { changes: last }));
  t.same(await booksOf(account), [0, 650]);
  await report(t, followOf(card, 50, life, 'refund'));
  t.same(await booksOf(account), [0, 600]);
  await report(t, followOf(card, 60, life, 'authorization.clearing.chargeback.provisional.credit', { isUnload: true }));
  t.same(await booksOf(account), [0, 540], 'money that a dispute gives back');
  await report(t, followOf(card, 60, life, 'authorization.clearing.chargeback.provisional.debit'));
  t.same(await booksOf(account), [0, 600]);
});

t.test('an advice is booked by its difference, and one whose readings disagree is counted', async (t) => {
  const { account, card } = freshAccount();
  const fuel = await ask(card, 10_000);
  await report(t, authorizationOf(card, 10_000, fuel));
  const advice = (total: number, difference: number, before: number) =>
    followOf(card, total, fuel, 'authorization.advice', {
      state: 'PENDING',
      jit: {
        token: nextToken('d'),
        original: fuel.jit,
        method: 'pgfs.authorization.reversal',
        amount: major(difference),
      },
      changes: { request_amount: new NumberText(major(before)) },
    });
  await report(t, advice(4000, 6000, 10_000));
  t.same(await booksOf(account), [4000, 0]);
  const mismatches = () =>
    metric(main.place, 'notifications_total{protocol="marqeta",kind="mismatched_advice"}').catch(() => 0);
  const before = await mismatches();
  await report(t, advice(3000, 900, 4000));
  t.same(await booksOf(account), [3100, 0], 'the difference counts');
  t.equal((await mismatches()) - before, 1);
  await report(
    t,
    followOf(card, 2500, fuel, 'authorization.advice', { jit: undefined, changes: { request_amount: null } }),
  );
  t.same(await booksOf(account), [2500, 0], 'a total alone replaces the hold');
});

t.test('an increment that this engine approved is held once, and one of the network is added', async (t) => {
  const { account, card } = freshAccount();
  const life = await ask(card, 1000);
  const more = await ask(card, 200, 'pgfs.authorization.incremental', life.jit);
  t.equal(more.status, 200);
  const increment = (asked: Life, part: Partial<Part>) =>
    followOf(card, 200, life, 'authorization.incremental', {
      state: 'PENDING',
      token: asked.token,
      jit: { token: asked.jit, original: life.jit, method: 'pgfs.authorization.incremental' },
      ...part,
    });
  await report(t, authorizationOf(card, 1000, life));
  await report(t, increment(more, { log: ours }));
  t.same(await booksOf(account), [1200, 0]);
  const standIn = { token: nextToken('a'), jit: nextToken('b') };
  await report(t, increment(standIn, { changes: { standin_approved_by: 'COMMANDO_AUTO' } }));
  t.same(await booksOf(account), [1400, 0]);
  await report(t, increment(more, { state: 'DECLINED', log: { code: '200', timed_out: true } }));
  t.same(await booksOf(account), [1200, 0], 'an increment that the network did not take');
  await report(t, followOf(card, 1200, life, `${reversal}.issuerexpiration`));
  t.same(await booksOf(account), [0, 0], 'what is left lapses');
});

t.test('what the network did not take is released, and what this engine declined moves nothing', async (t) => {
  const { account, card } = freshAccount();
  const life = await ask(card, 1000);
  await report(t, authorizationOf(card, 1000, life, { state: 'DECLINED', log: { code: '200', timed_out: true } }));
  t.same(await booksOf(account), [0, 0]);
  const single = await ask(card, 700, 'pgfs.pindebit');
  t.same(await booksOf(account), [0, 700], 'posted at once');
  const pin = (part: Partial<Part>, of: Life = single) =>
    authorizationOf(card, 700, of, {
      type: 'pindebit',
      state: 'COMPLETION',
      jit: { token: of.jit, method: 'pgfs.pindebit' },
      ...part,
    });
  await report(t, pin({}));
  t.same(await booksOf(account), [0, 700], 'and not a second time');
  await report(t, pin({ changes: { standin_approved_by: 'NETWORK' } }));
  t.same(await booksOf(account), [0, 700], 'nor when the network approved it too');
  const other = await ask(card, 700, 'pgfs.pindebit');
  await report(t, pin({ state: 'DECLINED', log: { code: '200', timed_out: true } }, other));
  t.same(await booksOf(account), [0, 700], 'a purchase that the network did not take is taken back');
  const explained = JSON.parse((await opsGet(main.place, `/admin/decisions/${other.token}:declined`)).text);
  t.match(explained, { approved: true, approvedAmount: 700 });
  t.ok(
    explained.checks.every(({ passed }: { passed: boolean }) => passed),
    'every check of that reversal passed',
  );
  const spent = await spentOf(card);
  t.same([spent.amounts.at(-1), spent.counts.at(-1)], [700, 1], 'and is no purchase');
  await report(t, followOf(card, 200, single, 'refund'));
  await until('the refund is settled with the purchase that this engine posted', async () => {
    const [row] = await main.sql`
      select from transactions where id = ${single.jit} and posted_amount = 500 and refunded_amount = 200`;
    return row !== undefined;
  });
  await report(t, messageOf(card, 200, { type: clearing, state: 'COMPLETION' }));
  const declined = await ask(card, 20_000);
  t.equal(declined.status, 402);
  await report(t, authorizationOf(card, 20_000, declined, { state: 'DECLINED', log: { code: '402' } }));
  const byControls = { token: nextToken('a'), jit: nextToken('b') };
  await report(t, messageOf(card, 100, { type: 'authorization', state: 'DECLINED', token: byControls.token }));
  t.same(await booksOf(account), [0, 700]);
});

t.test('what the network approved without this engine is booked, also beyond what is available', async (t) => {
  const { account, card } = freshAccount();
  const standIn = { token: nextToken('a'), jit: nextToken('b') };
  const approvedBy = { changes: { standin_approved_by: 'COMMANDO_MANUAL' }, log: undefined };
  await report(t, authorizationOf(card, 12_000, standIn, approvedBy));
  t.same(await booksOf(account), [12_000, 0]);
  const declined = await ask(card, 500);
  t.equal(declined.status, 402, 'too little is available');
  await report(t, authorizationOf(card, 500, declined, approvedBy));
  t.same(await booksOf(account), [12_500, 0], 'overruled');
  const pin = { token: nextToken('a'), jit: nextToken('b') };
  const single = { type: 'pindebit', state: 'COMPLETION', jit: { token: pin.jit, method: 'pgfs.pindebit' } };
  await report(t, authorizationOf(card, 300, pin, { ...approvedBy, ...single }));
  t.same(await booksOf(account), [12_500, 300]);
  await report(t, messageOf(card, 40, { type: clearing, state: 'COMPLETION' }));
  t.same(await booksOf(account), [12_500, 340], 'a clearing that follows nothing');
  await report(t, messageOf(card, 30, { type: 'original.credit.auth_plus_capture', state: 'COMPLETION' }));
  await report(t, messageOf(card, 30, { type: 'original.credit.auth_plus_capture.reversal', state: 'COMPLETION' }));
  t.same(await booksOf(account), [12_500, 340]);
});

t.test('notifications in any order and number leave the same books, each counted once', async (t) => {
  const lives = fc.record({
    isAsked: fc.boolean(),
    increments: fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 2 }),
    reversals: fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 2 }),
    clearings: fc.array(fc.integer({ min: 1, max: 700 }), { maxLength: 3 }),
    refund: fc.integer({ min: 0, max: 400 }),
    hasFirstToken: fc.boolean(),
    order: fc.array(fc.nat(), { maxLength: 12 }),
    isAtOnce: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(lives, async (of) => {
      const { isAsked, increments, reversals, clearings, refund, hasFirstToken, order, isAtOnce } = of;
      const results = [];
      const spent = [];
      for (const isShuffled of [false, true]) {
        const { account, card } = freshAccount();
        const life = isAsked ? await ask(card, 1000) : { token: nextToken('a'), jit: nextToken('b') };
        const standIn = { changes: { standin_approved_by: 'COMMANDO_AUTO' }, log: undefined };
        const first = hasFirstToken ? { original_transaction_token: life.token } : {};
        const messages = [authorizationOf(card, 1000, life, isAsked ? {} : standIn)];
        if (isAsked) {
          for (const amount of increments) {
            const asked = await ask(card, amount, 'pgfs.authorization.incremental', life.jit);
            t.equal(asked.status, 200);
            messages.push(
              followOf(card, amount, life, 'authorization.incremental', {
                ...{ state: 'PENDING', token: asked.token, log: ours, changes: first },
                jit: { token: asked.jit, original: life.jit, method: 'pgfs.authorization.incremental' },
              }),
            );
          }
        }
        for (const amount of reversals) {
          const changes = { ...first, request_amount: new NumberText('10.00') };
          messages.push(followOf(card, amount, life, reversal, { changes }));
        }
        for (const [index, amount] of clearings.entries()) {
          const changes = { ...first, is_final_clearing: index === clearings.length - 1 };
          messages.push(followOf(card, amount, life, clearing, { changes }));
        }
        if (clearings.length === 0) {
          messages.push(followOf(card, 1, life, `${reversal}.issuerexpiration`, { changes: first }));
        }
        if (refund > 0) messages.push(followOf(card, refund, life, 'refund', { changes: first }));
        // All of them at least once, some more often.
        const picked = isShuffled
          ? [...order, ...messages.keys()].map((pick) => messages[pick % messages.length]!)
          : messages;
        if (isShuffled) picked.reverse();
        const send = (message: object) => post({ transactions: [message] });
        const replies = isAtOnce && isShuffled ? await Promise.all(picked.map(send)) : [];
        if (replies.length === 0) for (const message of picked) replies.push(await send(message));
        for (const { status } of replies) t.equal(status, 200);
        results.push(await booksOf(account));
        spent.push((await spentOf(card)).amounts);
      }
      const posted = clearings.reduce((sum, cleared) => sum + cleared, 0) - refund;
      t.same(results, [
        [0, posted],
        [0, posted],
      ]);
      t.same(spent[1], spent[0], 'the spend windows too');
    }),
    { numRuns: propertyRuns / 2 },
  );
});

t.test('unknown kinds are acknowledged and counted, and what cannot be read is a 400', async (t) => {
  const { account, card } = freshAccount();
  const count = (kind: string) =>
    metric(main.place, `notifications_total{protocol="marqeta",kind="${kind}"}`).catch(() => 0);
  const [other, unknown] = [await count('other'), await count('unknown_part')];
  t.equal((await post({ cardtransitions: [{ token: 'x' }] })).status, 200);
  for (const type of ['unheard.of', 'constructor', '__proto__']) {
    await report(t, messageOf(card, 100, { type, state: 'COMPLETION' }));
  }
  t.same([(await count('other')) - other, (await count('unknown_part')) - unknown], [1, 3]);
  await report(t, { ...messageOf(card, 100, { type: 'balanceinquiry', state: 'COMPLETION' }), currency_code: 'XQQ' });
  t.same(await booksOf(account), [0, 0]);
  const good = messageOf(card, 10, { type: clearing, state: 'COMPLETION' });
  for (const [name, message, field] of [
    ['no card', { ...good, card_token: undefined }, 'transactions.0.card_token'],
    ['too many decimals', { ...good, amount: new NumberText('1.005') }, 'transactions.0.amount'],
    ['below nothing', { ...good, amount: new NumberText('-1') }, 'transactions.0.amount'],
    ['more than books hold', { ...good, amount: new NumberText('1e300') }, 'transactions.0.amount'],
    ['an unknown currency', { ...good, currency_code: 'XQQ' }, 'transactions.0.currency_code'],
    ['a card number as card', { ...good, card_token: '4111111111111111' }, 'card'],
  ] as const) {
    const reply = await post({ transactions: [message] });
    t.match([reply.status, JSON.parse(reply.body).field], [400, field], name);
    t.notMatch(reply.body, /4111/);
  }
  t.equal((await post([])).status, 200, 'no notification at all is nothing to book');
  t.same(await booksOf(account), [0, 0]);
});

t.test('the books balance after a restart, and a repeat then moves nothing', async (t) => {
  const { account, card } = freshAccount();
  const life = await ask(card, 777);
  const cleared = followOf(card, 700, life, clearing, { changes: { is_final_clearing: false } });
  await report(t, cleared);
  await main.restart(changes);
  await report(t, cleared);
  await report(t, authorizationOf(card, 777, life));
  t.same(await booksOf(account), [77, 700]);
  await untilSettled(main.place);
  t.same((await auditBooks(main.sql)).findings, []);
});
