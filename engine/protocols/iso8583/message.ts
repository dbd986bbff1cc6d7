/**
 * A message of ISO 8583 in memory, for use again and again: reading and writing one allocates nothing but the strings
 * that a caller requests. Text is kept in Latin-1 whatever the link's encoding is, fields of the kind b as they are.
 */

/** Highest field of the two bitmaps. */
export const fieldMax = 128;

/** Longest message that any link may have, in bytes: more than that is a wrong setting, or an attack. */
export const messageBytesLimit = 8192;

/**
 * Room for all values of a message, in bytes. Packed digits double in memory, so that 8 KB become 16. As much again is
 * for an answer that takes the fields of its request over and adds its own.
 */
const valueBytesMax = 32_768;

const zero = 0x30;
const nine = 0x39;
/** In place of characters that Latin-1 does not have. */
const questionMark = 0x3f;

export class IsoMessage {
  /** As a decimal number: 100 is "0100", 1100 is "1100". */
  mti = 0;
  /** All values, one after the other; valid until the message is cleared or read into. */
  readonly bytes: Buffer = Buffer.alloc(valueBytesMax);
  /** One bit a field, field 1 leftmost in the first number. For the packager, as the next three are. */
  readonly present = new Int32Array(4);
  readonly starts = new Uint16Array(fieldMax + 1);
  readonly ends = new Uint16Array(fieldMax + 1);
  /** Bytes of `bytes` that hold values. */
  used = 0;

  get mtiText(): string {
    return String(this.mti).padStart(4, '0');
  }

  clear(): void {
    this.mti = 0;
    this.used = 0;
    this.present.fill(0);
  }

  has(field: number): boolean {
    return ((this.present[(field - 1) >> 5]! >>> (31 - ((field - 1) & 31))) & 1) === 1;
  }

  startOf(field: number): number {
    return this.starts[field]!;
  }

  endOf(field: number): number {
    return this.ends[field]!;
  }

  /** Characters, digits or bytes of the value; 0 where the field is absent. */
  lengthOf(field: number): number {
    return this.has(field) ? this.ends[field]! - this.starts[field]! : 0;
  }

  /** The value with its padding; '' where the field is absent. */
  text(field: number): string {
    return this.has(field) ? this.bytes.toString('latin1', this.starts[field]!, this.ends[field]!) : '';
  }

  /** The digits as a number; NaN where the field is absent, empty, no digits, or above 2^53 − 1. */
  integer(field: number): number {
    if (!this.has(field)) return Number.NaN;
    return digitsOf(this.bytes, this.starts[field]!, this.ends[field]!);
  }

  equals(field: number, text: string): boolean {
    if (this.lengthOf(field) !== text.length || !this.has(field)) return false;
    const start = this.starts[field]!;
    for (let at = 0; at < text.length; at++) if (this.bytes[start + at] !== text.charCodeAt(at)) return false;
    return true;
  }

  /**
   * A character above U+00FF becomes a question mark.
   * @throws RangeError where there is no such field, or no room: at most 32 KB of values fit
   */
  setText(field: number, text: string): void {
    const at = this.place(field, text.length);
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index);
      this.bytes[at + index] = code > 0xff ? questionMark : code;
    }
  }

  /**
   * The number in exactly `digits` digits, zeros in front.
   * @throws RangeError where it is no natural number of so many digits
   */
  setInteger(field: number, value: number, digits: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`field ${field} takes a natural number`);
    const at = this.place(field, digits);
    let rest = value;
    for (let index = digits - 1; index >= 0; index--) {
      this.bytes[at + index] = zero + (rest % 10);
      rest = Math.floor(rest / 10);
    }
    if (rest > 0) throw new RangeError(`the number has more than the ${digits} digits of field ${field}`);
  }

  setBytes(field: number, source: Uint8Array, start: number, end: number): void {
    const at = this.place(field, end - start);
    for (let index = start; index < end; index++) this.bytes[at + index - start] = source[index]!;
  }

  /** Takes a field over as it is; where the other message does not have it, nothing changes. */
  copy(field: number, from: IsoMessage): void {
    if (from.has(field)) this.setBytes(field, from.bytes, from.starts[field]!, from.ends[field]!);
  }

  remove(field: number): void {
    this.present[(field - 1) >> 5]! &= ~(1 << (31 - ((field - 1) & 31)));
  }

  /** Makes the field present with so many bytes. @returns where its value begins in `bytes` */
  place(field: number, length: number): number {
    if (!Number.isInteger(field) || field < 2 || field > fieldMax || field === 65) {
      throw new RangeError(`there is no field ${field}`);
    }
    // A value that is not longer than the one before takes its place.
    let at = this.starts[field]!;
    if (!this.has(field) || length > this.ends[field]! - at) {
      at = this.used;
      if (at + length > valueBytesMax) throw new RangeError(`field ${field} does not fit into the message`);
      this.used = at + length;
    }
    this.starts[field] = at;
    this.ends[field] = at + length;
    this.present[(field - 1) >> 5]! |= 1 << (31 - ((field - 1) & 31));
    return at;
  }
}

/** Digits as a number; NaN where there are none, or other characters, or more than 2^53 − 1. */
export function digitsOf(bytes: Uint8Array, start: number, end: number): number {
  if (start >= end) return Number.NaN;
  let value = 0;
  for (let at = start; at < end; at++) {
    const code = bytes[at]!;
    if (code < zero || code > nine) return Number.NaN;
    value = value * 10 + (code - zero);
  }
  return value <= Number.MAX_SAFE_INTEGER ? value : Number.NaN;
}
