/**
 * Amounts of a partial reversal. DE95 of the version of 1987 has what remains of the original; DE30 of the version of
 * 1993 has what the original was.
 */
import { digitsOf, type IsoMessage } from './message.js';

export interface ReplacementAmounts {
  /** Minor units of DE49: what remains of the transaction. */
  readonly transactionMinor: number;
  /** Minor units of DE50. */
  readonly settlementMinor: number;
  /** Minor units; a credit is above zero, a debit below. */
  readonly transactionFeeMinor: number;
  readonly settlementFeeMinor: number;
}

export interface OriginalAmounts {
  /** Minor units of DE49. */
  readonly transactionMinor: number;
  /** Minor units of DE50. */
  readonly settlementMinor: number;
}

const replacementField = 95;
const originalField = 30;
const replacementLength = 42;
const originalLength = 24;

/**
 * Most links fill the first amount only, with whatever behind it: parts that are no numbers count as zero.
 * @returns null where the field is absent or its first amount is no number
 */
export function readReplacementAmounts(message: IsoMessage): ReplacementAmounts | null {
  if (message.lengthOf(replacementField) !== replacementLength) return null;
  const { bytes } = message;
  const at = message.startOf(replacementField);
  const transactionMinor = digitsOf(bytes, at, at + 12);
  if (Number.isNaN(transactionMinor)) return null;
  return {
    transactionMinor,
    settlementMinor: digitsOf(bytes, at + 12, at + 24) || 0,
    transactionFeeMinor: signedAt(bytes, at + 24),
    settlementFeeMinor: signedAt(bytes, at + 33),
  };
}

/** Sets DE95. */
export function writeReplacementAmounts(message: IsoMessage, amounts: ReplacementAmounts): void {
  const { transactionMinor, settlementMinor, transactionFeeMinor, settlementFeeMinor } = amounts;
  const plain = digitsText(transactionMinor, 12) + digitsText(settlementMinor, 12);
  message.setText(replacementField, plain + signedText(transactionFeeMinor) + signedText(settlementFeeMinor));
}

/** @returns null where DE30 is absent or is not of this form */
export function readOriginalAmounts(message: IsoMessage): OriginalAmounts | null {
  if (message.lengthOf(originalField) !== originalLength) return null;
  const at = message.startOf(originalField);
  const transactionMinor = digitsOf(message.bytes, at, at + 12);
  const settlementMinor = digitsOf(message.bytes, at + 12, at + 24);
  return Number.isNaN(transactionMinor + settlementMinor) ? null : { transactionMinor, settlementMinor };
}

/** Sets DE30 of the version of 1993. */
export function writeOriginalAmounts(
  message: IsoMessage,
  { transactionMinor, settlementMinor }: OriginalAmounts,
): void {
  message.setText(originalField, digitsText(transactionMinor, 12) + digitsText(settlementMinor, 12));
}

function signedAt(bytes: Uint8Array, at: number): number {
  const sign = String.fromCharCode(bytes[at]!);
  const amount = digitsOf(bytes, at + 1, at + 9) || 0;
  return sign === 'D' && amount > 0 ? -amount : sign === 'C' ? amount : 0;
}

function signedText(amountMinor: number): string {
  return (amountMinor < 0 ? 'D' : 'C') + digitsText(Math.abs(amountMinor), 8);
}

function digitsText(amountMinor: number, digits: number): string {
  const text = String(amountMinor).padStart(digits, '0');
  if (!/^[0-9]+$/.test(text) || text.length > digits) throw new RangeError(`an amount has more than ${digits} digits`);
  return text;
}
