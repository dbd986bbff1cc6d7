/** Numbers, money and times as text. Pure, so that tests read it without a browser. */

/** Currencies without two minor digits, by digits, as the engine has them (ISO 4217). Browsers differ. */
const otherDigits: readonly (readonly [digits: number, codes: string])[] = [
  [0, 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF'],
  [0, 'XAG XAU XBA XBB XBC XBD XDR XPD XPT XSU XTS XUA'],
  [3, 'BHD IQD JOD KWD LYD OMR TND'],
  [4, 'CLF UYW'],
];
const digitsOf = new Map(
  otherDigits.flatMap(([digits, codes]) => codes.split(' ').map((code) => [code, digits] as const)),
);

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

/** How many digits of an amount stand behind the point. */
export function minorDigits(currency: string): number {
  return digitsOf.get(currency) ?? 2;
}

/** `1250` of USD: `12.50`. */
export function amountText(minor: number, currency: string, language: string): string {
  const digits = minorDigits(currency);
  // As decimal text: a double has not enough digits for the cents of a large amount.
  const text = String(Math.abs(minor)).padStart(digits + 1, '0');
  const at = text.length - digits;
  const decimal = `${minor < 0 ? '-' : ''}${text.slice(0, at)}.${text.slice(at)}` as `${number}`;
  return decimalFormat(digits, language).format(decimal);
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
  return decimalFormat(digits, language).format(value);
}

function decimalFormat(digits: number, language: string): Intl.NumberFormat {
  return kept(
    `decimal ${digits} ${language}`,
    () => new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }),
  );
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

const dayMs = 86_400_000;

/** What a person typed into a field of date and time, in their zone, as an instant; '' for what is none. */
export function instantOfTyped(text: string): string {
  const ms = new Date(text).getTime();
  return Number.isNaN(ms) ? '' : new Date(ms).toISOString();
}

/** An instant for such a field. @param instant or a day, which the API takes as a whole day in UTC */
export function typedOfInstant(instant: string, isEnd: boolean): string {
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(instant);
  const ms = Date.parse(instant) + (isDay && isEnd ? dayMs : 0);
  if (Number.isNaN(ms)) return '';
  const local = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 'YYYY-MM-DDTHH:MM'.length);
}
