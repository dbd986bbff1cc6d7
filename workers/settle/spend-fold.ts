/**
 * What a stretch spends: summed per entity as long as the local day stays the same; a change of day starts the entity's
 * next round. Purchases of cards that are not virtual are counted per card, up to a revocation, which starts the next.
 */
import { type Level, levels } from '../../engine/core/limit-names.js';
import type { RecordView } from '../../engine/core/record-view.js';
import { cellOf } from '../../engine/core/rolling.js';
import { storedLevel } from '../../engine/core/spend-key.js';
import { ArrayColumns } from './array-columns.js';
import { roundEnds, roundsMax } from './rounds.js';
import { RowArray } from './row-array.js';

/** Successive additions to one entity's windows on one day: value → max(floor, value + sum), for amount and count. */
interface SpendRun {
  readonly level: Level;
  readonly entity: number;
  readonly day: number;
  amount: number;
  amountFloor: number;
  count: number;
  countFloor: number;
}

interface SpendEntity {
  rounds: number;
  run: SpendRun;
}

export class SpendFold {
  readonly #rounds: SpendRun[][] = [];
  readonly #entities = new Map<number, SpendEntity>();

  fits(record: RecordView): boolean {
    for (const level of levels) {
      // One record adds on two days at most.
      const entity = this.#entities.get(keyOf(level, record.spendNumber(level)));
      if (entity !== undefined && entity.rounds + 2 > roundsMax) return false;
    }
    return true;
  }

  add(record: RecordView): void {
    const { spendAmountDelta: amount, spendCountDelta: count } = record;
    const { olderSpendAmountDelta: olderAmount, olderSpendCountDelta: olderCount } = record;
    const hasNewer = amount !== 0 || count !== 0;
    const hasOlder = olderAmount !== 0 || olderCount !== 0;
    if (!hasNewer && !hasOlder) return;
    for (const level of levels) {
      const number = record.spendNumber(level);
      if (number === 0) continue;
      // In the engine's order (applyOutcome).
      if (hasOlder) this.#addRun(level, number, record.olderSpendDay, olderAmount, olderCount);
      if (hasNewer) this.#addRun(level, number, record.spendDay, amount, count);
    }
  }

  #addRun(level: Level, number: number, day: number, amount: number, count: number): void {
    const key = keyOf(level, number);
    const entity = this.#entities.get(key);
    if (entity !== undefined && entity.run.day === day) {
      const run = entity.run;
      run.amount += amount;
      run.amountFloor = Math.max(0, run.amountFloor + amount);
      run.count += count;
      run.countFloor = Math.max(0, run.countFloor + count);
      return;
    }
    // The floor of a single addition is zero: sums never go below it.
    const run: SpendRun = { level, entity: number, day, amount, amountFloor: 0, count, countFloor: 0 };
    const round = entity?.rounds ?? 0;
    if (entity === undefined) this.#entities.set(key, { rounds: 1, run });
    else {
      entity.rounds++;
      entity.run = run;
    }
    const runs = this.#rounds[round];
    if (runs === undefined) this.#rounds.push([run]);
    else runs.push(run);
  }

  /** Where each round ends, and the rows, of type settle_window. */
  rows(): string[] {
    const rows = new RowArray();
    for (const runs of this.#rounds)
      runs.sort((left, right) => storedLevel(left.level) - storedLevel(right.level) || left.entity - right.entity);
    for (const run of this.#rounds.flat()) {
      rows
        .add(storedLevel(run.level))
        .add(run.entity)
        .add(run.day)
        .add(run.amount)
        .add(run.amountFloor)
        .add(run.count)
        .add(run.countFloor)
        .endRow();
    }
    return [roundEnds(this.#rounds), rows.literal()];
  }
}

function keyOf(level: Level, number: number): number {
  return number * 4 + level;
}

/** Purchases of one card: one or more, of which the first has the merchant; or one that is revoked. */
interface UseRun {
  readonly card: number;
  readonly round: number;
  delta: number;
  merchant: string;
}

/** Element types of the arrays that UseFold.columns() returns. */
export const useTypes = ['integer', 'bigint', 'integer', 'text'];

export class UseFold {
  readonly #uses: UseRun[] = [];
  /** Card → its newest run. */
  readonly #newest = new Map<number, UseRun>();

  add(record: RecordView, text: (start: number, end: number) => string): void {
    const delta = record.useDelta;
    if (delta === 0) return;
    const card = record.cardSpend;
    const merchant = text(record.originalEnd, record.merchantIdEnd);
    const newest = this.#newest.get(card);
    if (newest !== undefined && newest.delta > 0 && delta > 0) {
      newest.delta += delta;
      newest.merchant ||= merchant;
      return;
    }
    const run = { card, round: newest === undefined ? 1 : newest.round + 1, delta, merchant };
    this.#uses.push(run);
    this.#newest.set(card, run);
  }

  /** Columns of settle_uses(); null: no record counts as a purchase of a card that is not virtual. */
  columns(): string[] | null {
    if (this.#uses.length === 0) return null;
    const columns = new ArrayColumns(useTypes.length);
    for (const { round, card, delta, merchant } of this.#uses) {
      columns.add(round).add(card).add(delta).addText(merchant).endRow();
    }
    return columns.literals();
  }
}

/** Element types of the arrays that RollingFold.columns() returns. */
export const rollingTypes = ['smallint', 'bigint', 'integer', 'bigint', 'bigint', 'integer'];

/** What rolling windows count, in journal order: there is none for most entities. */
export class RollingFold {
  readonly #columns = new ArrayColumns(rollingTypes.length);
  #isEmpty = true;

  add(record: RecordView): void {
    const { rollingLevels } = record;
    if (rollingLevels === 0) return;
    const cell = cellOf(record.arrivalMs);
    for (const level of levels) {
      if ((rollingLevels & (1 << level)) === 0) continue;
      const { olderSpendDay, olderSpendAmountDelta, olderSpendCountDelta } = record;
      this.#add(record, level, olderSpendDay, cell, olderSpendAmountDelta, olderSpendCountDelta);
      this.#add(record, level, record.spendDay, cell, record.spendAmountDelta, record.spendCountDelta);
    }
  }

  #add(record: RecordView, level: Level, day: number, cell: number, amount: number, count: number): void {
    if (amount === 0 && count === 0) return;
    this.#isEmpty = false;
    const number = record.spendNumber(level);
    this.#columns.add(storedLevel(level)).add(number).add(day).add(cell).add(amount).add(count).endRow();
  }

  /** Columns of settle_rolling(); null: nothing counts. */
  columns(): string[] | null {
    return this.#isEmpty ? null : this.#columns.literals();
  }
}
