/**
 * Stand-in in every protocol, both ways: what this engine answers without its partition, and what a processor answered
 * without this engine.
 */
import { randomUUID } from 'node:crypto';
import t, { type Test } from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import { findFreePort } from '../../deploy/free-port.js';
import { folderFor } from '../../deploy/testing/for-test.js';
import { MessageType, TransactionStatus } from '../core/codes.js';
import { detailStandIn } from '../core/limit-names.js';
import { lithicAmounts, lithicSample, lithicTransaction } from '../protocols/testing/lithic-sample.js';
import { marqetaMessage, marqetaSample, sampleText } from '../protocols/testing/marqeta-sample.js';
import { NumberText } from '../protocols/testing/mutate.js';
import { stripeAuthorization, stripeEvent, stripeQuestion } from '../protocols/testing/stripe-sample.js';
import { linkSettings, protocolSecrets } from '../testing/conformance.js';
import { startTestEngine, type TestEngine } from '../testing/engine-inside.js';
import { engineBooks, metric, opsGet, until, untilSettled } from '../testing/engine-process.js';
import { IsoClient, testPanToken } from '../testing/iso-client.js';
import { addCard, isoMessage, panOf, repeated, reversalOf } from '../testing/iso-messages.js';
import { lithicHeaders, marqetaHeaders, stripeHeaders } from '../testing/signing.js';

t.setTimeout(180_000);

const rule = { currency: 'USD', perCardMinor: 5000, perDayMinor: 50_000, amountMaxMinor: 5000 };
const fundsMinor = 1000;
/** A partition declines it: the funds are less. */
const amountMinor = 4210;
/** Of the purchases whose approval the processor does not take. */
const missedMinor = 200;
const port = await findFreePort();
const settings = { ...protocolSecrets, ...linkSettings(folderFor(t), port), DEADLINE_MS: '1500' };

/** The protocols and messages under test; each has the account of its place in the list. */
const names = ['Marqeta', 'Lithic', 'Stripe', 'ISO 8583', 'ISO 8583, posted at once'] as const;

/** The status and members of an answer, or the fields of a message. */
type Answer = object;

/** The processor took this engine's approval, or did not (it came too late), or approved without this engine. */
type Outcome = 'taken' | 'missed' | 'elsewhere';

/** One purchase: its processor may ask about it again, and reports what became of it. */
interface Purchase {
  ask(isRepeat?: boolean): Promise<Answer>;
  report(outcome: Outcome): Promise<Answer>;
  readonly approval: Answer;
}

interface Protocol {
  readonly name: string;
  readonly account: string;
  readonly card: string;
  /** The answer where nothing can be decided, and where the purchase is declined. */
  readonly undecided: Answer;
  readonly declined: Answer;
  readonly acknowledged: Answer;
  /** The answer to a report of this engine's approval before that is booked. */
  readonly reportedEarly: Answer;
  readonly postsAtOnce: boolean;
  buy(amount: number): Purchase;
}

async function start(t: Test, changes: Readonly<Record<string, string>> = {}) {
  const accounts = names.length;
  const options = { accounts, cardsPerAccount: 1, balanceMinor: fundsMinor, changes: { ...settings, ...changes } };
  const engine = await startTestEngine(t, options);
  for (const index of names.keys()) await addCard(engine.sql, index + 1, panOf(index + 1));
  await engine.restart();
  let link = await IsoClient.open({ port });
  t.teardown(() => link.close());
  const restart = async () => {
    await engine.restart();
    link = await IsoClient.open({ port });
  };
  return { ...engine, restart, protocols: protocolsOf(engine, () => link) };
}

function protocolsOf({ client }: TestEngine, link: () => IsoClient): Protocol[] {
  const of = (index: number) => {
    const number = String(index + 1).padStart(6, '0');
    return { name: names[index]!, account: `acct_${number}`, card: `card_${number}_1`, postsAtOnce: false };
  };
  const post = async (path: string, body: string, headers: Record<string, string>, isSigned = true) => {
    const basic = isSigned ? { authorization: undefined } : {};
    const reply = await client.ask({ path, body, headers: { ...basic, ...headers } });
    return { status: reply.status, body: reply.body === '' ? null : JSON.parse(reply.body) };
  };
  const link8583 = (index: number, mti: string): Protocol => ({
    ...of(index),
    card: testPanToken(panOf(index + 1)),
    undecided: { 39: '91' },
    declined: { 39: '51' },
    acknowledged: { 39: '00' },
    reportedEarly: { 39: '91' },
    postsAtOnce: mti === '0200',
    buy: (amount) => {
      const asked = isoMessage(mti, panOf(index + 1), amount);
      const second = mti[1];
      const advice = { ...asked, mti: `0${second}20`, 39: '00' };
      const reversal = reversalOf('0420', asked);
      return {
        ask: (isRepeat = false) => link().ask(isRepeat ? repeated(asked) : asked),
        report: (outcome) => link().ask(outcome === 'missed' ? reversal : advice),
        approval: { mti: `0${second}10`, 39: '00', 38: /^[0-9A-Z]{6}$/, 11: asked[11], 37: asked[37], 4: asked[4] },
      };
    },
  });
  return [
    { ...of(0), ...marqeta(post, of(0).card) },
    { ...of(1), ...lithic(post, of(1).card) },
    { ...of(2), ...stripe(post, of(2).card) },
    link8583(3, '0100'),
    link8583(4, '0200'),
  ];
}

type Post = (path: string, body: string, headers: Record<string, string>, isSigned?: boolean) => Promise<Answer>;
type Spoken = Pick<Protocol, 'undecided' | 'declined' | 'acknowledged' | 'reportedEarly' | 'buy'>;
const received = { status: 200, body: { received: true } };

function marqeta(post: Post, card: string): Spoken {
  return {
    undecided: { status: 503 },
    declined: { status: 402 },
    acknowledged: received,
    reportedEarly: { status: 503 },
    buy: (amount) => {
      const [token, jit, method] = [randomUUID(), randomUUID(), 'pgfs.authorization'];
      const major = (amount / 100).toFixed(2);
      const sample = marqetaSample({ token: jit, method, amount: new NumberText(major) });
      const question = sampleText({ ...sample, token, card_token: card });
      return {
        ask: () => post('/marqeta/jit', question, {}, false),
        report: (outcome) => {
          const by = {
            taken: { state: 'PENDING', log: { code: '200' } },
            missed: { state: 'DECLINED', log: { code: '200', timed_out: true } },
            elsewhere: { state: 'PENDING', changes: { standin_approved_by: 'COMMANDO_AUTO' } },
          }[outcome];
          const said = { type: 'authorization', token, card, amount: major, jit: { token: jit, method } };
          const text = sampleText({ transactions: [marqetaMessage({ ...said, ...by })] });
          return post('/marqeta/webhook', text, marqetaHeaders(text), false);
        },
        approval: { status: 200, body: { jit_funding: { token: jit, method, amount: amount / 100 } } },
      };
    },
  };
}

function lithic(post: Post, card: string): Spoken {
  return {
    undecided: { status: 503 },
    declined: { status: 200, body: { result: 'INSUFFICIENT_FUNDS' } },
    acknowledged: received,
    reportedEarly: { status: 503 },
    buy: (amount) => {
      const [token, event] = [randomUUID(), randomUUID()];
      const question = JSON.stringify(
        lithicSample({ token, card: { token: card }, amounts: lithicAmounts(amount), pos: null }),
      );
      return {
        ask: () => post('/lithic/asa', question, lithicHeaders(question)),
        report: (outcome) => {
          const isMissed = outcome === 'missed';
          const result = isMissed ? 'UNKNOWN_HOST_TIMEOUT' : 'APPROVED';
          const status = isMissed ? 'DECLINED' : 'PENDING';
          const events = [{ token: event, type: 'AUTHORIZATION', amount, result }];
          const text = JSON.stringify(lithicTransaction({ token, card, status }, events));
          return post('/lithic/events', text, lithicHeaders(text));
        },
        approval: { status: 200, body: { token, result: 'APPROVED' } },
      };
    },
  };
}

function stripe(post: Post, card: string): Spoken {
  return {
    undecided: { status: 503 },
    declined: { status: 200, body: { approved: false } },
    acknowledged: received,
    // It books nothing: the hold of the engine's answer stays.
    reportedEarly: received,
    buy: (amount) => {
      const [id, event] = [`iauth_${randomUUID()}`, `evt_${randomUUID()}`];
      const question = JSON.stringify(stripeQuestion(event, { id, card, asked: amount, isControllable: false }));
      const send = (text: string) => post('/stripe/issuing', text, stripeHeaders(text));
      return {
        ask: () => send(question),
        report: (outcome) => {
          const reason = { taken: 'webhook_approved', missed: 'webhook_timeout', elsewhere: 'network_fallback' }[
            outcome
          ];
          const approved = outcome !== 'missed';
          const request = { amount, approved, reason, currency: 'usd', created: 1_790_000_000 };
          const changes = { approved, status: approved ? 'pending' : 'closed', request_history: [request] };
          const object = stripeAuthorization({ id, card, amount: approved ? amount : 0, changes });
          return send(JSON.stringify(stripeEvent(`evt_${randomUUID()}`, 'issuing_authorization.created', object)));
        },
        approval: { status: 200, body: { approved: true } },
      };
    },
  };
}

async function balanced(t: Test, engine: Pick<TestEngine, 'place' | 'sql'>): Promise<void> {
  await untilSettled(engine.place);
  t.same((await auditBooks(engine.sql)).findings, []);
}

interface Transaction {
  readonly id: string;
  readonly type: number;
  readonly status: number;
  readonly detail: number;
}

/** Settled transactions of the account in their order, each with the decision of the message that opened it. */
async function transactionsOf({ place, sql }: Pick<TestEngine, 'place' | 'sql'>, account: string) {
  await untilSettled(place);
  const rows = await sql<Transaction[]>`
    select id, type, status, detail from transactions
    where account_id = (select id from accounts where public_id = ${account}) order by created_at, occurrence`;
  return Promise.all(
    rows.map(async (row) => {
      const { text } = await opsGet(place, `/admin/decisions/${encodeURIComponent(row.id)}`);
      return { row, decision: JSON.parse(text) };
    }),
  );
}

t.test('questions of every protocol are approved without their partition, and booked once', async (t) => {
  const engine = await start(t, { STANDIN: JSON.stringify(rule) });
  const { place, disk, protocols } = engine;
  for (const { name, buy, declined } of protocols) {
    const known = buy(1);
    t.match(await known.ask(), known.approval, `${name}: the front knows the card from now on`);
    t.match(await buy(amountMinor).ask(), declined, `${name}: its partition declines as much`);
  }
  disk.holdSyncs();
  const asked = await Promise.all(
    protocols.map(async (protocol) => {
      const [purchase, missed] = [protocol.buy(amountMinor), protocol.buy(missedMinor)];
      const [answer, late] = await Promise.all([purchase.ask(), missed.ask()]);
      t.match(late, missed.approval, `${protocol.name}: within what is left of the cap`);
      return { ...protocol, purchase, answer, missed };
    }),
  );
  t.equal(await metric(place, 'standin_approved_total'), 2 * protocols.length);
  for (const { name, buy, purchase, answer, undecided } of asked) {
    t.match(answer, purchase.approval, `${name}: its own form`);
    t.same(await purchase.ask(true), answer, `${name}: a repeat while the partition hangs`);
    t.match(await buy(amountMinor).ask(), undecided, `${name}: above the cap`);
  }
  await Promise.all(
    asked.map(async ({ name, purchase, missed, reportedEarly, undecided }) => {
      t.match(await missed.report('missed'), undecided, `${name}: a reversal waits until it is booked`);
      t.match(await purchase.report('taken'), reportedEarly, `${name}: what follows waits until it is booked`);
    }),
  );
  disk.heal();
  await until('every approval is booked', async () => (await metric(place, 'standin_unbooked')) === 0, 30_000);
  for (const { name, missed, acknowledged } of asked) {
    t.match(await missed.report('missed'), acknowledged, `${name}: what the processor did not take is released`);
  }
  const held = async (name: string) => {
    for (const { name: protocol, account, postsAtOnce } of asked) {
      const { held, posted } = await engineBooks(place, account);
      t.same([held, posted], postsAtOnce ? [0, amountMinor + 1] : [amountMinor + 1, 0], `${protocol}: ${name}`);
    }
  };
  await held('booked once');
  for (const { name, purchase, answer } of asked) t.same(await purchase.ask(true), answer, `${name}: a repeat then`);
  for (const { name, purchase, acknowledged } of asked) t.match(await purchase.report('taken'), acknowledged, name);
  await held('its processor reports it');
  await balanced(t, engine);
  for (const { name, account, postsAtOnce } of asked) {
    const transactions = await transactionsOf(engine, account);
    const marked = transactions.filter(({ row }) => row.detail === detailStandIn);
    const status = postsAtOnce ? TransactionStatus.completed : TransactionStatus.open;
    const decision = { type: 'authorization', approved: true, detail: 'stand_in', amount: amountMinor, checks: [] };
    const kept = { row: { type: MessageType.authorization, status }, decision };
    const released = { row: { status: TransactionStatus.reversed }, decision: { ...decision, amount: missedMinor } };
    const byAmount = marked.toSorted((one, other) => other.decision.amount - one.decision.amount);
    t.match(byAmount, [kept, released], `${name}: shown as stand-in`);
  }
  await engine.restart();
  for (const { name, purchase, answer } of asked) t.same(await purchase.ask(true), answer, `${name}: after a restart`);
  await held('after a restart');
});

/** A message of 0220 is a clearing, in ISO 8583 as in the books. */
function decidedElsewhere({ card, postsAtOnce }: Protocol) {
  const how = postsAtOnce ? { type: 'clearing', detail: 'force_post' } : { type: 'advice', detail: '' };
  return { ...how, approved: true, reason: 'approved', card };
}

t.test('what a processor approved for this engine is booked above limits and funds, as an advice', async (t) => {
  const engine = await start(t);
  const { place, sql } = engine;
  await sql`insert into limits (level, entity_id, limits)
    select 0, id, ${sql.json({ perAuthorization: 500, daily: { amount: 600, count: 1 } })} from cards`;
  await engine.restart();
  for (const protocol of engine.protocols) {
    const { name, account, postsAtOnce, acknowledged } = protocol;
    const refused = protocol.buy(501);
    await refused.ask();
    const unasked = protocol.buy(amountMinor);
    t.match(await unasked.report('elsewhere'), acknowledged, name);
    t.match(await refused.report('elsewhere'), acknowledged, `${name}: it overruled the decline`);
    for (const purchase of [unasked, refused]) t.match(await purchase.report('elsewhere'), acknowledged, 'again');
    const { held, posted } = await engineBooks(place, account);
    const total = amountMinor + 501;
    t.same([held, posted], postsAtOnce ? [0, total] : [total, 0], `${name}: each once`);
    const transactions = await transactionsOf(engine, account);
    t.match(
      transactions.map(({ decision }) => decision),
      [
        { type: 'authorization', approved: false, reason: 'limit_exceeded' },
        { ...decidedElsewhere(protocol), amount: amountMinor },
        { ...decidedElsewhere(protocol), amount: 501 },
      ],
      `${name}: each is shown, and by its type that it was decided elsewhere`,
    );
  }
  await balanced(t, engine);
});
