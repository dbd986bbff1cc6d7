/** Instants as clients may name them: those that JavaScript and every database have, and take for the same. */
import { isDateTime } from '../../engine/protocols/reading/date-time.js';
import { invalid } from './problem.js';

const spelling = /^(\d{4})-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-](\d{2}):\d{2})$/;
/** Postgres refuses offsets beyond; no place on Earth is further from Greenwich. */
const offsetHoursMax = 15;

/**
 * RFC 3339, a day that the calendar has. JavaScript takes 30 February for 2 March, and the year 0, which Postgres
 * refuses.
 */
export function isInstant(text: string): boolean {
  const [, year, offsetHours] = spelling.exec(text) ?? [];
  if (year === undefined || year === '0000' || Number(offsetHours ?? 0) > offsetHoursMax) return false;
  // The first takes leap seconds, which the second does not.
  return isDateTime(text) && !Number.isNaN(Date.parse(text));
}

const dayMs = 86_400_000;
/** What every database and RFC 3339 have years for. */
const firstMs = Date.parse('0001-01-01T00:00:00.000Z');
const lastMs = Date.parse('9999-12-31T23:59:59.999Z');

/** A day that the calendar has, as YYYY-MM-DD. */
export function isDay(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && isInstant(`${text}T00:00:00Z`);
}

/** An instant within what can be written, as RFC 3339. */
export function instantOf(ms: number): string {
  return new Date(Math.min(Math.max(ms, firstMs), lastMs)).toISOString();
}

export interface Period {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/**
 * A period as instants, `from` within it and `to` not. A day alone is the whole day in UTC, so `to` is the start of the
 * next one. Throws 400 when it ends before it begins.
 */
export function periodOf({ from, to }: Period): { readonly from?: string; readonly to?: string } {
  const start = from !== undefined && isDay(from) ? `${from}T00:00:00Z` : from;
  const end = to !== undefined && isDay(to) ? instantOf(Date.parse(`${to}T00:00:00Z`) + dayMs) : to;
  if (start !== undefined && end !== undefined) {
    const length = Date.parse(end) - Date.parse(start);
    if (length < 0 || (length === 0 && end !== to)) throw invalid('from', 'must not be after to');
  }
  return { ...(start === undefined ? {} : { from: start }), ...(end === undefined ? {} : { to: end }) };
}

/** Throws 400 when nothing can lie between the bounds. */
export function checkAmounts({
  min,
  max,
}: {
  readonly min?: number | undefined;
  readonly max?: number | undefined;
}): void {
  if (min !== undefined && max !== undefined && min > max) throw invalid('min', 'must not be above max');
}
