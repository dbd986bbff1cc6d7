/** Rolling windows of limits as a form has them, and back. Pure, so that tests read it without a browser. */
import { amountText, minorOf } from './format.js';

export interface RollingWindow {
  readonly hours: number;
  /** Minor units. */
  readonly amount?: number;
  readonly count?: number;
}

export type RollingField = 'hours' | 'amount' | 'count';
/** What is typed for one window. The key stays when rows before it leave. */
export type RollingRow = { readonly key: number } & Readonly<Record<RollingField, string>>;
/** `amountOrCount`: both are empty. */
export type RollingFault = RollingField | 'amountOrCount';

/** The bounds of the account API, which refuses what is outside (engine/core/rolling.ts). */
export const rollingMax = 2;
export const rollingHoursMax = 2160;
export const rollingCountMax = 1_000_000_000;

export function rollingRowsOf(windows: readonly RollingWindow[] = [], currency: string): readonly RollingRow[] {
  return windows.map(({ hours, amount, count }, key) => ({
    key,
    hours: String(hours),
    amount: amount === undefined ? '' : amountText(amount, currency, 'en').replaceAll(',', ''),
    count: String(count ?? ''),
  }));
}

export function withRow(rows: readonly RollingRow[]): readonly RollingRow[] {
  const key = Math.max(-1, ...rows.map((row) => row.key)) + 1;
  return [...rows, { key, hours: '', amount: '', count: '' }];
}

/** The name of an input: the path that the API names when it refuses the value. */
export function rollingName(index: number, field: RollingField): string {
  return `rolling.${index}.${field}`;
}

/** The windows that the rows mean, and the faults by the name of their input. */
export function rollingOf(
  rows: readonly RollingRow[],
  currency: string,
): { readonly windows: readonly RollingWindow[]; readonly faults: Readonly<Record<string, RollingFault>> } {
  const faults: Record<string, RollingFault> = {};
  const windows = rows.map((row, index): RollingWindow => {
    const read = (field: RollingField, parse: (text: string) => number | null): number | undefined => {
      const text = row[field].trim();
      const value = text === '' && field !== 'hours' ? undefined : parse(text);
      if (value === null) faults[rollingName(index, field)] = field;
      return value ?? undefined;
    };
    const hours = read('hours', (text) => wholeOf(text, 1, rollingHoursMax)) ?? 0;
    const amount = read('amount', (text) => minorOf(text, currency));
    const count = read('count', (text) => wholeOf(text, 0, rollingCountMax));
    if (row.amount.trim() === '' && row.count.trim() === '') faults[rollingName(index, 'amount')] = 'amountOrCount';
    return { hours, ...(amount === undefined ? {} : { amount }), ...(count === undefined ? {} : { count }) };
  });
  return { windows, faults };
}

function wholeOf(text: string, min: number, max: number): number | null {
  if (!/^\d{1,10}$/.test(text)) return null;
  const value = Number(text);
  return value >= min && value <= max ? value : null;
}
