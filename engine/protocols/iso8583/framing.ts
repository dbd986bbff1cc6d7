/** Frames of ISO 8583 on TCP: how long a message is, and the header that some links put before it. */
import { hexDigits, hexValueOf } from './characters.js';
import { messageBytesLimit } from './message.js';

/**
 * How the length is written. Sources: jPOS (channel classes of these names), moov-io/iso8583 (package network).
 *
 * - binary2, binary3, binary4: big-endian. NACChannel and PostChannel have 2 bytes, RawChannel has 4.
 * - bcd2: four decimal digits, packed.
 * - ascii4: four decimal digits, as ASCIIChannel has them.
 * - hex4: four hexadecimal digits, as HEXChannel has them.
 * - binary2_zeros: 2 bytes big-endian and 2 zero bytes, as CSChannel has them.
 */
export const lengthKinds = ['binary2', 'bcd2', 'ascii4', 'hex4', 'binary4', 'binary2_zeros', 'binary3'] as const;
export type LengthKind = (typeof lengthKinds)[number];

export const keepAlives = ['ignore', 'echo', 'refuse'] as const;

export interface FramingSettings {
  readonly length: LengthKind;
  /** The length counts its own bytes as well. */
  readonly lengthIncludesItself?: boolean;
  /** The length counts the header as well; yes unless it says no. */
  readonly lengthIncludesHeader?: boolean;
  /** A TPDU is 5 bytes of which an answer swaps source and destination; a plain header goes back as it came. */
  readonly header?: { readonly kind: 'tpdu' | 'plain'; readonly bytes?: number };
  /** What a frame of length zero means; it is refused unless this says otherwise. */
  readonly keepAlive?: (typeof keepAlives)[number];
  /** Longest message in bytes, without length and header. */
  readonly messageBytesMax?: number;
}

/** Longest plain header. */
export const headerBytesLimit = 64;
const tpduBytes = 5;

export class Framing {
  readonly lengthBytes: number;
  readonly headerBytes: number;
  readonly isTpdu: boolean;
  readonly messageBytesMax: number;
  readonly keepAlive: (typeof keepAlives)[number];
  readonly #kind: LengthKind;
  /** What the length counts beside the message. */
  readonly #countedBytes: number;

  /** @throws RangeError where the settings contradict each other */
  constructor(settings: FramingSettings) {
    this.#kind = settings.length;
    this.lengthBytes = { binary2: 2, bcd2: 2, binary3: 3, ascii4: 4, hex4: 4, binary4: 4, binary2_zeros: 4 }[
      settings.length
    ];
    this.isTpdu = settings.header?.kind === 'tpdu';
    this.headerBytes = this.isTpdu ? tpduBytes : (settings.header?.bytes ?? 0);
    if (settings.header?.kind === 'plain' && settings.header.bytes === undefined) {
      throw new RangeError('a plain header needs its number of bytes');
    }
    this.messageBytesMax = settings.messageBytesMax ?? messageBytesLimit;
    this.keepAlive = settings.keepAlive ?? 'refuse';
    this.#countedBytes =
      (settings.lengthIncludesItself === true ? this.lengthBytes : 0) +
      (settings.lengthIncludesHeader === false ? 0 : this.headerBytes);
  }

  /** Bytes before the message: a sender writes it so far behind the frame's beginning. */
  get overheadBytes(): number {
    return this.lengthBytes + this.headerBytes;
  }

  get frameBytesMax(): number {
    return this.overheadBytes + this.messageBytesMax;
  }

  /**
   * Reads the length of a frame.
   * @returns bytes of the message without its header; keepAliveLength, or a negative number for what is no length
   */
  readLength(bytes: Uint8Array, at: number): number {
    const counted = this.#readCount(bytes, at);
    if (counted === 0) return keepAliveLength;
    if (counted < this.#countedBytes) return wrongLength;
    const length = counted - this.#countedBytes;
    // A length that counts itself never is zero: its keep-alive counts nothing else.
    if (length === 0 && this.headerBytes === 0) return keepAliveLength;
    return length > this.messageBytesMax ? tooLong : length;
  }

  /**
   * Writes length and header before a message that is at `into[at + overheadBytes…]` already.
   * @param header of the request that this answers, or of the link's own messages; absent: zeros
   * @param isAnswer swaps source and destination of a TPDU
   * @returns bytes of the whole frame
   */
  finish(into: Uint8Array, at: number, messageBytes: number, header: Uint8Array | null, isAnswer: boolean): number {
    this.#writeCount(into, at, messageBytes + this.#countedBytes);
    const to = at + this.lengthBytes;
    for (let index = 0; index < this.headerBytes; index++) into[to + index] = header?.[index] ?? 0;
    if (this.isTpdu && isAnswer) {
      // 60 destination destination source source.
      for (let index = 1; index <= 2; index++) {
        const destination = into[to + index]!;
        into[to + index] = into[to + index + 2]!;
        into[to + index + 2] = destination;
      }
    }
    return this.overheadBytes + messageBytes;
  }

  /** Writes the frame of length zero. @returns its bytes */
  writeKeepAlive(into: Uint8Array, at: number): number {
    this.#writeCount(into, at, 0);
    return this.lengthBytes;
  }

  #readCount(bytes: Uint8Array, at: number): number {
    switch (this.#kind) {
      case 'binary2':
        return (bytes[at]! << 8) | bytes[at + 1]!;
      case 'binary3':
        return (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
      case 'binary4':
        // Unsigned, so that a high bit is a long frame and not a negative one.
        return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
      case 'binary2_zeros':
        return bytes[at + 2] === 0 && bytes[at + 3] === 0 ? (bytes[at]! << 8) | bytes[at + 1]! : -1;
      case 'bcd2':
        return digitsAt(bytes, at, 4, 10, packedDigit);
      case 'ascii4':
        return digitsAt(bytes, at, 4, 10, textDigit);
      case 'hex4':
        return digitsAt(bytes, at, 4, 16, textDigit);
    }
  }

  #writeCount(into: Uint8Array, at: number, count: number): void {
    switch (this.#kind) {
      case 'bcd2':
        into[at] = (Math.floor(count / 1000) << 4) | (Math.floor(count / 100) % 10);
        into[at + 1] = ((Math.floor(count / 10) % 10) << 4) | (count % 10);
        return;
      case 'ascii4':
      case 'hex4': {
        const base = this.#kind === 'hex4' ? 16 : 10;
        let rest = count;
        for (let index = 3; index >= 0; index--) {
          into[at + index] = hexDigits[rest % base]!;
          rest = Math.floor(rest / base);
        }
        return;
      }
      default: {
        const bytes = this.#kind === 'binary2_zeros' ? 2 : this.lengthBytes;
        for (let index = 0; index < bytes; index++) into[at + index] = (count >>> (8 * (bytes - 1 - index))) & 255;
        for (let index = bytes; index < this.lengthBytes; index++) into[at + index] = 0;
      }
    }
  }
}

export const keepAliveLength = -1;
export const wrongLength = -2;
export const tooLong = -3;

const noDigit = 16;
const packedDigit = (bytes: Uint8Array, at: number, index: number): number =>
  index % 2 === 0 ? bytes[at + (index >> 1)]! >> 4 : bytes[at + (index >> 1)]! & 15;
const textDigit = (bytes: Uint8Array, at: number, index: number): number => {
  const value = hexValueOf[bytes[at + index]!]!;
  return value > 15 ? noDigit : value;
};

/** @returns the number, or -1 where a digit is none of the base */
function digitsAt(
  bytes: Uint8Array,
  at: number,
  count: number,
  base: number,
  digit: (bytes: Uint8Array, at: number, index: number) => number,
): number {
  let value = 0;
  for (let index = 0; index < count; index++) {
    const next = digit(bytes, at, index);
    if (next >= base) return -1;
    value = value * base + next;
  }
  return value;
}
