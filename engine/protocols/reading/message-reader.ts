/**
 * Reads a message in place by its table of fields, without allocating. It takes the common shape. For any other it says
 * that it is not sure, and the slow reader of the protocol judges the whole message.
 */
import type { Channel, MessageType } from '../../core/codes.js';
import type { Request } from '../../core/request.js';
import type { CheckResult, Device, Initiator, Pin, Recurring, Wallet } from '../../core/vocabulary.js';
import { countryOf } from './countries.js';
import { isCommonDateTime } from './date-time.js';
import { type Field, type Fields, Kind, Target } from './fields.js';
import {
  afterColon,
  ascii,
  closedPosition,
  digitsEnd,
  equalsAscii,
  falseEnd,
  firstMember,
  integerValue,
  nextMember,
  nullEnd,
  numberEnd,
  objectClosed,
  plainStringEnd,
  skipValue,
  skipWhitespace,
  trueEnd,
} from './json-scan.js';
import { NamesSeen, type UnknownFields } from './member-names.js';

// Constants of this file rather than imports: V8 folds only these into the loops. Measured: 5 to 10 % of a read.
const kinds = Kind;
const targets = Target;
const quote = 0x22;
const minus = 0x2d;
const nine = 0x39;
const braceOpen = 0x7b;
const zero = 0x30;
const beforeUpperA = 0x40;
const beforeLowerA = 0x60;
const letterF = 0x66;
const letterN = 0x6e;
const letterT = 0x74;

/** One bit of `seen` each; the fields that a protocol asks `seen` about are among the first ones of its table. */
const lowFieldsMax = 31;
/** Fields behind them have a word of their own. */
const fieldsMax = 2 * lowFieldsMax;

/** A field as the loops need it. */
class FieldNode {
  readonly name: Uint8Array;
  /** Its last byte, which differs in most unknown names of the same length. */
  readonly last: number;
  readonly kind: number;
  readonly to: number;
  readonly min: number;
  readonly max: number;
  readonly index: number;
  readonly bit: number;
  readonly isHigh: boolean;
  readonly words: readonly Uint8Array[];
  readonly codes: readonly number[];
  readonly object: ObjectNode | null;
  readonly isNullable: boolean;
  readonly isLoose: boolean;
  readonly otherwise: number;

  constructor(name: string, of: Field, index: number, object: ObjectNode | null) {
    this.name = ascii(name);
    this.last = this.name.at(-1)!;
    this.kind = of.kind;
    this.to = of.to;
    this.min = of.min;
    this.max = of.max;
    this.index = index;
    this.bit = 1 << (index % lowFieldsMax);
    this.isHigh = index >= lowFieldsMax;
    this.words = of.words.map(([word]) => ascii(word));
    this.codes = of.words.map(([, code]) => code);
    this.object = object;
    this.isNullable = of.isNullable;
    this.isLoose = of.isLoose;
    this.otherwise = of.otherwise;
  }
}

class ObjectNode {
  /** What unknown names of this object are counted under: its path with a point, '' for the body. */
  readonly parent: string;
  /** Fields by the length of their names: most names meet a single comparison. */
  readonly byLength: FieldNode[][] = [];
  /** Names of the message in hand that are not in the table. */
  readonly others = new NamesSeen();

  constructor(parent: string) {
    this.parent = parent;
  }

  add(field: FieldNode): void {
    while (this.byLength.length <= field.name.length) this.byLength.push([]);
    this.byLength[field.name.length]!.push(field);
  }

  /** The field that a key names, null for an unknown one. */
  find(bytes: Uint8Array, start: number, end: number): FieldNode | null {
    const length = end - start;
    if (length >= this.byLength.length) return null;
    const candidates = this.byLength[length]!;
    for (let index = 0; index < candidates.length; index++) {
      const candidate = candidates[index]!;
      if (candidate.last === bytes[end - 1] && equalsAscii(bytes, start, end, candidate.name)) return candidate;
    }
    return null;
  }
}

export interface UnknownNames {
  /** An unknown field makes the reader unsure. */
  readonly strictFields: boolean;
  /** Absent where unknown fields are not counted. */
  readonly unknownFields?: UnknownFields;
}

export class MessageReader {
  /** Bits of the fields that the message has, of the first 31. */
  seen = 0;
  #seenHigh = 0;
  /** Bits of the fields that every message has. */
  readonly required: number;
  readonly #root: ObjectNode;
  readonly #indexes = new Map<string, number>();
  readonly #isStrict: boolean;
  readonly #unknownFields: UnknownFields | null;
  /** By field: what has no place in the request. Of a decimal, where it starts and ends. */
  readonly #kept = new Float64Array(fieldsMax);
  readonly #ends = new Int32Array(fieldsMax);
  #request!: Request;

  constructor(fields: Fields, { strictFields, unknownFields }: UnknownNames) {
    let required = 0;
    const nodeOf = (of: Fields, parent: string): ObjectNode => {
      const node = new ObjectNode(parent);
      for (const [name, field] of Object.entries(of)) {
        const index = this.#indexes.size;
        if (index === fieldsMax) throw new Error(`a message has at most ${fieldsMax} fields`);
        this.#indexes.set(parent + name, index);
        const inner = field.kind === Kind.object ? nodeOf(field.fields, `${parent}${name}.`) : null;
        node.add(new FieldNode(name, field, index, inner));
        if (field.isRequired && index >= lowFieldsMax) throw new Error(`${name} is required: place it further up`);
        if (field.isRequired) required |= 1 << index;
      }
      return node;
    };
    this.#root = nodeOf(fields, '');
    this.required = required;
    this.#isStrict = strictFields;
    this.#unknownFields = unknownFields ?? null;
  }

  /** The number of the field at `path`, for kept(), and for its bit in `seen`. */
  indexOf(path: string): number {
    const index = this.#indexes.get(path);
    if (index === undefined) throw new Error(`the table has no field ${path}`);
    return index;
  }

  /** What the message had at a field without a place in the request; 0 where it had nothing. Of an object: 1, null. */
  kept(index: number): number {
    const seen = index < lowFieldsMax ? this.seen & (1 << index) : this.#seenHigh & (1 << (index - lowFieldsMax));
    return seen === 0 ? 0 : this.#kept[index]!;
  }

  /** Copies what the message had at `indexes`, as kept() gives it, to `into`. */
  copyKept(indexes: readonly number[], into: number[]): void {
    for (let at = 0; at < indexes.length; at++) into[at] = this.kept(indexes[at]!);
  }

  /** One past the last byte of a decimal; kept() is its first. */
  keptEnd(index: number): number {
    return this.#ends[index]!;
  }

  /** @returns false when it is not sure; `request`, which the caller has reset, is then half filled */
  read(request: Request, bytes: Uint8Array, start: number, end: number): boolean {
    this.#request = request;
    this.seen = 0;
    this.#seenHigh = 0;
    const after = this.#readObject(this.#root, bytes, skipWhitespace(bytes, start, end), end);
    if (after < 0 || skipWhitespace(bytes, after, end) !== end) return false;
    return (this.seen & this.required) === this.required;
  }

  /** `start` stands at a value that should be an object. Position after it, or −1. The table bounds the depth. */
  #readObject(node: ObjectNode, bytes: Uint8Array, start: number, end: number): number {
    let index = firstMember(bytes, start, end);
    if (index < 0) return -1;
    const { others } = node;
    const isStrict = this.#isStrict;
    const isCounting = this.#unknownFields !== null;
    others.reset();
    for (;;) {
      const keyStart = index + 1;
      const keyEnd = plainStringEnd(bytes, keyStart, end);
      if (keyEnd < 0) return -1;
      index = afterColon(bytes, keyEnd + 1, end);
      if (index < 0) return -1;
      const field = node.find(bytes, keyStart, keyEnd);
      if (field === null) {
        if (isStrict || !others.add(bytes, keyStart, keyEnd)) return -1;
        if (isCounting) this.#count(node, bytes, keyStart, keyEnd);
        index = skipValue(bytes, index, end);
      } else {
        // The slow reader says which member comes twice.
        if (field.isHigh) {
          if ((this.#seenHigh & field.bit) !== 0) return -1;
          this.#seenHigh |= field.bit;
        } else {
          if ((this.seen & field.bit) !== 0) return -1;
          this.seen |= field.bit;
        }
        index = this.#readField(field, bytes, index, end);
      }
      if (index < 0) return -1;
      const member = nextMember(bytes, index, end);
      if (member < 0) return -1;
      if (objectClosed(member)) return closedPosition(member);
      index = member;
    }
  }

  #count(node: ObjectNode, bytes: Uint8Array, start: number, end: number): void {
    this.#request.unknownFields |= this.#unknownFields!.bitOf(node.parent, bytes, start, end);
  }

  /** `index` stands at the value of a field. Position after it, or −1. */
  #readField(field: FieldNode, bytes: Uint8Array, index: number, end: number): number {
    switch (field.kind) {
      case kinds.text:
        return this.#readText(field, bytes, index, end);
      case kinds.word:
      case kinds.looseWord:
        return this.#readWord(field, bytes, index, end);
      case kinds.object:
        if (bytes[index] === letterN && field.isNullable) return this.#store(field, 1, nullEnd(bytes, index, end));
        if (field.isLoose && bytes[index] !== braceOpen) return this.#store(field, 1, skipValue(bytes, index, end));
        this.#kept[field.index] = 0;
        return this.#readObject(field.object!, bytes, index, end);
      case kinds.integer: {
        const after = digitsEnd(bytes, index, end);
        const value = integerValue(bytes, index, after);
        if (field.max > 0 && value > field.max) return -1;
        // A fraction or an exponent fails at the next comma or brace.
        return this.#store(field, value, after);
      }
      case kinds.letters:
        return this.#readLetters(field, bytes, index, end, beforeUpperA);
      case kinds.lowerLetters:
        return this.#readLetters(field, bytes, index, end, beforeLowerA);
      case kinds.digits:
        return this.#readDigits(field, bytes, index, end);
      case kinds.flag: {
        const isTrue = bytes[index] === letterT;
        return this.#store(field, isTrue ? 1 : 0, isTrue ? trueEnd(bytes, index, end) : falseEnd(bytes, index, end));
      }
      case kinds.dateTime: {
        const after = this.#readText(field, bytes, index, end);
        return after >= 0 && isCommonDateTime(bytes, index + 1, after - 1) ? after : -1;
      }
      case kinds.decimal: {
        const after = numberEnd(bytes, index, end);
        this.#ends[field.index] = after;
        return this.#store(field, index, after);
      }
      case kinds.capability:
        return this.#readCapability(field, bytes, index, end);
      case kinds.hint:
        return this.#readHint(field, bytes, index, end);
      case kinds.score:
        return this.#readScore(field, bytes, index, end);
      default: {
        if (bytes[index] !== quote) return -1;
        const textEnd = plainStringEnd(bytes, index + 1, end);
        return textEnd < 0 ? -1 : this.#store(field, countryOf(bytes, index + 1, textEnd), textEnd + 1);
      }
    }
  }

  #readText({ to, min, max }: FieldNode, bytes: Uint8Array, index: number, end: number): number {
    if (bytes[index] !== quote) return -1;
    const textEnd = plainStringEnd(bytes, index + 1, end);
    const length = textEnd - index - 1;
    if (textEnd < 0 || length < min || length > max) return -1;
    // An empty text is an absent one, and that is written 0, 0 by both readers.
    if (length > 0) {
      const slice = this.#request.texts[to]!;
      slice.start = index + 1;
      slice.end = textEnd;
    }
    return textEnd + 1;
  }

  #readWord(field: FieldNode, bytes: Uint8Array, index: number, end: number): number {
    if (bytes[index] !== quote) return -1;
    const textEnd = plainStringEnd(bytes, index + 1, end);
    if (textEnd < 0) return -1;
    const { words } = field;
    for (let at = 0; at < words.length; at++) {
      if (equalsAscii(bytes, index + 1, textEnd, words[at]!)) return this.#store(field, field.codes[at]!, textEnd + 1);
    }
    return field.kind === kinds.word ? -1 : this.#store(field, 0, textEnd + 1);
  }

  /** Exactly `max` letters in quotes, packed. */
  #readLetters(field: FieldNode, bytes: Uint8Array, index: number, end: number, before: number): number {
    const last = index + 1 + field.max;
    if (last >= end || bytes[index] !== quote || bytes[last] !== quote) return -1;
    let packed = 0;
    for (let at = index + 1; at < last; at++) {
      const letter = bytes[at]! - before;
      if (letter < 1 || letter > 26) return -1;
      packed = packed * 27 + letter;
    }
    return this.#store(field, packed, last + 1);
  }

  /** Exactly `max` digits in quotes. */
  #readDigits(field: FieldNode, bytes: Uint8Array, index: number, end: number): number {
    const last = index + 1 + field.max;
    if (last >= end || bytes[index] !== quote || bytes[last] !== quote) return -1;
    if (digitsEnd(bytes, index + 1, last) !== last) return -1;
    let value = 0;
    for (let at = index + 1; at < last; at++) value = value * 10 + (bytes[at]! - zero);
    return this.#store(field, value, last + 1);
  }

  #readCapability(field: FieldNode, bytes: Uint8Array, index: number, end: number): number {
    const after = skipValue(bytes, index, end);
    if (after < 0) return -1;
    let isYes = bytes[index] === letterT;
    if (bytes[index] === quote) {
      if (plainStringEnd(bytes, index + 1, end) !== after - 1) return -1;
      for (const word of field.words) if (equalsAscii(bytes, index + 1, after - 1, word)) isYes = true;
    }
    return this.#store(field, isYes ? 1 : 0, after);
  }

  #readHint(field: FieldNode, bytes: Uint8Array, index: number, end: number): number {
    const first = bytes[index];
    const isText = first === quote;
    // An escape may hide a word.
    const after = isText ? plainStringEnd(bytes, index + 1, end) + 1 : skipValue(bytes, index, end);
    if (after <= 0) return -1;
    if (!isText && first !== letterT && first !== letterF) return this.#store(field, 0, after);
    const start = isText ? index + 1 : index;
    const textEnd = isText ? after - 1 : after;
    const { words } = field;
    for (let at = 0; at < words.length; at++) {
      if (equalsAscii(bytes, start, textEnd, words[at]!)) return this.#store(field, field.codes[at]!, after);
    }
    return this.#store(field, isText && textEnd > start ? field.otherwise : 0, after);
  }

  #readScore(field: FieldNode, bytes: Uint8Array, index: number, end: number): number {
    const after = skipValue(bytes, index, end);
    const first = bytes[index]!;
    if (after < 0 || first === minus) return -1;
    if (first < zero || first > nine) return this.#store(field, 0, after);
    // 1e2 and 5.0 are integers, too.
    if (digitsEnd(bytes, index, end) !== after) return -1;
    const value = integerValue(bytes, index, after);
    if (value < 0) return -1;
    return this.#store(field, value > field.max ? 0 : value + 1, after);
  }

  /** Puts a value where its field belongs. @returns `after`, or −1 when the value is below 0 */
  #store(field: FieldNode, value: number, after: number): number {
    if (value < 0) return -1;
    const request = this.#request;
    switch (field.to) {
      case targets.amountMinor:
        request.amountMinor = value;
        break;
      case targets.currency:
        request.currency = value;
        break;
      case targets.mcc:
        request.mcc = value;
        break;
      case targets.country:
        request.country = value;
        break;
      case targets.type:
        request.type = value as MessageType;
        break;
      case targets.channel:
        request.channel = value as Channel;
        break;
      case targets.partialAllowed:
        request.partialAllowed = value === 1;
        break;
      case targets.final:
        request.final = value === 1;
        break;
      case targets.avs:
        request.avs = value as CheckResult;
        break;
      case targets.cvv:
        request.cvv = value as CheckResult;
        break;
      case targets.threeDS:
        request.threeDS = value as CheckResult;
        break;
      case targets.pin:
        request.pin = value as Pin;
        break;
      case targets.wallet:
        request.wallet = value as Wallet;
        break;
      case targets.device:
        request.device = value as Device;
        break;
      case targets.recurring:
        request.recurring = (value + 1) as Recurring;
        break;
      case targets.initiator:
        request.initiator = value as Initiator;
        break;
      case targets.riskScore:
        request.riskScore = value;
        break;
      default:
        this.#kept[field.index] = value;
    }
    return after;
  }
}
