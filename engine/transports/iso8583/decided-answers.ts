/** Makes the answer of a link from what its partition decided. */
import { Reason } from '../../core/reasons.js';
import type { Answers } from '../../exchange/answers.js';
import { AnswerFlag, EntryStatus } from '../../exchange/slab.js';
import { Counted } from '../../ops/message-counts.js';
import { answerDecided, answerWith } from '../../protocols/iso8583/answers.js';
import { readPartitionAnswer } from '../../protocols/iso8583/codec.js';
import type { IsoMessage } from '../../protocols/iso8583/message.js';
import { classOf, functionOf, IsoClass, IsoFunction } from '../../protocols/iso8583/message-types.js';
import { ResponseCode } from '../../protocols/iso8583/results.js';
import type { IsoExchange } from './iso-exchange.js';
import type { LinkOutcome } from './link-counts.js';
import type { LinkParts } from './link-options.js';

/** Fills `answer` for the message in `asked`. @returns how it is counted */
export function answerOf(
  link: LinkParts,
  exchange: IsoExchange,
  from: Answers,
  index: number,
  asked: IsoMessage,
  answer: IsoMessage,
): LinkOutcome {
  if (from.status[index] !== EntryStatus.decided) {
    answerWith(answer, asked, link.settings, ResponseCode.formatError);
    link.telemetry.add(Counted.badRequests);
    return 'malformed';
  }
  const flags = from.answerFlags[index]!;
  const reason = from.reason[index] as Reason;
  const isRepeat = (flags & AnswerFlag.repeated) !== 0;
  measure(link, exchange, from, index, isRepeat);
  if (reason === Reason.approved) link.originals.note(exchange.question.reference);
  // It may have another token by now.
  if (reason === Reason.cardNotFound) link.cards.forget(exchange.question.cards[0]!);
  const isReversal = classOf(asked.mti) === IsoClass.reversal;
  const isAdvice = functionOf(asked.mti) === IsoFunction.advice;
  if (isReversal || isAdvice) return acknowledge(link, exchange, asked, answer, reason, isReversal && !isAdvice);
  if (isRepeat && link.settings.duplicateAnswer === 'refused') {
    answerWith(answer, asked, link.settings, ResponseCode.duplicate);
    return 'duplicate';
  }
  const isApproved = (flags & AnswerFlag.approved) !== 0;
  const isInquiry = exchange.question.message.type === 'balance_inquiry';
  const decision = readPartitionAnswer(from.answer, from.answerStart[index]!);
  answerDecided(answer, asked, link.settings, decision, isApproved, isInquiry);
  return isApproved ? 'approved' : 'declined';
}

/** What has happened is acknowledged: a network repeats it until it is. A request may miss its original. */
function acknowledge(
  link: LinkParts,
  { question }: IsoExchange,
  asked: IsoMessage,
  answer: IsoMessage,
  reason: Reason,
  isReversalRequest: boolean,
): LinkOutcome {
  const isUnmatched = reason === Reason.originalNotFound;
  if (isLost(reason, question.message.type === 'reversal')) {
    link.counts.unbooked++;
    link.unbooked(question.message.id, question.message.type, reason);
  }
  const code = isUnmatched && isReversalRequest ? ResponseCode.originalNotFound : ResponseCode.approved;
  answerWith(answer, asked, link.settings, code);
  return code === ResponseCode.approved ? 'acknowledged' : 'declined';
}

/**
 * Whether a decline keeps money out of the books. The others say that there was nothing left to do. A reversal finds
 * its original closed where that was posted: a person must see that the money stays there.
 */
function isLost(reason: Reason, isReversal: boolean): boolean {
  return (
    reason !== Reason.approved &&
    reason !== Reason.duplicateConflict &&
    reason !== Reason.originalNotFound &&
    (reason !== Reason.originalClosed || isReversal)
  );
}

function measure(link: LinkParts, exchange: IsoExchange, from: Answers, index: number, isRepeat: boolean): void {
  const { telemetry, clock, slowMs, deadlineMs } = link;
  const totalMs = clock.nowMs() - exchange.arrivalMs;
  telemetry.decided(from.reason[index]!, totalMs);
  if (isRepeat) telemetry.add(Counted.repeated);
  if (totalMs <= slowMs) return;
  const isRevocable = (from.answerFlags[index]! & AnswerFlag.revocable) !== 0;
  if (totalMs > deadlineMs && isRevocable) telemetry.add(Counted.lateApprovals);
  link.slow(totalMs, from.sealedAtMs - exchange.arrivalMs, from.returnedAtMs - from.sealedAtMs);
}
