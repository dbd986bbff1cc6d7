import fc from 'fast-check';
import t from 'tap';
import { check } from '../testing/audit.js';
import { Generator, type Step } from '../testing/generator.js';
import { runs } from '../testing/runs.js';
import { isCommand, type Message, policyDefault, World } from '../testing/world.js';
import { checkOrder } from './checks.js';
import { MessageType, type TransactionStatus, unpackLetters } from './codes.js';
import { type CheckNumbers, type ExplainedCheck, type ExplainedDecision, explain } from './explain.js';
import { detailName, levelNames, levels, windowNames } from './limit-names.js';
import { Reason, reasonEntry } from './reasons.js';
import { isWholeRecord, readRecordRoot, recordBytesMax, writeRecord } from './record.js';
import { amountMinorMax } from './request.js';
import { type Limits, unlimited } from './rules.js';
import { traceBytesMax } from './trace-format.js';
import { dayMs, nextPeriodDay, zoneNamed } from './window.js';

const history = fc.tuple(fc.integer(), fc.integer({ min: 1, max: 250 }));
const policies = fc.boolean().map((isWhole) => ({ ...policyDefault, wholeAmountsOnly: isWhole ? [1 as const] : [] }));

/** Limits in force, and each card's last day, by kind and number. */
type Configs = Map<string, { readonly limits?: Limits | null; readonly expiresDay?: number }>;

/** Follows a history. @param decided called between each decision of a card's message and its effects */
function follow(world: World, seed: number, length: number, decided: (message: Message, configs: Configs) => void) {
  const generator = new Generator(seed);
  const configs: Configs = new Map();
  const configure = (step: Step): boolean => {
    if (step.kind === 'account') world.setAccount(step.config);
    else if (step.kind === 'user') world.setUser(step.config);
    else if (step.kind === 'card') world.setCard(step.config);
    else return false;
    configs.set(`${step.kind} ${step.config.number}`, step.config);
    return true;
  };
  for (const step of generator.setup()) configure(step);
  for (let index = 0; index < length; index++) {
    const step = generator.next();
    world.nowMs = generator.nowMs;
    if (configure(step)) continue;
    if (step.kind === 'expire') world.expire(step.id);
    else if (step.kind === 'revoke') world.revoke(step.id);
    else if (step.kind === 'message') {
      world.decide(step.message);
      if (!isCommand(step.message)) decided(step.message, configs);
      world.send(step.message);
    }
  }
}

const owner = { accountNumber: 1, cardNumber: 2, cardSpend: 3, userNumber: 4, profileVersion: 0 };
const root = Buffer.from('the root');

/** The explanation of what the world has decided last, from its record alone. */
function explained(world: World, isTraced = true): ExplainedDecision {
  const { request, outcome, question, nowMs } = world;
  const bytes = new Uint8Array(recordBytesMax);
  const view = new DataView(bytes.buffer);
  const profileVersion = question.card?.version ?? 0;
  const slice = { start: 0, end: root.length };
  const trace = isTraced ? world.trace : null;
  const whose = { ...owner, profileVersion };
  const length = writeRecord(bytes, view, 0, request, outcome, whose, nowMs, root, slice, trace);
  check(isWholeRecord(view, 0, length), 'a record with a trace is whole');
  readRecordRoot(view, 0, slice);
  check(Buffer.from(bytes.subarray(slice.start, slice.end)).equals(root), 'the root is found behind the trace');
  return explain(bytes, view, 0);
}

/** Whether a check with those numbers declines; the rules once more, as a person would read them. */
function declinesBy({ reason, numbers: n }: ExplainedCheck, message: Message): boolean {
  const isBetween = (status: unknown, ...names: string[]) => names.includes(String(status));
  switch (reason) {
    case 'card_not_found':
      return n['found'] !== true;
    case 'card_inactive':
    case 'user_inactive':
    case 'account_inactive':
      return n['status'] !== 'active';
    case 'card_expired':
      return String(n['day']) > String(n['lastDay']);
    case 'currency_mismatch':
      return n['asked'] !== null && n['asked'] !== n['account'];
    case 'amount_invalid':
      return declinesAmount(n, message);
    case 'original_not_found':
      return isBetween(n['status'], '', 'declined');
    case 'original_closed':
      if (message.type === 'reversal') return n['status'] === 'completed';
      if (n['status'] === '') return false;
      if (message.type === 'incremental') return n['status'] !== 'pending' || n['idIsSpent'] === true;
      return n['status'] === 'reversed before' || n['idIsSpent'] === true;
    case 'insufficient_funds': {
      const takesPart = [n['partialAllowed'], n['accountTakesPart'], n['programTakesPart']].every(Boolean);
      const isPart = takesPart && message.type === 'authorization' && Number(n['available']) > 0;
      return Number(n['available']) < Number(n['amount']) && !isPart;
    }
    case 'limit_exceeded':
      if ('isUsed' in n) return n['isUsed'] === true && n['rejoins'] !== true;
      if ('total' in n) return Number(n['before']) + Number(n['amount']) > Number(n['limit']);
      return Number(n['added']) > 0 && Number(n['used']) + Number(n['added']) > Number(n['limit']);
    case 'verification_failed':
      if (n['result'] === null && message.type === 'incremental') return false;
      return n['mode'] === 'require' ? n['result'] !== 'match' : n['result'] === 'mismatch';
    default:
      return n['declinedBy'] !== null;
  }
}

function declinesAmount(n: CheckNumbers, { type }: Message): boolean {
  const amount = n['amount'] === null ? -1 : Number(n['amount']);
  if (amount > Number(n['most'])) return true;
  if ('total' in n) {
    const [total, bound] = [Number(n['total']), Number(n['bound'])];
    return bound < 0 ? total < bound : total > bound;
  }
  if (type === 'verification' || type === 'balance_inquiry') return amount > 0;
  if (type === 'reversal') return amount === 0;
  return type === 'clearing' ? amount < 0 : amount <= 0;
}

/** What the books say, and the configuration, of the numbers in a check. */
function compareNumbers(world: World, { reason, detail, passed, numbers: n }: ExplainedCheck, configs: Configs): void {
  const { books, question, request, nowMs } = world;
  const card = question.card!;
  const { accounts, users, spend, transactions } = books;
  const [level = '', window = '', what = ''] = detail.split('.');
  const zone = accounts.zone(card.account);
  const account = accounts.number(card.account);
  const numbers = { card: card.number, user: users.number(card.user), account };
  const limitsOf = (of: string) => configs.get(`${of} ${numbers[of as keyof typeof numbers]}`)?.limits ?? null;
  const equal = (name: string, wanted: unknown) =>
    check(n[name] === wanted, `${reason} ${detail}: ${name} is ${n[name]}, the books say ${wanted}`);
  const status = question.transaction < 0 ? '' : nameOf(transactions.status(question.transaction));
  if (reason === 'card_inactive') {
    equal('status', ['active', 'frozen', 'closed'][card.status]);
    equal('version', card.version);
  } else if (reason === 'user_inactive') equal('status', ['active', 'frozen', 'closed'][users.status(card.user)]);
  else if (reason === 'account_inactive')
    equal('status', ['active', 'frozen', 'closed'][accounts.status(card.account)]);
  else if (reason === 'card_expired') {
    equal('day', new Date(zone.dayOf(nowMs) * dayMs).toISOString().slice(0, 10));
    equal('lastDay', new Date(card.expiresDay * dayMs).toISOString().split('T')[0]);
  } else if (reason === 'currency_mismatch') equal('account', unpackLetters(accounts.currency(card.account)));
  else if (reason === 'insufficient_funds') equal('available', accounts.available(card.account));
  else if (reason === 'amount_invalid') equal('most', amountMinorMax);
  else if (reason === 'original_not_found' && request.type === MessageType.reversal) {
    check(n['status'] === '' || n['status'] === status, 'the status of the original');
  } else if (reason === 'recurring_blocked') {
    for (const of of levelNames) equal(of, limitsOf(of)?.recurring === 'block' ? 'block' : null);
  } else if (reason === 'verification_failed') {
    equal('mode', limitsOf(level)!.verification![what as 'avs']);
  } else if (reason.endsWith('_blocked')) compareLists(reason, n, limitsOf);
  else if (reason === 'limit_exceeded' && window === 'perAuthorization') {
    equal('limit', limitsOf(level)!.perAuthorization);
    const slot = question.transaction;
    const isOfMore = request.type === MessageType.incremental || n['before'] !== 0;
    // An increment that was declined before has no transaction of its card.
    if (passed !== null && isOfMore) {
      equal('before', transactions.held(slot) + transactions.posted(slot) + transactions.refunded(slot));
    }
  } else if (reason === 'limit_exceeded' && 'used' in n) {
    const index = windowNames.indexOf(window as (typeof windowNames)[number]);
    const day = Math.round(Date.parse(`${n['day']}T00:00:00Z`) / dayMs);
    const of = levelNames.indexOf(level as 'card');
    const number = of === 0 ? card.spendNumber : numbers[level as 'user'];
    const spent = world.spent(levels[of]!, number, unpackLetters(accounts.currency(card.account)), index, day);
    equal('used', spent[what as 'amount']);
    equal('limit', limitsOf(level)![window as 'daily']![what as 'amount']);
    const latest = Math.max(
      zone.dayOf(nowMs),
      spend.latestDay(0, card.spendNumber, -1e6),
      spend.latestDay(1, numbers.user * 2 ** 15 + accounts.currency(card.account), -1e6),
      spend.latestDay(2, account, -1e6),
    );
    check(day === latest, `${detail}: spends on day ${day}, not ${latest}`);
    const end = nextPeriodDay(index, day);
    equal('endsAtMs', end === null ? null : zoneNamed(zone.name).startOf(end));
  }
}

function compareLists(reason: string, n: CheckNumbers, limitsOf: (level: string) => Limits | null): void {
  const name = {
    mcc: 'mcc',
    merchant: 'merchants',
    country: 'countries',
    channel: 'channels',
    wallet: 'wallets',
  } as const;
  const list = name[reason.replace('_blocked', '') as keyof typeof name];
  let declinedBy: string | null = null;
  const value = n['value'] as string | null;
  for (const level of levelNames) {
    const rule = limitsOf(level)?.[list];
    const kind = rule?.allow !== undefined ? 'allow' : rule?.block !== undefined ? 'block' : null;
    check(n[level] === kind, `${reason}: the list of the ${level} is ${n[level]}, not ${kind}`);
    const declines =
      (kind === 'allow' && (value === null || !rule!.allow!.includes(value))) ||
      (kind === 'block' && value !== null && rule!.block!.includes(value));
    if (declines) declinedBy ??= level;
    if (n['declinedBy'] === level) check((n['entry'] !== null) === (kind === 'block'), 'the entry of a block list');
  }
  // An increment may leave out what its authorization said.
  if (n['declinedBy'] !== 'lock' && value !== null) {
    check(n['declinedBy'] === declinedBy, `${reason}: ${n['declinedBy']} declines, not ${declinedBy}`);
  }
}

const nameOf = (status: TransactionStatus) =>
  ['', 'pending', 'completed', 'reversed', 'expired', 'declined', 'reversed before'][status]!;

function compare(world: World, message: Message, configs: Configs): void {
  const { outcome, question } = world;
  const { checks, approved, reason, detail, numbersKept } = explained(world);
  check(approved === outcome.approved && reason === outcome.reason && detail === outcome.detail, 'another decision');
  check(numbersKept, 'the numbers are kept');
  const failed = checks.findIndex(({ passed }) => passed === false);
  check(failed < 0 === approved, `${reasonEntry(reason).name}, and the explanation says otherwise`);
  if (failed >= 0) {
    check(checks[failed]!.reason === reasonEntry(reason).name, `${checks[failed]!.reason}, not ${reason}`);
    check(checks[failed]!.detail === detailName(detail), `${checks[failed]!.detail}, not ${detailName(detail)}`);
  }
  for (const [index, one] of checks.entries()) {
    const isReached = failed < 0 || index <= failed;
    check((one.passed !== null) === isReached, 'checks behind the one that declined were not reached');
    if (question.card === null) continue;
    if (one.reason !== 'duplicate_conflict' && isReached) {
      check(declinesBy(one, message) === (index === failed), `${one.reason} ${one.detail}: ${JSON.stringify(one)}`);
    }
    if (isReached || !one.reason.endsWith('_blocked')) compareNumbers(world, one, configs);
  }
}

t.test('the explained checks are those that decided, with the numbers of that instant', async () => {
  fc.assert(
    fc.property(history, policies, ([seed, length], policy) => {
      const world = new World(policy);
      follow(world, seed, length, (message, configs) => compare(world, message, configs));
    }),
    runs(60),
  );
});

t.test('every reason in the order of the checks is explained', async (t) => {
  const found = new Set<Reason>();
  const look = (world: World) => {
    const { checks } = explained(world);
    const failed = checks.find(({ passed }) => passed === false)?.reason;
    if (failed === reasonEntry(world.outcome.reason).name) found.add(world.outcome.reason);
  };
  for (let seed = 1; seed <= 20; seed++) {
    const world = new World();
    follow(world, seed, 1000, () => look(world));
  }
  // The id of a transaction whose question is forgotten.
  const world = World.withCard(1000);
  world.send({ id: 'a', type: 'authorization', card: 'C', amount: 10 });
  world.decide({ id: 'a', type: 'authorization', card: 'C', amount: 10 });
  look(world);
  const missing = [...new Set(checkOrder)].filter((reason) => !found.has(reason));
  t.same(
    missing.map((reason) => reasonEntry(reason).name),
    [],
  );
});

t.test('a record without a trace says its reason, and that its numbers were not kept', async () => {
  fc.assert(
    fc.property(history, ([seed, length]) => {
      const world = new World();
      follow(world, seed, length, () => {
        const { checks, reason, numbersKept } = explained(world, false);
        const failed = checks.find(({ passed }) => passed === false);
        const isNotFound = reason === Reason.cardNotFound;
        check(failed?.reason === (world.outcome.approved ? undefined : reasonEntry(reason).name), 'another reason');
        check(numbersKept === isNotFound, 'the numbers are not known');
      });
    }),
    runs(20),
  );
});

t.test('the longest trace fits its bound', async (t) => {
  const world = new World();
  const most = unlimited - 1;
  const window = { amount: most, count: most };
  const windows = { daily: window, weekly: window, monthly: window, yearly: window, lifetime: window };
  const limits: Limits = { perAuthorization: most, ...windows };
  world.setAccount({ number: 1, currency: 'USD', funds: 1, timeZone: 'America/Argentina/ComodRivadavia', limits });
  world.setUser({ number: 1, limits });
  world.setCard({ token: 'C', number: 1, account: 1, user: 1, limits, type: 2 });
  world.decide({ id: 'first', type: 'authorization', card: 'C', amount: 1, merchantId: '💳'.repeat(64) });
  world.send({ id: 'first', type: 'authorization', card: 'C', amount: 1, merchantId: '💳'.repeat(64) });
  world.decide({ id: 'a', type: 'authorization', card: 'C', amount: 1, merchantId: 'm' });
  const target = new Uint8Array(traceBytesMax);
  const length = world.trace!.write(target, new DataView(target.buffer), 0);
  t.ok(length > 500 && length <= traceBytesMax, `${length} of ${traceBytesMax}`);
  t.equal(world.outcome.reason, Reason.merchantBlocked);
});
