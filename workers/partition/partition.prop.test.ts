import fc from 'fast-check';
import t from 'tap';
import { packLetters } from '../../engine/core/codes.js';
import { levelNames, levels, windowNames } from '../../engine/core/limit-names.js';
import { zoneNamed } from '../../engine/core/window.js';
import { EntryStatus } from '../../engine/exchange/slab.js';
import {
  auditAccounts,
  auditPurchases,
  auditTransactions,
  auditWindows,
  check,
  compare,
} from '../../engine/testing/audit.js';
import {
  accountNumbers,
  accountOfCard,
  cardNumbers,
  currencyOf,
  Generator,
  lineOfCard,
  purses,
  Random,
  type Step,
} from '../../engine/testing/generator.js';
import { isFact, Model, type ModelAnswer } from '../../engine/testing/model.js';
import { runs } from '../../engine/testing/runs.js';
import { isCommand, keyOf, type Message, policyDefault, spendNumber } from '../../engine/testing/world.js';
import { asSent, type Handled, PartitionHost } from '../testing/test-partition.js';
import { Withdrawals } from '../testing/withdrawals.js';

/** What the auditor remembers beside the model: first answers, byte for byte. */
class Auditor {
  readonly model = new Model(policyDefault);
  readonly #bodies = new Map<string, string>();
  readonly #revoked = new Set<string>();
  /** Of messages of other engines, where no other message has received their answer. */
  readonly #marks = new Map<string, number>();
  /** How often each thing happened, so that a test can tell that it did. */
  readonly seen = {
    ...{ repeats: 0, conflicts: 0, revoked: 0, decidedAgain: 0, tooLate: 0, expired: 0, approved: 0 },
    ...{ withdrawn: 0, leftAlone: 0 },
    ...{ deposits: 0, withdrawals: 0, commandRepeats: 0, unknownAccounts: 0, sharedIds: 0 },
  };

  take(handled: Handled): void {
    const { step, arrivalMs, status, wasTooLate } = handled;
    switch (step.kind) {
      case 'account':
        this.model.setAccount(step.config);
        break;
      case 'user':
        this.model.setUser(step.config);
        break;
      case 'card':
        this.model.setCard(step.config);
        break;
      case 'expire':
        if (this.model.expire(step.id, arrivalMs) !== null) this.seen.expired++;
        break;
      case 'revoke':
        this.#revoke(step.id, status, EntryStatus.revoked);
        break;
      case 'withdraw':
        this.#withdraw(asSent(step.message), status, step.mark!);
        break;
      default:
        // Refused: nothing was decided.
        if (status === EntryStatus.noRoom) break;
        if (isCommand(step.message)) {
          this.#command(asSent(step.message), handled);
          break;
        }
        if (status === EntryStatus.unavailable && wasTooLate) this.seen.tooLate++;
        // The form can refuse: then nothing was decided and the id stays free.
        if (status === EntryStatus.decided) this.#message(asSent(step.message), handled);
    }
  }

  /** Whether an approval is withdrawn is the engine's choice, but for those that a client may count on. */
  #withdraw(message: Message, status: number, mark: number): void {
    const key = keyOf(message);
    if (status !== EntryStatus.withdrawn) {
      check(status === EntryStatus.none || status === EntryStatus.unavailable, `withdrawal: ${status}`);
      this.seen.leftAlone++;
      return;
    }
    compare(`the mark of ${key}`, this.#marks.get(key), mark);
    compare(`the message that is withdrawn`, message, this.model.answers.get(key)?.message);
    this.#revoke(key, status, EntryStatus.withdrawn);
    this.seen.withdrawn++;
  }

  /** The worker does not know which answers were received before it. */
  restarted(): void {
    this.#marks.clear();
  }

  #revoke(id: string, status: number, expected: number): void {
    check(this.model.revoke(id) !== null, `the engine revoked ${id}, which was not approved`);
    compare(`revoke ${id}`, status, expected);
    // It was never answered: the same id is asked again.
    this.#bodies.delete(id);
    this.#revoked.add(id);
    this.seen.revoked++;
  }

  #command(message: Message, { body, status, isRepeat, isRevocable }: Handled): void {
    const key = keyOf(message);
    const isKnown = this.model.answers.has(key);
    check(!isRevocable, 'a command is never revoked');
    if (status === EntryStatus.unknownAccount) {
      check(!isKnown && this.model.accountNamed(message.card) === undefined, `${message.card} is an account`);
      this.seen.unknownAccounts++;
      return;
    }
    const expected = this.model.send(message, 0);
    if (expected.reason === 'duplicate_conflict') {
      check(isKnown, `${key} is no duplicate`);
      compare(`conflict about ${key}`, [status, JSON.parse(body).reason], [EntryStatus.decided, 'duplicate_conflict']);
      this.seen.conflicts++;
      return;
    }
    compare(`repeat of ${key}`, isRepeat, isKnown);
    if (isKnown) {
      compare(`the answer to ${key}, again`, body, this.#bodies.get(key));
      this.seen.commandRepeats++;
      return;
    }
    this.#bodies.set(key, body);
    if (this.model.answers.has(message.id)) this.seen.sharedIds++;
    if (expected.approved) this.seen[message.type === 'deposit' ? 'deposits' : 'withdrawals']++;
    const { number, currency } = this.model.accountNamed(message.card)!;
    const books = [this.model.funds(number), this.model.available(number), this.model.held(number)].map(Number);
    const [funds, available, held] = books as [number, number, number];
    const account = { id: message.card, currency, funds, available, held, posted: Number(this.model.posted(number)) };
    const { approved, reason, amount } = expected;
    compare(JSON.stringify(message), JSON.parse(body), { id: message.id, approved, reason, amount, account });
  }

  #message(message: Message, handled: Handled): void {
    const { body, status, isRepeat, arrivalMs, wasTooLate, step } = handled;
    const { mark } = step;
    const isKnown = this.model.answers.has(message.id);
    const expected = this.model.send(message, arrivalMs, wasTooLate);
    if (expected.reason === 'duplicate_conflict') {
      compare(
        `conflict about ${message.id}`,
        [status, JSON.parse(body).reason],
        [EntryStatus.decided, 'duplicate_conflict'],
      );
      // Another question's id, or one that was revoked and whose transaction goes on as something else.
      check(isKnown || this.#revoked.delete(message.id), `${message.id} is no duplicate`);
      if (!isKnown) this.#bodies.set(message.id, body);
      this.seen.conflicts++;
      return;
    }
    compare(`${JSON.stringify(message)}`, answerOf(body), expected);
    compare(`repeat of ${message.id}`, isRepeat, isKnown);
    if (isKnown) {
      compare(`the answer to ${message.id}, again`, body, this.#bodies.get(message.id));
      if (this.#marks.get(message.id) !== mark) this.#marks.delete(message.id);
      this.seen.repeats++;
      return;
    }
    this.#bodies.set(message.id, body);
    this.#marks.delete(message.id);
    if (mark !== undefined) this.#marks.set(message.id, mark);
    if (expected.approved) this.seen.approved++;
    if (this.#revoked.delete(message.id)) this.seen.decidedAgain++;
    check(!wasTooLate || isFact(message), `${message.id} was decided although it was too late`);
    const { transaction } = this.model.answers.get(message.id)!;
    if (transaction !== null) {
      compare(`authorizationId of ${message.id}`, JSON.parse(body).authorizationId, transaction.id);
    }
  }

  /** Everything that was ever answered is answered the same again. */
  allAgain(host: PartitionHost, nowMs: number): void {
    for (const [id, { message }] of this.model.answers) {
      const [handled] = host.run([{ kind: 'again', message }], nowMs, false);
      compare(`the answer to ${id} at last`, handled!.body, this.#bodies.get(id));
    }
  }

  books(host: PartitionHost, when: string): void {
    auditAccounts(host.partition.books, this.model, when);
  }

  allBooks(host: PartitionHost, nowMs: number): void {
    this.books(host, 'at the end');
    auditTransactions((id) => host.transaction(id), this.model);
    auditWindows(host.partition.books, this.model, nowMs);
  }
}

function answerOf(body: string): ModelAnswer {
  const answer = JSON.parse(body) as Partial<ModelAnswer>;
  return {
    approved: answer.approved!,
    reason: answer.reason!,
    detail: answer.detail ?? '',
    responseCode: answer.responseCode!,
    amount: answer.amount!,
    approvedAmount: answer.approvedAmount!,
    available: answer.available!,
  };
}

/** Runs `length` steps of seeded traffic in slabs of any size, with power cuts in between. */
function runHistory(seed: number, length: number): Auditor {
  const generator = new Generator(seed, { repeats: true, overtakes: true, startMs: Date.UTC(2026, 2, 27, 20) });
  const { random } = generator;
  const disk = new Random(seed);
  // In half of the histories the disk is behind: repeats are answered from frames on their way to it.
  const host = new PartitionHost(policyDefault, 1024, seed % 2 === 0 ? null : () => disk.below(3));
  const auditor = new Auditor();
  const withdrawals = new Withdrawals(seed + 2);
  for (const handled of host.run(generator.setup(), generator.nowMs, false)) auditor.take(handled);
  for (let done = 0; done < length; ) {
    const steps: Step[] = [];
    for (let size = 1 + random.below(12); size > 0 && done < length; size--, done++) steps.push(generator.next());
    const all = withdrawals.among(steps);
    for (const handled of host.run(all, generator.nowMs, random.chance(0.05))) auditor.take(handled);
    auditor.books(host, `after step ${done}`);
    if (random.chance(0.1)) {
      host.restart();
      auditor.restarted();
      auditor.allBooks(host, generator.nowMs);
    }
  }
  auditor.allBooks(host, generator.nowMs);
  host.restart();
  auditor.allAgain(host, generator.nowMs);
  auditor.allBooks(host, generator.nowMs);
  return auditor;
}

/** The same with room for a handful of transactions, which come and go between memory and the books. */
function runCramped(seed: number, length: number, transactions: number): void {
  const generator = new Generator(seed, { repeats: true, overtakes: false, startMs: Date.UTC(2026, 2, 27, 20) });
  const { random } = generator;
  const host = new PartitionHost(policyDefault, transactions);
  const auditor = new Auditor();
  for (const handled of host.run(generator.setup(), generator.nowMs, false)) auditor.take(handled);
  for (let done = 0; done < length; ) {
    const steps: Step[] = [];
    for (let size = 1 + random.below(6); size > 0 && done < length; size--, done++) {
      const step = generator.next();
      // What a full store refused is not sent again: a tombstone of it may have had to leave.
      if (step.kind !== 'again' || auditor.model.answers.has(step.message.id)) steps.push(step);
    }
    for (const handled of host.run(steps, generator.nowMs, false)) auditor.take(handled);
    auditor.books(host, `after step ${done}`);
    if (random.chance(0.5)) host.settle();
  }
  auditor.allBooks(host, generator.nowMs);
}

interface Room {
  readonly accounts: number;
  readonly users: number;
  readonly cards: number;
  readonly spendRows: number;
  readonly transactions: number;
}

/** The same with less memory than one account's customers need: rows come and go, lookups end late, power fails. */
function runTight(seed: number, length: number, room: Room, withdraws = false) {
  const generator = new Generator(seed, { repeats: true, overtakes: false, startMs: Date.UTC(2026, 2, 27, 20) });
  const { random } = generator;
  const late = new Random(seed + 1);
  const withdrawals = new Withdrawals(seed + 2);
  let isAlone = false;
  const isDelayed = () => !isAlone && late.chance(0.3);
  const host = new PartitionHost(policyDefault, room.transactions, null, { ...room, isDelayed });
  const auditor = new Auditor();
  const zones = new Map<number, string>();
  const take = (handled: readonly Handled[]) => {
    for (const one of handled) {
      if (one.step.kind === 'account') zones.set(one.step.config.number, one.step.config.timeZone ?? 'UTC');
      auditor.take(one);
    }
  };
  const audit = (when: string) => {
    const { model } = auditor;
    for (const number of accountNumbers) {
      const { available, held, posted, funds } = host.account(number);
      const expected = [model.available(number), model.held(number), model.posted(number), model.funds(number)];
      compare(`account ${number} ${when}`, [available, held, posted, funds], expected.map(Number));
    }
  };
  let refused = 0;
  let decidedAlone = 0;
  take(host.run(generator.setup(), generator.nowMs, false));
  for (let done = 0; done < length; ) {
    let steps: Step[] = [];
    const run = () => {
      const all = withdraws ? withdrawals.among(steps) : steps;
      const handled = host.run(all, generator.nowMs, false);
      refused += handled.filter(({ status }) => status === EntryStatus.noRoom).length;
      take(handled);
      steps = [];
    };
    for (let size = 1 + random.below(6); size > 0 && done < length; size--, done++) {
      const step = generator.next();
      // What waits for a lookup is overtaken by what does not: what it is the original of comes in a later slab.
      const { original } = step.kind === 'message' ? step.message : {};
      if (steps.some((before) => before.kind === 'message' && before.message.id === original)) run();
      if (step.kind !== 'again' || auditor.model.answers.has(step.message.id)) steps.push(step);
    }
    run();
    audit(`after step ${done}`);
    if (random.chance(0.4)) host.settle();
    if (random.chance(0.1)) {
      host.restart();
      auditor.restarted();
      audit(`after the power cut behind step ${done}`);
    }
    if (random.chance(0.3)) {
      // Once the books have everything, there is room for any message that comes alone.
      host.settleFinally();
      const step = generator.next();
      if (step.kind === 'message') {
        isAlone = true;
        const [alone] = host.run([step], generator.nowMs, false);
        isAlone = false;
        check(alone!.status !== EntryStatus.noRoom, `${JSON.stringify(step.message)} found no room`);
        decidedAlone++;
        take([alone!]);
      } else if (step.kind !== 'again' || auditor.model.answers.has(step.message.id)) {
        take(host.run([step], generator.nowMs, false));
      }
      done++;
    }
  }
  audit('at the end');
  auditTransactions((id) => host.transaction(id), auditor.model);
  auditPurchases((card) => host.purchases(card), auditor.model);
  const owners = [
    cardNumbers.map((number) => [lineOfCard(number), accountOfCard(number)] as const),
    purses,
    accountNumbers.map((number) => [number, number] as const),
  ];
  for (const level of levels) {
    for (const [number, account] of owners[level]!) {
      const currency = currencyOf(account);
      const key = spendNumber(level, number, packLetters(currency));
      const date = auditor.model.dayOf(account, generator.nowMs);
      const use = host.spent(level, key, zoneNamed(zones.get(account)!).dayOf(generator.nowMs));
      for (const [window, name] of windowNames.entries()) {
        const { amount, count } = auditor.model.spent(levelNames[level], number, currency, name, date);
        const actual = [use?.amounts[window] ?? 0, use?.counts[window] ?? 0];
        compare(`spent by ${levelNames[level]} ${number} in ${currency}, ${name}`, actual, [Number(amount), count]);
      }
    }
  }
  return { refused, decidedAlone, withdrawn: auditor.seen.withdrawn, ...host.left };
}

const history = fc.tuple(fc.integer(), fc.integer({ min: 1, max: 250 }));

t.test('a partition answers, keeps its books and returns from any power cut as the model does', async () => {
  fc.assert(
    fc.property(history, ([seed, length]) => {
      runHistory(seed, length);
    }),
    runs(30),
  );
});

t.test('transactions that leave memory and return lose nothing', async () => {
  fc.assert(
    fc.property(history, fc.integer({ min: 1, max: 20 }), ([seed, length], transactions) => {
      runCramped(seed, length, transactions);
    }),
    runs(30),
  );
});

t.test(
  'accounts, users, spend rows and cards that leave memory and return lose nothing, and late rows add nothing',
  async () => {
    const room = fc.record({
      accounts: fc.integer({ min: 1, max: 3 }),
      // Two users may have a part in one message: its card's and its transaction's. An engine has room for both.
      users: fc.integer({ min: 2, max: 4 }),
      cards: fc.integer({ min: 1, max: 7 }),
      spendRows: fc.integer({ min: 10, max: 16 }),
      transactions: fc.integer({ min: 2, max: 40 }),
    });
    fc.assert(
      fc.property(history, room, fc.boolean(), ([seed, length], room, withdraws) => {
        runTight(seed, length, room, withdraws);
      }),
      runs(60),
    );
  },
);

t.test('a tombstone that left memory closes the id of a revoked follow-up', async () => {
  // Found by the property above: the engine did not look the name up and declined with original_not_found.
  runCramped(6, 89, 2);
  runTight(1_701_622_877, 138, { accounts: 2, users: 1, cards: 1, spendRows: 10, transactions: 6 });
});

t.test('a tombstone that left memory is found although its authorization was declined since', async () => {
  // Found by the property above: a second reversal was declined with original_not_found, and in memory it is approved.
  runTight(-1_401_967_495, 92, { accounts: 1, users: 2, cards: 1, spendRows: 10, transactions: 4 });
});

t.test('a follow-up without its original finds room for its own spend rows', async () => {
  // Found by the property above: room was made for the rows of the transaction that it named.
  runTight(-13, 59, { accounts: 1, users: 1, cards: 1, spendRows: 10, transactions: 2 });
  // And not for more rows than it can need: otherwise what is needed makes way for them.
  runTight(223_058_381, 121, { accounts: 2, users: 1, cards: 1, spendRows: 12, transactions: 3 });
});

t.test('an approval whose spend rows have left memory is not withdrawn', async () => {
  // Found by the property above, without the look at those rows.
  runTight(630_641_137, 10, { accounts: 3, users: 2, cards: 1, spendRows: 10, transactions: 5 }, true);
});

t.test('a start with more transactions than fit fails with that reason, and a larger memory loads all', async () => {
  runTight(1_452_769_873, 42, { accounts: 2, users: 2, cards: 1, spendRows: 10, transactions: 4 });
});

t.test('in small memory every kind of row is evicted, and outdated rows are refused', async (t) => {
  const seen = runTight(7, 1500, { accounts: 2, users: 2, cards: 3, spendRows: 8, transactions: 20 }, true);
  for (const [what, count] of Object.entries(seen)) t.ok(count > 0, `${what}: ${count}`);
});

t.test('the generated traffic contains every kind of event', async (t) => {
  const histories = Array.from({ length: 12 }, (_, index) => runHistory(index + 1, 200).seen);
  for (const what of Object.keys(histories[0]!) as (keyof Auditor['seen'])[]) {
    const count = histories.reduce((total, seen) => total + seen[what], 0);
    t.ok(count > 0, `${what}: ${count}`);
  }
});
