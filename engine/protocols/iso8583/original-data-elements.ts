/**
 * The message that a reversal or a completion is about: DE90 in the version of 1987, DE56 in that of 1993. Parts that
 * the sender does not know are zeros.
 */
import { digitsOf, type IsoMessage } from './message.js';

export interface OriginalDataElements {
  /** Message type as a number; 0: not known. */
  readonly mti: number;
  /** DE11 as a number; 0: not known. */
  readonly stan: number;
  /** DE7, MMDDhhmmss; in the version of 1993 DE12, YYMMDDhhmmss. */
  readonly dateTime: string;
  /** DE32 as institutionId() gives it. */
  readonly acquirerId: string;
  /** DE33; '' in the version of 1993. */
  readonly forwarderId: string;
}

const field1987 = 90;
const field1993 = 56;
const idDigits = 11;

/** An institution's id without leading zeros, which DE90 has and DE32 may not have; '': not known. */
export function institutionId(digits: string): string {
  return digits.replace(/^0+/, '');
}

/** @returns null where the field is absent or is not of this form */
export function readOriginalDataElements(message: IsoMessage, version: 1987 | 1993): OriginalDataElements | null {
  const field = version === 1987 ? field1987 : field1993;
  const text = message.text(field);
  if (!/^[0-9]+$/.test(text)) return null;
  const at = message.startOf(field);
  const head = { mti: digitsOf(message.bytes, at, at + 4), stan: digitsOf(message.bytes, at + 4, at + 10) };
  if (version === 1987) {
    if (text.length !== 42) return null;
    return {
      ...head,
      dateTime: text.slice(10, 20),
      acquirerId: institutionId(text.slice(20, 31)),
      forwarderId: institutionId(text.slice(31, 42)),
    };
  }
  // The acquirer's id has a length of its own, and a sender may leave it out.
  const idLength = text.length === 22 ? 0 : Number(text.slice(22, 24));
  if (text.length !== 22 && (text.length !== 24 + idLength || idLength > idDigits)) return null;
  return { ...head, dateTime: text.slice(10, 22), acquirerId: institutionId(text.slice(24)), forwarderId: '' };
}

/** Sets DE90 or DE56. */
export function writeOriginalDataElements(
  message: IsoMessage,
  version: 1987 | 1993,
  { mti, stan, dateTime, acquirerId, forwarderId }: OriginalDataElements,
): void {
  const head = String(mti).padStart(4, '0') + String(stan).padStart(6, '0');
  if (version === 1987) {
    const ids = acquirerId.padStart(idDigits, '0') + forwarderId.padStart(idDigits, '0');
    message.setText(field1987, head + dateTime.padStart(10, '0') + ids);
  } else {
    const id = String(acquirerId.length).padStart(2, '0') + acquirerId;
    message.setText(field1993, head + dateTime.padStart(12, '0') + id);
  }
}
