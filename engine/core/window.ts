/**
 * Calendar windows in the account's time zone: days, ISO weeks (Monday), months, years. A local day is a number: days
 * since 1970-01-01 of the local calendar. Everything longer follows from the day alone, so daylight-saving changes
 * matter in one place only: which local day an instant falls on.
 */

import { zoneBytesMax } from './trace-format.js';

/** Days since 1970-01-01 of the civil date. `month` 1–12. */
export function dayOfCivil(year: number, month: number, day: number): number {
  return Math.round(Date.UTC(year, month - 1, day) / dayMs);
}

export const dayMs = 86_400_000;
/** No local day lasts longer. */
const dayHoursMax = 30;

/** ISO week: 1970-01-01 was a Thursday, so weeks that start on Monday begin at day −3. */
export function weekOf(day: number): number {
  return Math.floor((day + 3) / 7);
}

/**
 * Months since year 0 of the civil date of `day`, from integer arithmetic alone (Howard Hinnant, "chrono-Compatible
 * Low-Level Date Algorithms", civil_from_days).
 */
export function monthOf(day: number): number {
  const shifted = day + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return year * 12 + month - 1;
}

export function yearOf(day: number): number {
  return Math.floor(monthOf(day) / 12);
}

/** Whether two days fall into the same period of window `index` (windowNames: daily … lifetime). */
export function samePeriod(index: number, first: number, second: number): boolean {
  switch (index) {
    case 0:
      return first === second;
    case 1:
      return weekOf(first) === weekOf(second);
    case 2:
      return monthOf(first) === monthOf(second);
    case 3:
      return yearOf(first) === yearOf(second);
    default:
      return true;
  }
}

/** First day of the period after the one that `day` falls into, of window `index`; null: it never ends (lifetime). */
export function nextPeriodDay(index: number, day: number): number | null {
  switch (index) {
    case 0:
      return day + 1;
    case 1:
      return (weekOf(day) + 1) * 7 - 3;
    case 2: {
      const month = monthOf(day) + 1;
      return dayOfCivil(Math.floor(month / 12), (month % 12) + 1, 1);
    }
    case 3:
      return dayOfCivil(yearOf(day) + 1, 1, 1);
    default:
      return null;
  }
}

/**
 * A time zone that answers "which local day is this instant" from a cached interval. Reading the zone data (Intl) costs
 * about 50 formats once per zone and day. Deterministic: the same instant gives the same day on every call.
 */
export class Zone {
  readonly name: string;
  /** For the trace; empty for UTC. */
  readonly nameBytes: Uint8Array;
  /** Null for UTC, whose days are counted without a calendar. */
  readonly #format: Intl.DateTimeFormat | null;
  #day = 0;
  #startMs = 0;
  #endMs = 0;

  /** Throws RangeError for a name that the zone data do not know. */
  constructor(name: string) {
    this.name = name;
    this.nameBytes = Buffer.from(name === 'UTC' ? '' : name).subarray(0, zoneBytesMax);
    if (name === 'UTC') {
      // The zone data take a start 30 ms to load.
      this.#format = null;
      return;
    }
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      calendar: 'gregory',
      numberingSystem: 'latn',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
    });
  }

  /** The local day of `instantMs` (wall clock milliseconds since 1970). */
  dayOf(instantMs: number): number {
    if (instantMs >= this.#startMs && instantMs < this.#endMs) return this.#day;
    return this.#ask(instantMs);
  }

  /** The instant at which local day `day` begins: midnight, or later where the clock skips it. */
  startOf(day: number): number {
    // No zone is further from UTC than 14 hours, and a skipped midnight costs one more.
    let low = day * dayMs - dayHoursMax * 3_600_000;
    let high = day * dayMs + dayHoursMax * 3_600_000;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (this.#formatDay(middle) >= day) high = middle;
      else low = middle;
    }
    return high;
  }

  #ask(instantMs: number): number {
    const day = this.#formatDay(instantMs);
    // A local day is one interval, because no zone has set its clock back over midnight since 2010. It has at most 27
    // hours (Antarctica/Casey, most years). Bisection finds its edges to the millisecond.
    this.#endMs = this.#edge(instantMs, instantMs + dayHoursMax * 3_600_000, day, true);
    this.#startMs = this.#edge(instantMs - dayHoursMax * 3_600_000, instantMs, day, false);
    this.#day = day;
    return day;
  }

  #edge(fromMs: number, toMs: number, day: number, forward: boolean): number {
    let low = Math.floor(fromMs);
    let high = Math.ceil(toMs);
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if ((this.#formatDay(middle) === day) === forward) low = middle;
      else high = middle;
    }
    return high;
  }

  #formatDay(instantMs: number): number {
    if (this.#format === null) return Math.floor(instantMs / dayMs);
    let year = 0;
    let month = 0;
    let day = 0;
    for (const part of this.#format.formatToParts(instantMs)) {
      if (part.type === 'year') year = Number(part.value);
      else if (part.type === 'month') month = Number(part.value);
      else if (part.type === 'day') day = Number(part.value);
    }
    return dayOfCivil(year, month, day);
  }
}

/** Zones by name, each made once. There are about 600 names; the bound only guards against a corrupt database. */
const zoneCountMax = 1024;
const zones = new Map<string, Zone>([['UTC', new Zone('UTC')]]);
/** Found to be zones, whether or not there was room for them above. */
const zoneNames = new Set<string>(['UTC']);

/** Whether this process knows a zone of that name. */
export function isZoneName(name: unknown): name is string {
  if (typeof name !== 'string') return false;
  if (zoneNames.has(name)) return true;
  try {
    new Zone(name);
  } catch {
    return false;
  }
  if (zoneNames.size < zoneCountMax) zoneNames.add(name);
  return true;
}

/** The zone of that name; unknown names (never written by the API) fall back to UTC. */
export function zoneNamed(name: string): Zone {
  const known = zones.get(name);
  if (known !== undefined) return known;
  if (zones.size >= zoneCountMax) return zoneNamed('UTC');
  let zone: Zone;
  try {
    zone = new Zone(name);
  } catch {
    zone = new Zone('UTC');
  }
  zones.set(name, zone);
  return zone;
}
