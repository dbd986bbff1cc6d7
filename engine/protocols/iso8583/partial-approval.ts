/** Where a network says that a terminal takes a partial approval. Each has a place of its own, so a link names it. */
import { digitsOf, type IsoMessage } from './message.js';

export interface PartialApprovalPlace {
  readonly field: number;
  /** Number of a sub-element: two digits of number, two of length, and the value; absent: the whole field. */
  readonly subElement?: number;
  /** Characters before the first sub-element, as the category code of DE48 is. */
  readonly skip?: number;
  /** Place of the character in the value, from 1. */
  readonly position: number;
  /** The character that says yes. */
  readonly value: string;
}

/** True where the message says so; a field that is absent, short or of another form says no. */
export function acceptsPartial(message: IsoMessage, place: PartialApprovalPlace): boolean {
  if (!message.has(place.field)) return false;
  const { bytes } = message;
  let start = message.startOf(place.field);
  let end = message.endOf(place.field);
  if (place.subElement !== undefined) {
    let at = start + (place.skip ?? 0);
    let isFound = false;
    while (!isFound && at + 4 <= end) {
      const length = digitsOf(bytes, at + 2, at + 4);
      if (Number.isNaN(length) || at + 4 + length > end) return false;
      isFound = digitsOf(bytes, at, at + 2) === place.subElement;
      start = at + 4;
      at = start + length;
      if (isFound) end = at;
    }
    if (!isFound) return false;
  }
  const at = start + place.position - 1;
  return at < end && bytes[at] === place.value.charCodeAt(0);
}
