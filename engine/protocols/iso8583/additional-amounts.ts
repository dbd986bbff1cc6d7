/** DE54: up to six amounts beside that of the transaction, for example balances and the amount before an approval. */
import { digitsOf, type IsoMessage } from './message.js';

export interface AdditionalAmount {
  /** As in the processing code: 00 default, 10 savings, 20 checking, 30 credit. */
  readonly accountType: string;
  /** 01 ledger balance, 02 available balance, 40 cash-back, 57 original amount. */
  readonly amountType: string;
  /** As the link writes currencies: numeric of ISO 4217, or letters. */
  readonly currency: string;
  readonly isDebit: boolean;
  /** Minor units, never below zero: isDebit has the sign. */
  readonly amountMinor: number;
}

const field = 54;
const groupLength = 20;
const groupsMax = 6;
const signC = 0x43;
const signD = 0x44;

/** @returns the amounts, none where the field is absent; null where it is not of this form */
export function readAdditionalAmounts(message: IsoMessage): readonly AdditionalAmount[] | null {
  const length = message.lengthOf(field);
  if (length % groupLength !== 0 || length > groupLength * groupsMax) return null;
  const amounts: AdditionalAmount[] = [];
  const { bytes } = message;
  const start = message.startOf(field);
  for (let at = start; at < start + length; at += groupLength) {
    const sign = bytes[at + 7]!;
    const amountMinor = digitsOf(bytes, at + 8, at + groupLength);
    if ((sign !== signC && sign !== signD) || Number.isNaN(amountMinor)) return null;
    const text = bytes.toString('latin1', at, at + 7);
    amounts.push({
      accountType: text.slice(0, 2),
      amountType: text.slice(2, 4),
      currency: text.slice(4),
      isDebit: sign === signD,
      amountMinor,
    });
  }
  return amounts;
}

/**
 * Sets DE54.
 * @throws RangeError where a part has not its length, or there are more than six amounts
 */
export function writeAdditionalAmounts(message: IsoMessage, amounts: readonly AdditionalAmount[]): void {
  if (amounts.length > groupsMax) throw new RangeError(`DE54 has at most ${groupsMax} amounts`);
  const texts = amounts.map(({ accountType, amountType, currency, isDebit, amountMinor }) => {
    const text = `${accountType}${amountType}${currency}${isDebit ? 'D' : 'C'}${String(amountMinor).padStart(12, '0')}`;
    if (!/^[0-9A-Za-z]{7}[CD][0-9]{12}$/.test(text)) throw new RangeError('a part of DE54 has not its length');
    return text;
  });
  message.setText(field, texts.join(''));
}
