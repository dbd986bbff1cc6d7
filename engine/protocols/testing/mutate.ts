/**
 * Test support: a seeded generator and the mutations that turn a valid message into nearly anything. Both protocols'
 * differential fuzz tests use it.
 */

/** A small fast generator (mulberry32): all randomness of a run comes from one 32-bit seed. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 … 2^32 − 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** 0 … bound − 1. */
  below(bound: number): number {
    return this.next() % bound;
  }

  /** True once in `odds`. */
  oneIn(odds: number): boolean {
    return this.below(odds) === 0;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

/** Values that sit on the edges of the grammar or of a rule; inserted anywhere, and put in place of values. */
export const trickyTexts: readonly string[] = [
  '0',
  '-0',
  '01',
  '+1',
  '1.',
  '.5',
  '1.0',
  '12.0',
  '1e3',
  '1E+2',
  '1e-2',
  '-1',
  '1.5',
  '1e400',
  '9007199254740991',
  '9007199254740992',
  '9007199254740993',
  '999999999999999',
  '1000000000000000',
  '100000000000000000000000000',
  '0.10',
  '84.205',
  '84.2000',
  'NaN',
  'Infinity',
  'null',
  'true',
  'false',
  'tru',
  'nulll',
  'TRUE',
  '""',
  '"\\u0041"',
  '"\\u0000"',
  '"\\ud800"',
  '"\\ud83d\\ude00"',
  '"\\x"',
  '"\\u12"',
  '"\\""',
  '"\\\\"',
  '"a\\/b"',
  '"é"',
  '"😀"',
  '"\u007f"',
  '"\u2028"',
  '"\t"',
  '"4111111111111111"',
  '"4111-1111-1111-1111"',
  '"pay 378282246310005 now"',
  '"2026-11-22T18:00:00Z"',
  '"2026-02-29T18:00:00Z"',
  '"2024-02-29t23:59:60.5+05:30"',
  '"USD"',
  '"JPY"',
  '"usd"',
  '"5411"',
  '"54 1"',
  `"${'x'.repeat(64)}"`,
  `"${'x'.repeat(65)}"`,
  `"${'é'.repeat(64)}"`,
  `"${'😀'.repeat(65)}"`,
  `"${'n'.repeat(129)}"`,
  '{}',
  '[]',
  '[1,2]',
  '[1,]',
  '{"a":1}',
  '{"a":1,}',
  '{"a":{"b":[{"c":"\\n"}]}}',
  '{"id":"inner","amount":5}',
  `${'['.repeat(40)}${']'.repeat(40)}`,
  `${'{"a":'.repeat(29)}1${'}'.repeat(29)}`,
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"',
  '\\',
  ' ',
  '\t',
  '\r\n',
  '\u00a0',
  '\ufeff',
  '//',
  '/**/',
  '\u0000',
  '"__proto__":1,',
  '"x":1,',
  ',"y":[]',
];

/** Byte sequences that are not text: broken UTF-8 of every kind. */
const brokenBytes: ReadonlyArray<readonly number[]> = [
  [0x80],
  [0xc0, 0x80],
  [0xc3],
  [0xe2, 0x82],
  [0xed, 0xa0, 0x80],
  [0xf4, 0x90, 0x80, 0x80],
  [0xf0, 0x80, 0x80, 0x80],
  [0xff],
  [0xef, 0xbb, 0xbf],
];

/** Scratch space of one fuzz run: mutations edit it in place. */
export class Message {
  readonly bytes: Uint8Array;
  length = 0;
  readonly #tricky: readonly Uint8Array[];
  readonly #extra: readonly Uint8Array[];

  /** @param extraTexts members and values of the protocol under test */
  constructor(capacityBytes: number, extraTexts: readonly string[]) {
    this.bytes = new Uint8Array(capacityBytes);
    this.#extra = extraTexts.map((text) => Uint8Array.from(Buffer.from(text)));
    this.#tricky = [...trickyTexts, ...extraTexts].map((text) => Uint8Array.from(Buffer.from(text)));
  }

  set(text: string): void {
    this.length = Buffer.from(this.bytes.buffer).write(text);
  }

  #replace(start: number, end: number, insert: ArrayLike<number>): void {
    if (this.length - (end - start) + insert.length > this.bytes.length) return;
    this.bytes.copyWithin(start + insert.length, end, this.length);
    this.bytes.set(insert, start);
    this.length += insert.length - (end - start);
  }

  /** One random edit. */
  mutate(random: Random): void {
    if (this.length === 0) return;
    const at = random.below(this.length);
    const span = Math.min(1 + random.below(1 + random.below(24)), this.length - at);
    switch (random.below(19)) {
      case 0:
        this.bytes[at] = this.bytes[at]! ^ (1 << random.below(8));
        return;
      case 1:
        this.bytes[at] = random.below(256);
        return;
      case 2:
        this.#replace(at, at + span, []);
        return;
      case 3:
        this.#replace(at, at, random.pick(this.#tricky));
        return;
      case 4:
        this.#replace(at, at, random.pick(brokenBytes));
        return;
      case 5: {
        // Splice: a piece of the message again, elsewhere.
        const from = random.below(this.length);
        this.#replace(at, at + span, this.bytes.slice(from, Math.min(this.length, from + span)));
        return;
      }
      case 6:
        if (random.oneIn(4)) this.length = at;
        return;
      case 7:
        this.#duplicateMember(random);
        return;
      case 8:
      case 9:
      case 10:
        this.#addWhitespace(at, random.pick([0x20, 0x0a, 0x09, 0x0d]));
        return;
      case 14:
        if (this.#extra.length > 0) this.#addMember(at, random.pick(this.#extra));
        return;
      case 11:
      case 12:
      case 13:
        this.#changeLetter(at, random.next());
        return;
      default:
        this.#replaceValue(random, random.pick(this.#tricky));
    }
  }

  /** Before the next structural byte, where JSON mostly allows it (unless that byte stands in a string). */
  #addWhitespace(from: number, byte: number): void {
    let at = from;
    while (at < this.length && ![0x7b, 0x7d, 0x2c, 0x3a].includes(this.bytes[at]!)) at++;
    this.#replace(at, at, [byte]);
  }

  /** Before the next comma: a member more, perhaps one that is there already. */
  #addMember(from: number, member: Uint8Array): void {
    let at = from;
    while (at < this.length && this.bytes[at] !== 0x2c) at++;
    if (at < this.length) this.#replace(at, at, [0x2c, ...member]);
  }

  /**
   * The next digit becomes another digit, or the next letter another letter: the grammar survives, the meaning moves.
   */
  #changeLetter(from: number, random: number): void {
    for (let at = from; at < this.length; at++) {
      const byte = this.bytes[at]!;
      if (byte >= 0x30 && byte <= 0x39) this.bytes[at] = 0x30 + (random % 10);
      else if (byte >= 0x61 && byte <= 0x7a) this.bytes[at] = 0x61 + (random % 26);
      else if (byte >= 0x41 && byte <= 0x5a) this.bytes[at] = 0x41 + (random % 26);
      else continue;
      return;
    }
  }

  /** Puts `value` in the place of the text after a random colon, up to the next comma or brace. */
  #replaceValue(random: Random, value: ArrayLike<number>): void {
    const range = this.#valueAfter(random.below(this.length));
    if (range !== null) this.#replace(range[0], range[1], value);
  }

  /** Repeats a member `"key":value` behind itself, sometimes with another value. */
  #duplicateMember(random: Random): void {
    const range = this.#valueAfter(random.below(this.length));
    if (range === null) return;
    let keyStart = range[0] - 2;
    while (keyStart > 0 && this.bytes[keyStart] !== 0x22) keyStart--;
    keyStart--;
    while (keyStart > 0 && this.bytes[keyStart] !== 0x22) keyStart--;
    const keyPart = this.bytes.slice(Math.max(0, keyStart), range[0]);
    const value = random.oneIn(2) ? this.bytes.slice(range[0], range[1]) : random.pick(this.#tricky);
    this.#replace(range[1], range[1], [0x2c, ...keyPart, ...value]);
  }

  #valueAfter(from: number): readonly [number, number] | null {
    let start = from;
    while (start < this.length && this.bytes[start] !== 0x3a) start++;
    start++;
    if (start >= this.length) return null;
    let end = start;
    while (end < this.length && this.bytes[end] !== 0x2c && this.bytes[end] !== 0x7d) end++;
    return [start, end];
  }
}

/** JSON text of an object with its members in random order and, sometimes, whitespace where JSON allows it. */
export function jsonText(random: Random, value: unknown, spaced: boolean): string {
  const gap = (): string => (spaced && random.oneIn(3) ? random.pick([' ', '\n', '\t', '  ', '\r\n']) : '');
  if (Array.isArray(value)) {
    return `[${gap()}${value.map((item) => jsonText(random, item, spaced)).join(`${gap()},${gap()}`)}${gap()}]`;
  }
  if (value instanceof NumberText) return value.text;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  for (let index = members.length - 1; index > 0; index--) {
    const other = random.below(index + 1);
    [members[index], members[other]] = [members[other]!, members[index]!];
  }
  const texts = members.map(
    ([name, member]) => `${JSON.stringify(name)}${gap()}:${gap()}${jsonText(random, member, spaced)}`,
  );
  return `{${gap()}${texts.join(`${gap()},${gap()}`)}${gap()}}`;
}

/** A number that must be written exactly so: 84.20 stays 84.20. */
export class NumberText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}
