/**
 * Rolling windows against a model that keeps each purchase with its instant. No window lets through more than its
 * limit. Where nothing is given back, none counts more than its hours and one cell.
 */
import fc from 'fast-check';
import t from 'tap';
import { check } from '../testing/audit.js';
import { Random } from '../testing/generator.js';
import { runs } from '../testing/runs.js';
import { World } from '../testing/world.js';
import { Level } from './limit-names.js';
import { cellOf, Rolling } from './rolling.js';
import type { RollingLimit } from './rules.js';
import { Spend } from './spend.js';

const hourMs = 3_600_000;
const cellMsOf = (hours: number): number => (hours <= 24 ? 600_000 : 6 * hourMs);

/** What is spent of one authorization: each part with its instant. */
interface Purchase {
  readonly id: string;
  readonly parts: { readonly atMs: number; readonly asked: number; left: number }[];
  isOver: boolean;
}

class Model {
  readonly purchases: Purchase[] = [];

  spent(hours: number, nowMs: number): { amount: number; count: number } {
    const afterMs = nowMs - hours * hourMs;
    const counted = this.purchases.filter(({ parts, isOver }) => !isOver && parts[0]!.atMs > afterMs);
    const parts = this.purchases.flatMap((purchase) => purchase.parts).filter(({ atMs }) => atMs > afterMs);
    return { amount: parts.reduce((sum, { left }) => sum + left, 0), count: counted.length };
  }

  /** As if nothing had ever been given back. */
  asked(fromMs: number): { amount: number; count: number } {
    const parts = this.purchases.flatMap((purchase) => purchase.parts).filter(({ atMs }) => atMs >= fromMs);
    const amount = parts.reduce((sum, { asked }) => sum + asked, 0);
    return { amount, count: this.purchases.filter(({ parts: [first] }) => first!.atMs >= fromMs).length };
  }

  /** The newest part first. */
  release(purchase: Purchase, amount: number): void {
    let rest = amount;
    for (const part of purchase.parts.toReversed()) {
      const taken = Math.min(rest, part.left);
      part.left -= taken;
      rest -= taken;
    }
    if (purchase.parts.every(({ left }) => left === 0)) purchase.isOver = true;
  }
}

const limit = fc.record(
  {
    hours: fc.constantFrom(1, 2, 24, 25, 72, 720, 2160),
    amount: fc.integer({ min: 0, max: 3000 }),
    count: fc.integer({ min: 0, max: 12 }),
  },
  { requiredKeys: ['hours'] },
) as fc.Arbitrary<RollingLimit>;

function step(world: World, model: Model, random: Random, index: number, limits: readonly RollingLimit[]): void {
  const open = model.purchases.filter(({ isOver }) => !isOver);
  const purchase = open.length > 0 && random.chance(0.4) ? random.pick(open) : null;
  const amount = 1 + random.below(400);
  const id = `m${index}`;
  if (purchase !== null && random.chance(0.6)) {
    const answer = world.send({ id, type: 'reversal', card: 'C', amount, original: purchase.id });
    if (answer.approved) model.release(purchase, answer.approvedAmount);
    return;
  }
  const type = purchase === null ? 'authorization' : 'incremental';
  const before = limits.map(({ hours }) => model.spent(hours, world.nowMs));
  const most = limits.map(({ hours }) => model.asked(world.nowMs - hours * hourMs - cellMsOf(hours)));
  const answer = world.send({ id, type, card: 'C', amount, ...(purchase === null ? {} : { original: purchase.id }) });
  const counted = type === 'authorization' ? 1 : 0;
  if (answer.approved) {
    for (const [at, { amount: amountMax, count: countMax }] of limits.entries()) {
      const { amount: spent, count } = before[at]!;
      check(amountMax === undefined || spent + amount <= amountMax, `${spent} + ${amount} is more than ${amountMax}`);
      check(countMax === undefined || counted === 0 || count < countMax, `${count} + 1 is more than ${countMax}`);
    }
    const part = { atMs: world.nowMs, asked: amount, left: amount };
    if (purchase === null) model.purchases.push({ id, parts: [part], isOver: false });
    else purchase.parts.push(part);
    return;
  }
  check(answer.reason === 'limit_exceeded', `declined for ${answer.reason}`);
  const [, , at = '', what = ''] = answer.detail.split('.');
  const { amount: amountMax = 0, count: countMax = 0 } = limits[Number(at)]!;
  const { amount: asked, count } = most[Number(at)]!;
  if (what === 'amount') check(asked + amount > amountMax, `${answer.detail}: ${asked} + ${amount}, ${amountMax}`);
  else check(count + counted > countMax, `${answer.detail}: ${count} + ${counted}, ${countMax}`);
}

t.test('no rolling window lets through more than its limit, or declines what is a cell within it', async () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.array(limit, { minLength: 1, maxLength: 2 }),
      fc.constantFrom('card', 'user', 'account'),
      (seed, rolling, level) => {
        const random = new Random(seed);
        const world = new World();
        const of = (name: string) => (name === level ? { limits: { rolling } } : {});
        world.nowMs = Date.UTC(2026, 2, 27, 22);
        world.setAccount({ number: 1, currency: 'USD', funds: 10 ** 9, timeZone: 'Europe/Berlin', ...of('account') });
        world.setUser({ number: 2, ...of('user') });
        world.setCard({ token: 'C', number: 3, account: 1, user: 2, ...of('card') });
        const model = new Model();
        const stepMs = random.pick([60_000, 600_000, hourMs, 12 * hourMs]);
        for (let index = 0; index < 120; index++) {
          world.nowMs += random.below(stepMs);
          step(world, model, random, index, rolling);
        }
      },
    ),
    runs(300),
  );
});

t.test('what memory keeps of an entity has a bound, and returns from its row as it was', async (t) => {
  const rolling = new Rolling(0);
  const ten = 600_000;
  for (let cell = 0; cell < 30_000; cell++) rolling.add(Math.floor(cell / 144), cell, 1, 1);
  const row = rolling.row();
  t.ok(row.fine.length <= 150 && row.coarse.length <= 370, `${row.fine.length} and ${row.coarse.length} cells`);
  const nowMs = 30_000 * ten;
  t.equal(rolling.used('amount', 1, nowMs), 6);
  t.equal(rolling.used('count', 24, nowMs), 144);
  const again = new Rolling(row);
  for (const hours of [1, 24, 25, 2160]) {
    t.equal(again.used('amount', hours, nowMs), rolling.used('amount', hours, nowMs), `${hours} hours`);
  }
  t.ok(rolling.used('amount', 2160, nowMs) >= 12_960 && rolling.used('amount', 2160, nowMs) <= 12_996);
});

t.test('an entity that leaves memory and returns counts what it had', async (t) => {
  const spend = new Spend(1);
  const nowMs = Date.UTC(2026, 2, 27, 22);
  const day = Math.floor(nowMs / 86_400_000);
  spend.add(Level.card, 3, day, 500, 1, 7);
  spend.addRolling(Level.card, 3, day, cellOf(nowMs), 500, 1);
  const { amounts, counts, rolling } = spend.use(Level.card, 3, day)!;
  t.ok(spend.makeRoom(1, 7), 'its newest record is settled');
  t.equal(spend.rolling(Level.card, 3), null);
  t.notOk(spend.isKnown(Level.card, 3), 'so it is looked up');
  spend.add(Level.card, 4, day, 1, 1, 8);
  t.equal(spend.rolling(Level.card, 4), null, 'the entity in its place has no rolling window');
  t.ok(spend.makeRoom(1, 8));
  t.ok(spend.load(Level.card, 3, day, amounts, counts, null, rolling));
  t.equal(spend.rolling(Level.card, 3)!.used('amount', 1, nowMs), 500);
});
