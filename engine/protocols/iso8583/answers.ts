/** Answers in the words of ISO 8583: the fields of the question that come back, and what was decided. */
import { unpackLetters } from '../../core/codes.js';
import { numberOfCurrency } from '../../core/money.js';
import { type AdditionalAmount, writeAdditionalAmounts } from './additional-amounts.js';
import type { PartitionAnswer } from './codec.js';
import type { LinkSettings } from './link-settings.js';
import type { IsoMessage } from './message.js';
import { answerMtiOf, classOf, IsoClass } from './message-types.js';
import { de39 } from './results.js';

/** Come back in every answer, where the question has them: a sender finds its question by them. */
const alwaysEchoed = [3, 4, 7, 11, 37, 41, 49];
/** Of messages about the network. */
const networkEchoed = [7, 11, 24, 70];

/** An answer without a decision of the core. @param code of 1987 */
export function answerWith(answer: IsoMessage, asked: IsoMessage, link: LinkSettings, code: string): void {
  answer.clear();
  answer.mti = answerMtiOf(asked.mti);
  const isNetwork = classOf(asked.mti) === IsoClass.network;
  for (const field of isNetwork ? networkEchoed : alwaysEchoed) answer.copy(field, asked);
  if (!isNetwork) for (const field of link.echoFields) answer.copy(field, asked);
  answer.setText(39, de39(code, link.responseCodes, classOf(asked.mti)));
}

/** The answer to a request that was decided. */
export function answerDecided(
  answer: IsoMessage,
  asked: IsoMessage,
  link: LinkSettings,
  decision: PartitionAnswer,
  isApproved: boolean,
  isBalanceInquiry: boolean,
): void {
  const isVerification = decision.responseCode === verified;
  answerWith(answer, asked, link, isVerification ? link.verificationAnswer : decision.responseCode);
  if (!isApproved) return;
  answer.setText(38, decision.approvalCode);
  const amounts: AdditionalAmount[] = [];
  const accountType = asked.text(3).slice(2, 4).padEnd(2, '0');
  const add = (amountType: string, currency: string, amountMinor: number, isDebit = amountMinor < 0): void => {
    const shown = Math.min(Math.abs(amountMinor), additionalAmountMax);
    amounts.push({ accountType, amountType, currency, isDebit, amountMinor: shown });
  };
  if (decision.isPartial) {
    add(AmountType.original, asked.text(49), asked.integer(4), true);
    // A link may have it in fewer digits; less than was asked for fits.
    answer.setInteger(4, decision.amountMinor, asked.lengthOf(4));
  }
  const currency = currencyText(asked, decision.currency);
  if (isBalanceInquiry) add(AmountType.ledger, currency, decision.availableMinor + decision.heldMinor);
  add(AmountType.available, currency, decision.availableMinor);
  writeAdditionalAmounts(answer, amounts);
}

/** The code of the core for a verification without objection. */
const verified = '85';
/** Twelve digits. */
const additionalAmountMax = 999_999_999_999;
/** Of DE 54; the original amount is common use. */
const AmountType = { ledger: '01', available: '02', original: '57' } as const;

/** As the link writes currencies: in letters where the question did. */
function currencyText(asked: IsoMessage, currency: number): string {
  if (/^[A-Z]/.test(asked.text(49))) return unpackLetters(currency);
  return String(numberOfCurrency(currency)).padStart(3, '0');
}
