/** What a reversal or a completion says of the message before it. */
import type { IsoMessage } from './message.js';
import type { Version } from './message-parts.js';
import { classOf, functionOf, IsoClass, IsoFunction } from './message-types.js';
import type { IdKind, MessageKey } from './names.js';
import { readOriginalDataElements } from './original-data-elements.js';
import { readOriginalAmounts, readReplacementAmounts } from './replacement-amounts.js';

export interface OriginalData {
  /** Undefined: its type is zeros, so it may be a request or an advice. */
  readonly kind: IdKind | undefined;
  readonly key: MessageKey;
  /** Of the class that posts at once. */
  readonly isPosted: boolean;
}

/**
 * @param ownAcquirerId of the message itself, which counts where the original's is not known
 * @returns null where it does not name a message: its unknown parts are zeros
 */
export function originalDataOf(message: IsoMessage, version: Version, ownAcquirerId: string): OriginalData | null {
  const data = readOriginalDataElements(message, version);
  if (data === null || data.stan === 0 || !/[1-9]/.test(data.dateTime)) return null;
  const { mti, stan: traceNumber, dateTime: transmittedAt, acquirerId } = data;
  return {
    kind: mti === 0 ? undefined : functionOf(mti) === IsoFunction.advice ? 'advice' : 'question',
    key: { transmittedAt, traceNumber, acquirerId: acquirerId === '' ? ownAcquirerId : acquirerId },
    isPosted: classOf(mti) === IsoClass.financial,
  };
}

/**
 * What a refund came to that a reversal takes back; 0 where that is not said.
 * @param amountMinor as in remainingOf()
 */
export function wholeOf(message: IsoMessage, version: Version, amountMinor: number): number {
  return version === 1993 ? Math.max(amountMinor, readOriginalAmounts(message)?.transactionMinor ?? 0) : amountMinor;
}

/**
 * What remains of the original, minor units of the amount that is decided; 0: nothing.
 * @param amountMinor the amount of the reversal that is decided, see moneyOf()
 */
export function remainingOf(message: IsoMessage, version: Version, amountMinor: number): number {
  const purchased = message.integer(4);
  if (version === 1993) {
    // DE 4 is what remains, where DE 30 says what it was before.
    const before = readOriginalAmounts(message)?.transactionMinor ?? 0;
    return before > purchased ? amountMinor : 0;
  }
  const remaining = readReplacementAmounts(message)?.transactionMinor ?? 0;
  if (remaining === 0) return 0;
  // Also where as much remains as there was, or more: such a reversal asks to release nothing.
  if (amountMinor === purchased) return remaining;
  if (!(purchased > 0)) return 0;
  // In the cardholder's currency at the rate of the message itself.
  const [billed, whole] = [BigInt(amountMinor), BigInt(purchased)];
  return Number((billed * BigInt(remaining) + whole / 2n) / whole);
}
