/**
 * The kinds of question that Lithic asks, and what each is decided as. A status that is not here is declined, never
 * guessed.
 */
import { MessageType } from '../../core/codes.js';

export interface Status {
  readonly name: string;
  readonly type: MessageType;
  /** Money comes in: the card is judged, the amount is not, and nothing moves before Lithic's event says so. */
  readonly isCredit: boolean;
}

/** The commonest first. Where one stands is part of what a question is known by again: append only. */
export const statuses: readonly Status[] = [
  { name: 'AUTHORIZATION', type: MessageType.authorization, isCredit: false },
  // Held like the first one. It is posted when Lithic's event says that the purchase has happened.
  { name: 'FINANCIAL_AUTHORIZATION', type: MessageType.authorization, isCredit: false },
  { name: 'BALANCE_INQUIRY', type: MessageType.balanceInquiry, isCredit: false },
  { name: 'CREDIT_AUTHORIZATION', type: MessageType.balanceInquiry, isCredit: true },
  { name: 'FINANCIAL_CREDIT_AUTHORIZATION', type: MessageType.balanceInquiry, isCredit: true },
];
