/** Instants as clients may name them: those that JavaScript and every database have, and take for the same. */
import { isDateTime } from '../../engine/wire/date-time.js';

const spelling = /^(\d{4})-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-](\d{2}):\d{2})$/;
/** Postgres refuses offsets beyond; no place on Earth is further from Greenwich. */
const offsetHoursMax = 15;

/** RFC 3339, a day that the calendar has. JavaScript takes 30 February for 2 March, and the year 0, which Postgres refuses. */
export function isInstant(text: string): boolean {
  const [, year, offsetHours] = spelling.exec(text) ?? [];
  if (year === undefined || year === '0000' || Number(offsetHours ?? 0) > offsetHoursMax) return false;
  // The first takes leap seconds, which the second does not.
  return isDateTime(text) && !Number.isNaN(Date.parse(text));
}
