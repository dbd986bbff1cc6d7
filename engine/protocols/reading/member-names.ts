/**
 * The names of members in a message: one that comes twice refuses the message, one that we do not know is counted.
 */
import { maskCardData } from '../../../platform/masking/redact.js';

/** More members than this in one object are not read in place. */
const namesMax = 64;

/** The names of one object, read in place. Reused: it allocates nothing. */
export class NamesSeen {
  readonly #starts = new Int32Array(namesMax);
  readonly #ends = new Int32Array(namesMax);
  #count = 0;
  /** A name whose bit is not set in these 64 has not been there. */
  #low = 0;
  #high = 0;

  reset(): void {
    this.#count = 0;
    this.#low = 0;
    this.#high = 0;
  }

  /** Adds the name `bytes[start, end)`. @returns false when it was there already, or there are too many */
  add(bytes: Uint8Array, start: number, end: number): boolean {
    const length = end - start;
    const bit = length === 0 ? 0 : (length * 5 + bytes[start]! * 3 + bytes[end - 1]!) & 63;
    const isNew = bit < 32 ? (this.#low & (1 << bit)) === 0 : (this.#high & (1 << (bit - 32))) === 0;
    if (!isNew && this.#has(bytes, start, length)) return false;
    if (this.#count === namesMax) return false;
    if (bit < 32) this.#low |= 1 << bit;
    else this.#high |= 1 << (bit - 32);
    this.#starts[this.#count] = start;
    this.#ends[this.#count] = end;
    this.#count++;
    return true;
  }

  #has(bytes: Uint8Array, start: number, length: number): boolean {
    for (let index = 0; index < this.#count; index++) {
      const other = this.#starts[index]!;
      if (this.#ends[index]! - other === length && sameBytes(bytes, other, bytes, start, length)) return true;
    }
    return false;
  }
}

function sameBytes(a: Uint8Array, aStart: number, b: Uint8Array, bStart: number, length: number): boolean {
  for (let index = 0; index < length; index++) if (a[aStart + index] !== b[bStart + index]) return false;
  return true;
}

/** Names that are counted one by one; the last bit of 31 stands for all others. */
const countedNamesMax = 30;
const otherBit = 1 << countedNamesMax;
const shownLengthMax = 64;

/** Unknown fields by name. A message has one bit for each: Request.unknownFields. The number of names is bounded. */
export class UnknownFields {
  readonly #names: Uint8Array[] = [];
  /** The object that each stands in, '' for the body. */
  readonly #parents: string[] = [];
  readonly #shown: string[] = [];

  /** The names by bit, as they are shown: card data masked, at most 64 characters. */
  get names(): readonly string[] {
    return this.#names.length < countedNamesMax ? this.#shown : [...this.#shown, 'other'];
  }

  /**
   * The bit of the name `bytes[start, end)`. Allocates for a new name only.
   * @param parent the object that it stands in, with a point; '' for the body
   */
  bitOf(parent: string, bytes: Uint8Array, start: number, end: number): number {
    const length = end - start;
    for (let index = 0; index < this.#names.length; index++) {
      const name = this.#names[index]!;
      if (name.length !== length || this.#parents[index] !== parent) continue;
      if (sameBytes(name, 0, bytes, start, length)) return 1 << index;
    }
    if (this.#names.length === countedNamesMax) return otherBit;
    const name = bytes.slice(start, end);
    this.#names.push(name);
    this.#parents.push(parent);
    this.#shown.push(parent + shownName(Buffer.from(name).toString('utf8')));
    return 1 << (this.#names.length - 1);
  }

  bitOfText(parent: string, name: string): number {
    const bytes = Buffer.from(name);
    return this.bitOf(parent, bytes, 0, bytes.length);
  }
}

/** A field's name as it may be logged and sent back. */
export function shownName(name: string): string {
  return maskCardData(name.replace(/[\p{Cc}\p{Cf}\p{Cs}]/gu, '')).slice(0, shownLengthMax);
}

/** The known name that `name` was probably meant to be: at most a third of it away by insertions, deletions, swaps. */
export function nearestName(name: string, known: readonly string[]): string | null {
  let nearest: string | null = null;
  let least = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase().slice(0, shownLengthMax), candidate.toLowerCase());
    if (distance >= least) continue;
    least = distance;
    nearest = candidate;
  }
  return nearest;
}

/** Insertions, deletions, replacements and swaps of neighbours that make one name of the other. */
function editDistance(a: string, b: string): number {
  const rows = Array.from({ length: a.length + 1 }, (_, row) =>
    Array.from({ length: b.length + 1 }, (_, column) => (row === 0 ? column : column === 0 ? row : 0)),
  );
  for (let row = 1; row <= a.length; row++) {
    for (let column = 1; column <= b.length; column++) {
      const replaced = a[row - 1] === b[column - 1] ? 0 : 1;
      let least = Math.min(
        rows[row - 1]![column]! + 1,
        rows[row]![column - 1]! + 1,
        rows[row - 1]![column - 1]! + replaced,
      );
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (swapped) least = Math.min(least, rows[row - 2]![column - 2]! + 1);
      rows[row]![column] = least;
    }
  }
  return rows[a.length]![b.length]!;
}
