/**
 * What an entity has spent in the last hours or days: a rolling window, beside the calendar ones. Time is counted in
 * cells: ten minutes each for windows up to a day, six hours each for longer ones. A cell counts until its end has left
 * the window, so a window counts up to one cell more than its hours, and never less.
 *
 * What is given back is taken from the earliest cells of the local day on which it was spent. So the cells that stay
 * longest in a window keep most. On the day on which counting began, what is given back may have been spent before, so
 * it is not taken off at all.
 */

const fineMs = 600_000;
/** Fine cells in a coarse one. */
export const coarseCells = 36;
const coarseMs = fineMs * coarseCells;
const hourMs = 3_600_000;
export const rollingHoursMin = 1;
/** 90 days. */
export const rollingHoursMax = 2160;
/** Longest window that is counted in fine cells. */
const fineHoursMax = 24;
/** Of a card, user or account: a record keeps what each had, and has a bound. */
export const rollingMax = 2;

/** [cell, local day of the spending, amount in minor units, authorizations] */
export type CellRow = readonly [cell: number, day: number, amount: number, count: number];

/** As Postgres has it. */
export interface RollingRow {
  /** Local day on which counting began. */
  readonly since: number;
  readonly fine: readonly CellRow[];
  readonly coarse: readonly CellRow[];
}

/** The fine cell that an instant falls into. */
export function cellOf(atMs: number): number {
  return Math.floor(atMs / fineMs);
}

interface Cell {
  readonly cell: number;
  readonly day: number;
  amount: number;
  count: number;
}

/** Cells of one width, the earliest first. */
class Cells {
  readonly #widthMs: number;
  readonly #keptMs: number;
  readonly #cells: Cell[];

  constructor(widthMs: number, keptMs: number, rows: readonly CellRow[] = []) {
    this.#widthMs = widthMs;
    this.#keptMs = keptMs;
    this.#cells = rows.map(([cell, day, amount, count]) => ({ cell, day, amount, count }));
  }

  add(cell: number, day: number, amount: number, count: number): void {
    const cells = this.#cells;
    let at = cells.length;
    while (at > 0 && isBehind(cells[at - 1]!, cell, day)) at--;
    const found = cells[at - 1];
    if (found !== undefined && found.cell === cell && found.day === day) {
      found.amount += amount;
      found.count += count;
      return;
    }
    cells.splice(at, 0, { cell, day, amount, count });
    this.#prune((cells.at(-1)!.cell + 1) * this.#widthMs - this.#keptMs - this.#widthMs);
  }

  /**
   * Drops what no window counts any more. Of a day that some cell in a window has, the rest stays as one cell: what is
   * given back of that day is taken from it first.
   */
  #prune(afterMs: number): void {
    const cells = this.#cells;
    const isOut = ({ cell }: Cell): boolean => (cell + 1) * this.#widthMs <= afterMs;
    let [drop, at] = [0, 0];
    for (; at + 1 < cells.length && isOut(cells[at]!); at++) {
      const [one, next] = [cells[at]!, cells[at + 1]!];
      if (next.day !== one.day) drop = at + 1;
      else if (isOut(next)) {
        next.amount += one.amount;
        next.count += one.count;
        drop = at + 1;
      }
    }
    if (drop > 0) cells.splice(0, drop);
  }

  giveBack(day: number, amount: number, count: number): void {
    let [amountLeft, countLeft] = [amount, count];
    for (const one of this.#cells) {
      if (one.day !== day) continue;
      const taken = Math.min(one.amount, amountLeft);
      const counted = Math.min(one.count, countLeft);
      one.amount -= taken;
      one.count -= counted;
      amountLeft -= taken;
      countLeft -= counted;
    }
  }

  sum(what: 'amount' | 'count', afterMs: number): number {
    let sum = 0;
    for (let index = this.#cells.length - 1; index >= 0; index--) {
      const one = this.#cells[index]!;
      if ((one.cell + 1) * this.#widthMs <= afterMs) break;
      sum += one[what];
    }
    return sum;
  }

  rows(): CellRow[] {
    return this.#cells.map(({ cell, day, amount, count }) => [cell, day, amount, count]);
  }
}

function isBehind(one: Cell, cell: number, day: number): boolean {
  return one.cell > cell || (one.cell === cell && one.day > day);
}

export class Rolling {
  readonly #since: number;
  readonly #fine: Cells;
  readonly #coarse: Cells;

  /** @param row what was counted before; a number: the local day on which counting begins */
  constructor(row: RollingRow | number) {
    const { since, fine, coarse } = typeof row === 'number' ? { since: row, fine: [], coarse: [] } : row;
    this.#since = since;
    this.#fine = new Cells(fineMs, fineHoursMax * hourMs, fine);
    this.#coarse = new Cells(coarseMs, rollingHoursMax * hourMs, coarse);
  }

  /**
   * Counts what a message spends or gives back.
   * @param day local day in whose windows it counts
   * @param cell of its arrival
   */
  add(day: number, cell: number, amountDelta: number, countDelta: number): void {
    const [amount, count] = [Math.max(0, amountDelta), Math.max(0, countDelta)];
    if (amount > 0 || count > 0) {
      this.#fine.add(cell, day, amount, count);
      this.#coarse.add(Math.floor(cell / coarseCells), day, amount, count);
    }
    if (day <= this.#since || (amountDelta >= 0 && countDelta >= 0)) return;
    this.#fine.giveBack(day, Math.max(0, 0 - amountDelta), Math.max(0, 0 - countDelta));
    this.#coarse.giveBack(day, Math.max(0, 0 - amountDelta), Math.max(0, 0 - countDelta));
  }

  /** Spent in the `hours` before `nowMs`, in minor units or in authorizations. */
  used(what: 'amount' | 'count', hours: number, nowMs: number): number {
    const cells = hours <= fineHoursMax ? this.#fine : this.#coarse;
    return cells.sum(what, nowMs - hours * hourMs);
  }

  row(): RollingRow {
    return { since: this.#since, fine: this.#fine.rows(), coarse: this.#coarse.rows() };
  }
}
