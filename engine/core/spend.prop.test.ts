import fc from 'fast-check';
import t from 'tap';
import { runs } from '../testing/runs.js';
import { Level, levels, windowCount } from './limit-names.js';
import { Spend } from './spend.js';

/** Says by calendar, from a Date, in which period a day lies: written apart from window.ts on purpose. */
function period(index: number, day: number): string {
  const date = new Date(day * 86_400_000);
  const monday = day - ((date.getUTCDay() + 6) % 7);
  return [`${day}`, `${monday}`, date.toISOString().slice(0, 7), `${date.getUTCFullYear()}`, ''][index]!;
}

interface Entry {
  readonly day: number;
  readonly amount: number;
  readonly count: number;
}

/** Keeps everything and adds it up. */
class ObviousSpend {
  readonly #entries: Entry[] = [];
  add(entry: Entry): void {
    this.#entries.push(entry);
  }
  sum(index: number, day: number, what: 'amount' | 'count'): number {
    return this.#entries
      .filter((entry) => period(index, entry.day) === period(index, day))
      .reduce((sum, entry) => sum + entry[what], 0);
  }
  /** What a day has spent that was not given back. */
  ofDay(day: number): Entry {
    return { day, amount: this.sum(0, day, 'amount'), count: this.sum(0, day, 'count') };
  }
  days(): number[] {
    return [...new Set(this.#entries.map((entry) => entry.day))];
  }
}

const step = fc.record({
  later: fc.oneof(fc.constantFrom(0, 0, 0, 1, 1, 2, 6, 7), fc.integer({ min: 0, max: 800 })),
  amount: fc.integer({ min: 0, max: 10_000 }),
  giveBack: fc.boolean(),
  from: fc.nat(),
  entity: fc.integer({ min: 1, max: 2 }),
  level: fc.constantFrom(...levels),
});

t.test('every window is the sum of what was spent in it and not given back', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 30_000 }), fc.array(step, { maxLength: 60 }), (start, steps) => {
      const spend = new Spend(16);
      const models = new Map<number, ObviousSpend>();
      let day = start;
      for (const { later, amount, giveBack, from, entity, level } of steps) {
        day += later;
        const key = entity * 4 + level;
        const model = models.get(key) ?? new ObviousSpend();
        models.set(key, model);
        const days = model.days();
        let entry: Entry = { day, amount, count: 1 };
        if (giveBack && days.length > 0) {
          // No more than that day has, as a transaction that remembers what it took.
          const taken = model.ofDay(days[from % days.length]!);
          entry = { day: taken.day, amount: -Math.min(amount, taken.amount), count: taken.count > 0 ? -1 : 0 };
        }
        model.add(entry);
        if (!spend.add(level, entity, entry.day, entry.amount, entry.count, 1)) return false;
        for (const [number, model] of models) {
          const slot = spend.find((number % 4) as Level, Math.floor(number / 4));
          for (let index = 0; index < windowCount; index++) {
            for (const asOf of [day, day + 1, day + 40]) {
              if (spend.amount(slot, index, asOf) !== model.sum(index, asOf, 'amount')) return false;
              if (spend.count(slot, index, asOf) !== model.sum(index, asOf, 'count')) return false;
            }
          }
        }
      }
      return true;
    }),
    runs(200),
  );
});

t.test('a window never falls below zero', async (t) => {
  const spend = new Spend(1);
  spend.add(Level.card, 1, 100, 50, 1, 1);
  spend.add(Level.card, 1, 100, -80, -2, 1);
  const slot = spend.find(Level.card, 1);
  for (let index = 0; index < windowCount; index++) {
    t.equal(spend.amount(slot, index, 100), 0);
    t.equal(spend.count(slot, index, 100), 0);
  }
});

t.test('a window that is read for a day before its newest day reports its whole sum, never too little', async (t) => {
  const spend = new Spend(1);
  spend.add(Level.card, 1, 100, 50, 1, 1);
  t.equal(spend.amount(0, 0, 99), 50);
});

t.test('reading all windows of a row equals reading each window, and its day never runs backwards', async (t) => {
  const spend = new Spend(4);
  t.equal(spend.use(Level.card, 7, 20_000), null, 'nothing is known of the card');
  spend.add(Level.card, 7, 20_000, 500, 1, 1);
  spend.add(Level.card, 7, 20_003, 40, 1, 1);
  for (const [asked, day] of [
    [20_003, 20_003],
    [19_000, 20_003],
    [20_040, 20_040],
    [20_800, 20_800],
  ] as const) {
    const slot = spend.find(Level.card, 7);
    const windows = Array.from({ length: windowCount }, (_, index) => index);
    t.same(spend.use(Level.card, 7, asked), {
      day,
      amounts: windows.map((index) => spend.amount(slot, index, day)),
      counts: windows.map((index) => spend.count(slot, index, day)),
      rolling: null,
    });
  }
  t.equal(spend.use(Level.card, 7, 20_003)!.amounts[0], 40, 'the daily window starts again');
  t.same(
    spend.use(Level.card, 7, 20_800)!.amounts,
    [0, 0, 0, 0, 540],
    'only the lifetime window remains in another year',
  );
});

t.test('a settled row is loaded once and never replaces a newer one in memory', async (t) => {
  const spend = new Spend(2);
  t.equal(spend.load(Level.user, 7, 100, [1, 2, 3, 4, 5], [1, 1, 2, 2, 3]), true);
  t.equal(spend.load(Level.user, 7, 200, [9, 9, 9, 9, 9], [9, 9, 9, 9, 9]), true);
  const slot = spend.find(Level.user, 7);
  t.same(
    [0, 1, 2, 3, 4].map((index) => [spend.amount(slot, index, 100), spend.count(slot, index, 100)]),
    [
      [1, 1],
      [2, 1],
      [3, 2],
      [4, 2],
      [5, 3],
    ],
  );
});

t.test('a full store accepts no further row', async (t) => {
  const spend = new Spend(2);
  t.equal(spend.free, 2);
  t.equal(spend.add(Level.card, 1, 1, 1, 1, 1), true);
  t.equal(spend.add(Level.user, 1, 1, 1, 1, 1), true);
  t.equal(spend.add(Level.card, 1, 1, 1, 1, 1), true);
  t.equal(spend.add(Level.account, 1, 1, 1, 1, 1), false);
  t.equal(spend.load(Level.account, 1, 1, [], []), false);
  t.equal(spend.free, 0);
});

t.test('a full store evicts settled rows even when all are in use, and never an unsettled one', async (t) => {
  const spend = new Spend(1000);
  for (let number = 1; number <= 1000; number++) spend.add(Level.card, number, 100, 5, 1, number);
  t.equal(spend.makeRoom(3, 0), false, 'no row is settled');
  t.equal(spend.makeRoom(3, 500), true);
  t.equal(spend.free, 3);
  t.equal(spend.size, 997);
  for (let number = 501; number <= 1000; number++) t.ok(spend.find(Level.card, number) >= 0);
  const left = Array.from({ length: 500 }, (_, index) => index + 1).filter(
    (number) => spend.find(Level.card, number) < 0,
  );
  t.equal(left.length, 3);
  for (const number of left) {
    t.notOk(spend.isKnown(Level.card, number), 'an evicted row must be looked up');
    t.ok(spend.isOutdated(Level.card, number, number - 1));
    t.notOk(spend.isOutdated(Level.card, number, number));
  }
});
