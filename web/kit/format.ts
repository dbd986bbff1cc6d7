/** Numbers, money and times as text. Pure, so that tests read it without a browser. */

/**
 * Minor digits of the currencies in which ISO 4217, which the engine follows, and the browser's Intl differ. A test
 * compares all currencies.
 */
const digitsOfIso: Readonly<Record<string, number>> = {};

const formats = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat>();
/** Formats are expensive to make. A language, a currency and a style give one: some hundred at most. */
function kept<T extends Intl.NumberFormat | Intl.DateTimeFormat>(key: string, make: () => T): T {
  let format = formats.get(key) as T | undefined;
  if (format === undefined) {
    format = make();
    formats.set(key, format);
  }
  return format;
}

/** How many digits of an amount stand behind the point. An unknown currency is written in minor units. */
export function minorDigits(currency: string): number {
  const iso = digitsOfIso[currency];
  if (iso !== undefined) return iso;
  try {
    const format = kept(`digits ${currency}`, () => new Intl.NumberFormat('en', { style: 'currency', currency }));
    return format.resolvedOptions().maximumFractionDigits ?? 2;
  } catch {
    return 0;
  }
}

/** `1250` of USD: `12.50`. */
export function amountText(minor: number, currency: string, language: string): string {
  const digits = minorDigits(currency);
  return decimalText(minor / 10 ** digits, digits, language);
}

/** `12.50 USD` */
export function moneyText(minor: number, currency: string, language: string): string {
  return `${amountText(minor, currency, language)} ${currency}`;
}

/** The minor units of what a person typed, null when it is no amount of this currency. */
export function minorOf(typed: string, currency: string): number | null {
  const digits = minorDigits(currency);
  const match = /^(\d{1,13})(?:[.,](\d+))?$/.exec(typed.trim());
  if (match === null) return null;
  const [, whole = '', fraction = ''] = match;
  if (fraction.length > digits) return null;
  return Number(whole + fraction.padEnd(digits, '0'));
}

export function decimalText(value: number, digits: number, language: string): string {
  return kept(
    `decimal ${digits} ${language}`,
    () => new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }),
  ).format(value);
}

export function countText(value: number, language: string): string {
  return decimalText(value, 0, language);
}

/** `0.973`: `97.3 %` */
export function shareText(share: number, language: string): string {
  return `${decimalText(share * 100, 1, language)} %`;
}

const units: readonly (readonly [name: string, ms: number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
];

/** A duration with two significant digits: `0.31 ms`, `3.1 ms`, `120 ms`, `1.2 s`, `4 min`. */
export function durationText(ms: number, language: string): string {
  const [unit, size] = units.find(([name, limit]) => ms >= limit * (name === 's' ? 1 : 2)) ?? ['ms', 1];
  const value = ms / size;
  const digits = value >= 9.95 ? 0 : value >= 0.995 || value === 0 ? 1 : 2;
  const rounded = value >= 100 ? Number(value.toPrecision(2)) : value;
  return `${decimalText(rounded, digits, language)} ${unit}`;
}

/** The time of day in the viewer's zone, to the millisecond where `precise`. */
export function timeText(atMs: number, language: string, precise = false): string {
  return kept(
    `time ${language} ${precise}`,
    () =>
      new Intl.DateTimeFormat(language, {
        hour: '2-digit',
        minute: '2-digit',
        second: '2-digit',
        hourCycle: 'h23',
        ...(precise ? { fractionalSecondDigits: 3 } : {}),
      }),
  ).format(atMs);
}

/** Date and time of day in the viewer's zone. */
export function dateTimeText(atMs: number, language: string): string {
  const date = kept(
    `date ${language}`,
    () => new Intl.DateTimeFormat(language, { day: '2-digit', month: 'short', year: 'numeric' }),
  );
  return `${date.format(atMs)} ${timeText(atMs, language)}`;
}

/** In UTC, for the hover of every time. */
export function utcText(atMs: number): string {
  return new Date(atMs).toISOString().replace('T', ' ').replace('Z', ' UTC');
}
