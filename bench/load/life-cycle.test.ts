/**
 * The traffic against the engine's own model of a ledger would be another engine; here a small obvious one judges it.
 */
import t from 'tap';
import { loopback } from '../stack.js';
import { type FakeRequest, httpAnswer, startFakeServer } from '../testing/fake-server.js';
import { type LifeCycleOptions, lifeCycleTraffic } from './life-cycle.js';
import { type LoadOptions, load } from './load.js';

const unaffordableMinor = 9_000_000_000;

interface Question {
  readonly id: string;
  readonly type: string;
  readonly card: string;
  readonly amount?: number;
  readonly currency: string;
  readonly original?: string;
  readonly merchant: { readonly id: string; readonly name: string; readonly mcc: string; readonly country: string };
  readonly channel: string;
}

const lifeCycle: LifeCycleOptions = {
  path: '/v1/authorizations',
  credentials: { user: 'u', password: 'p' },
  idPrefix: 'life',
  cardFirst: 1,
  cardCount: 500,
  cardSkew: 0.8,
  mix: 'all',
  unaffordableMinor,
};
const base: Omit<LoadOptions, 'port' | 'traffic'> = {
  host: loopback,
  pace: { kind: 'closed' },
  connectionCount: 8,
  threadCount: 1,
  warmUpMs: 0,
  durationMs: 30_000,
  requestCountMax: 6000,
  timeoutMs: 5000,
  seed: 11,
};

/** Answers like an engine with endless money, and remembers what it said. */
function honestLedger() {
  const questions: Question[] = [];
  const answers = new Map<string, string>();
  const open = new Map<string, number>();
  let available = 1e9;
  return {
    questions,
    open,
    answer(request: FakeRequest, tamper: (body: string, question: Question) => string = (body) => body): void {
      const question = JSON.parse(request.body) as Question;
      questions.push(question);
      const approved = question.amount !== unaffordableMinor;
      let body = answers.get(question.id);
      if (body === undefined) {
        if (approved && question.type === 'authorization') open.set(question.id, question.amount!);
        if (question.type === 'clearing' || question.type === 'reversal') open.delete(question.original!);
        if (question.type === 'incremental')
          open.set(question.original!, open.get(question.original!)! + question.amount!);
        available -= 1;
        body = `{"id":"${question.id}","approved":${approved},"available":${available}`;
        answers.set(question.id, body);
      }
      const text = tamper(`${body},"responseTimeMs":${request.number / 1000}}`, question);
      request.socket.write(httpAnswer(200, text));
    },
  };
}

async function against(
  ledger: ReturnType<typeof honestLedger>,
  tamper?: (body: string, question: Question) => string,
  options: Partial<LifeCycleOptions> = {},
) {
  const server = await startFakeServer((request) => ledger.answer(request, tamper));
  try {
    const traffic = lifeCycleTraffic({ ...lifeCycle, ...options });
    return await load({ ...base, port: server.port, traffic });
  } finally {
    await server.stop();
  }
}

t.test('the generator plays the whole life of authorizations, and every answer is the expected one', async (t) => {
  const ledger = honestLedger();
  const result = await against(ledger);
  t.match(result, { rightCount: 6000, wrongCount: 0, declinedCount: 0, errorCount: 0 });
  t.equal(Object.keys(result.kindCounts).length, 9, JSON.stringify(result.kindCounts));
  const share = (type: string) => ledger.questions.filter((question) => question.type === type).length / 6000;
  t.ok(share('authorization') > 0.4 && share('authorization') < 0.7, `${share('authorization')} authorizations`);
  t.ok(share('clearing') > 0.25, `${share('clearing')} clearings`);
});

t.test('a follow-up names an open authorization of the same card', async (t) => {
  const ledger = honestLedger();
  const authorizations = new Map<string, Question>();
  const closed = new Set<string>();
  await against(ledger);
  for (const question of ledger.questions) {
    if (question.type === 'authorization') authorizations.set(question.id, question);
    if (question.original === undefined) continue;
    const authorization = authorizations.get(question.original);
    if (authorization === undefined || authorization.card !== question.card) {
      t.fail(`${question.id} names ${question.original}`);
    }
    if (question.type === 'refund') t.ok(closed.has(question.original), 'only cleared amounts are refunded');
    else if (closed.has(question.original)) t.fail(`${question.original} was closed before ${question.id}`);
    if (question.type === 'clearing' || question.type === 'reversal') closed.add(question.original);
  }
});

t.test('messages are complete and varied', async (t) => {
  const ledger = honestLedger();
  await against(ledger);
  const { questions } = ledger;
  for (const { id, currency, merchant, channel } of questions) {
    if (!/^lifet00n\d{9}$/.test(id) || currency !== 'USD') t.fail(id);
    if (!/^m-\d+$/.test(merchant.id) || !/^\d{4}$/.test(merchant.mcc) || merchant.country.length !== 2) t.fail(id);
    if (channel === '') t.fail(id);
  }
  const distinct = (pick: (question: Question) => unknown) => new Set(questions.map(pick)).size;
  t.ok(distinct((question) => question.merchant.mcc) >= 8, 'kinds of shops');
  t.ok(distinct((question) => question.channel) >= 4, 'channels');
  t.ok(distinct((question) => question.amount) > 1000, 'amounts');
  t.ok(distinct((question) => question.card) > 200, 'cards');
});

t.test('the same seed sends the same messages while the answers come in the same order', async (t) => {
  const take = async () => {
    const ledger = honestLedger();
    const server = await startFakeServer((request) => ledger.answer(request));
    await load({
      ...base,
      port: server.port,
      traffic: lifeCycleTraffic(lifeCycle),
      connectionCount: 1,
      requestCountMax: 500,
    });
    await server.stop();
    return server.bodies;
  };
  t.strictSame(await take(), await take());
});

t.test('an approval of more than an account has counts as wrong', async (t) => {
  const result = await against(honestLedger(), (body) => body.replace('"approved":false', '"approved":true'));
  t.ok(result.wrongCount > 20, `${result.wrongCount} wrong`);
  t.equal(result.wrongCount, result.kindCounts['unaffordable']);
});

t.test('a different answer to a repeat counts as wrong', async (t) => {
  const said = new Map<string, number>();
  const result = await against(honestLedger(), (body, question) => {
    const times = (said.get(question.id) ?? 0) + 1;
    said.set(question.id, times);
    return times === 2 ? body.replace('"available":', '"available":1') : body;
  });
  t.ok(result.wrongCount > 10 && result.wrongCount <= result.kindCounts['repeat']!, `${result.wrongCount} wrong`);
});

t.test('a decline of an affordable amount is counted apart, and its transaction stays open', async (t) => {
  let refused = 0;
  const result = await against(honestLedger(), (body, question) => {
    if (question.type !== 'clearing' || ++refused > 50) return body;
    return body.replace('"approved":true', '"approved":false');
  });
  t.equal(result.declinedCount, 50);
  t.equal(result.rightCount, 5950);
});
