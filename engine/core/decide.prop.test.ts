import fc from 'fast-check';
import t from 'tap';
import {
  auditAccounts,
  auditTransactions,
  auditWindows,
  check,
  compare,
  transactionInMemory,
} from '../testing/audit.js';
import { accountNumbers, cardNumbers, currencyOf, Generator, type Step, userNumbers } from '../testing/generator.js';
import { Model } from '../testing/model.js';
import { runs } from '../testing/runs.js';
import { accountName, dayMs, isCommand, type Message, policyDefault, World } from '../testing/world.js';
import { TransactionStatus } from './codes.js';
import { Level, levelNames, levels, windowNames } from './limit-names.js';
import { Outcome } from './outcome.js';
import type { Policy } from './question.js';
import { amountMinorMax } from './request.js';
import { compileRules, type Limits, unlimited } from './rules.js';
import { dayOfCivil } from './window.js';

/** A history is a seed and a length: shrinking cuts its end off. */
const history = fc.tuple(fc.integer(), fc.integer({ min: 1, max: 250 }));
const policies: fc.Arbitrary<Policy> = fc.boolean().map((refundRestoresWindows) => ({
  ...policyDefault,
  refundRestoresWindows,
}));

/** Limits in force, by the same keys as spend. */
class LimitsInForce {
  readonly #limits = new Map<string, Limits | null>();
  see(step: Step): void {
    if (step.kind === 'account' || step.kind === 'user' || step.kind === 'card') {
      this.#limits.set(`${step.kind} ${step.config.number}`, step.config.limits ?? null);
    }
  }
  of(level: string, number: number): Limits | null {
    return this.#limits.get(`${level} ${number}`) ?? null;
  }
}

function configure(target: World | Model, step: Step): boolean {
  if (step.kind === 'account') target.setAccount(step.config);
  else if (step.kind === 'user') target.setUser(step.config);
  else if (step.kind === 'card') target.setCard(step.config);
  else return false;
  return true;
}

/** Everything that the books say, as text. */
function dump(world: World, ids: readonly string[], day: number): string {
  const { accounts, transactions } = world.books;
  const lines: unknown[] = [];
  for (const number of accountNumbers) {
    const slot = accounts.find(number);
    lines.push([accounts.available(slot), accounts.held(slot), accounts.posted(slot), accounts.funds(slot)]);
  }
  for (const id of ids) {
    const slot = world.transaction(id);
    if (slot < 0) continue;
    lines.push([
      id,
      transactions.status(slot),
      transactions.held(slot),
      transactions.posted(slot),
      transactions.newestAmount(slot),
    ]);
  }
  for (const level of levels) {
    for (const number of [...accountNumbers, ...userNumbers, ...cardNumbers]) {
      for (const currency of ['USD', 'EUR']) {
        lines.push(windowNames.map((_, window) => world.spent(level, number, currency, window, day)));
      }
    }
  }
  return JSON.stringify(lines);
}

t.test('the laws of the books hold after every message of any history', async () => {
  fc.assert(
    fc.property(history, policies, ([seed, length], policy) => {
      const generator = new Generator(seed);
      const world = new World(policy);
      const limits = new LimitsInForce();
      const ids = new Set<string>();
      for (const step of generator.setup()) {
        configure(world, step);
        limits.see(step);
      }
      const funds = accountNumbers.map((number) => world.books.accounts.funds(world.books.accounts.find(number)));
      for (let index = 0; index < length; index++) {
        const step = generator.next();
        world.nowMs = generator.nowMs;
        limits.see(step);
        if (configure(world, step)) continue;
        if (step.kind === 'expire') world.expire(step.id);
        else if (step.kind === 'revoke') world.revoke(step.id);
        else if (step.kind === 'message' && isCommand(step.message)) {
          const { approved } = world.send(step.message);
          const index = accountNumbers.findIndex((number) => accountName(number) === step.message.card);
          if (approved) funds[index]! += step.message.type === 'deposit' ? step.message.amount! : -step.message.amount!;
          const { heldDelta, postedDelta, spendAmountDelta, opensTransaction } = world.outcome;
          check(
            ![heldDelta, postedDelta, spendAmountDelta].some(Boolean) && !opensTransaction,
            'a command moves funds only',
          );
        } else if (step.kind === 'message') {
          ids.add(step.message.id);
          // A tombstone has the name of a message that has not come yet.
          if (step.message.original !== undefined) ids.add(step.message.original);
          const answer = world.send(step.message);
          const { account } = world.question.card ?? { account: -1 };
          const spends = step.message.type === 'authorization' || step.message.type === 'incremental';
          if (answer.approved && spends) {
            check(world.books.accounts.available(account) >= 0, 'an approval took available below zero');
            checkLimits(world, limits, step.message);
          }
          if (!answer.approved) {
            const { heldDelta, postedDelta, fundsDelta, spendAmountDelta, spendCountDelta } = world.outcome;
            check(
              ![heldDelta, postedDelta, fundsDelta, spendAmountDelta, spendCountDelta].some(Boolean),
              'a decline moved',
            );
          }
        }
        checkBooks(world, ids, funds);
      }
    }),
    runs(60),
  );
});

function checkBooks(world: World, ids: ReadonlySet<string>, funds: readonly number[]): void {
  const { accounts, transactions } = world.books;
  for (const [index, number] of accountNumbers.entries()) {
    const slot = accounts.find(number);
    const ours = [...ids]
      .map((id) => world.transaction(id))
      .filter((transaction) => transaction >= 0 && transactions.account(transaction) === number);
    const held = ours.reduce((sum, transaction) => sum + transactions.held(transaction), 0);
    const posted = ours.reduce((sum, transaction) => sum + transactions.posted(transaction), 0);
    check(accounts.funds(slot) === funds[index], 'commands move funds, and nothing else does');
    check(
      accounts.funds(slot) === accounts.available(slot) + accounts.held(slot) + accounts.posted(slot),
      'funds are available + held + posted',
    );
    check(accounts.held(slot) === held, 'held is the sum of the open holds');
    check(accounts.posted(slot) === posted, 'posted is the sum of what was cleared less what was refunded');
    for (const transaction of ours) {
      const isOpen = transactions.status(transaction) === TransactionStatus.open;
      check(isOpen || transactions.held(transaction) === 0, 'only an open transaction holds');
    }
  }
}

/** What an approval was asked to bring its authorization to: what it holds, and what was cleared, refunded or not. */
function wholeOf({ outcome, question, books: { transactions } }: World, { amount }: Message): number {
  if (outcome.opensTransaction) return amount!;
  const slot = question.transaction;
  return (
    transactions.held(slot) +
    transactions.posted(slot) +
    transactions.refunded(slot) +
    amount! -
    outcome.approvedAmountMinor
  );
}

/** After an approval no limit that was in force is exceeded, at any level, in any window. */
function checkLimits(world: World, limits: LimitsInForce, message: Message): void {
  const { card } = world.question;
  const whole = wholeOf(world, message);
  const { accounts, users } = world.books;
  const account = accounts.number(card!.account);
  const day = accounts.zone(card!.account).dayOf(world.nowMs);
  const numbers = [card!.spendNumber, users.number(card!.user), account];
  for (const level of levels) {
    const owner = level === Level.card ? card!.number : numbers[level]!;
    const rules = compileRules(limits.of(levelNames[level], owner));
    if (rules === null) continue;
    check(
      Math.max(whole, message.amount!) <= rules.perAuthorization,
      `${levelNames[level]}.perAuthorization is exceeded`,
    );
    for (const [window, name] of windowNames.entries()) {
      const spent = world.spent(level, numbers[level]!, currencyOf(account), window, day);
      const isCounted = world.outcome.spendCountDelta > 0;
      check(spent.amount <= rules.amounts[window]!, `${levelNames[level]}.${name}.amount is exceeded`);
      check(!isCounted || spent.count <= rules.counts[window]!, `${levelNames[level]}.${name}.count is exceeded`);
      check(rules.amounts[window]! <= unlimited, 'a limit is a number');
    }
  }
}

t.test('decide returns the same decision twice and leaves the books unchanged', async () => {
  fc.assert(
    fc.property(history, ([seed, length]) => {
      const generator = new Generator(seed);
      const world = new World();
      const ids: string[] = [];
      for (const step of generator.setup()) configure(world, step);
      for (let index = 0; index < length; index++) {
        const step = generator.next();
        world.nowMs = generator.nowMs;
        if (configure(world, step)) continue;
        if (step.kind === 'expire') world.expire(step.id);
        if (step.kind !== 'message') continue;
        ids.push(step.message.id);
        // Every tenth message is looked at from all sides: a dump reads all books.
        if (index % 10 === 0) {
          const day = dayOfCivil(2026, 1, 1);
          const before = dump(world, ids, day);
          world.decide(step.message);
          const first = JSON.stringify(Object.assign(new Outcome(), world.outcome));
          world.decide(step.message);
          check(JSON.stringify(world.outcome) === first, 'two decisions of one question differ');
          check(dump(world, ids, day) === before, 'a decision changed the books');
        }
        world.send(step.message);
      }
    }),
    runs(30),
  );
});

t.test('every answer, balance, hold and window equals what a simple model computes', async () => {
  fc.assert(
    fc.property(history, policies, ([seed, length], policy) => {
      const generator = new Generator(seed);
      const world = new World(policy);
      const model = new Model(policy);
      for (const step of generator.setup()) {
        configure(world, step);
        configure(model, step);
      }
      for (let index = 0; index < length; index++) {
        const step = generator.next();
        world.nowMs = generator.nowMs;
        if (configure(world, step)) configure(model, step);
        else if (step.kind === 'expire') {
          const released = model.expire(step.id, generator.nowMs);
          const answer = world.expire(step.id);
          compare(`expiry of ${step.id}`, answer?.approvedAmount ?? null, released === null ? null : Number(released));
        } else if (step.kind === 'revoke') {
          compare(`revoke ${step.id}`, world.revoke(step.id), model.revoke(step.id));
        } else if (step.kind === 'message') {
          const answer = world.send(step.message);
          compare(JSON.stringify(step.message), answer, model.send(step.message, generator.nowMs));
        }
        auditAccounts(world.books, model, `after step ${index}`);
      }
      auditTransactions((id) => transactionInMemory(world.books, id), model);
      auditWindows(world.books, model, generator.nowMs);
    }),
    runs(120),
  );
});

t.test('windows stay exact through any series of purchases and refunds', async () => {
  const message = fc.record({
    type: fc.constantFrom('clearing', 'clearing', 'refund', 'refund', 'authorization', 'advice', 'reversal' as const),
    amount: fc.integer({ min: amountMinorMax - 9, max: amountMinorMax }),
    follows: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(message, { minLength: 200, maxLength: 500 }), (messages) => {
      const world = World.withCard(0);
      const { outcome } = world;
      let exact = 0n;
      let opened: string | undefined;
      const add = (delta: number) => {
        exact = exact + BigInt(delta) < 0n ? 0n : exact + BigInt(delta);
      };
      for (const [index, { type, amount, follows }] of messages.entries()) {
        const id = `m${index}`;
        const original = (follows || type === 'reversal') && type !== 'authorization' ? opened : undefined;
        world.send({ id, type, card: 'C', amount, ...(original === undefined ? {} : { original }) });
        if (outcome.approved && outcome.opensTransaction) opened = id;
        add(outcome.olderSpendAmountDelta);
        add(outcome.spendAmountDelta);
        const day = Math.floor(world.nowMs / dayMs);
        for (const level of levels) {
          for (const window of windowNames.keys()) {
            if (BigInt(world.spent(level, 1, 'USD', window, day).amount) !== exact) return false;
          }
        }
      }
      return true;
    }),
    runs(20),
  );
});
