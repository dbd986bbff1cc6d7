/** What the log says of single messages, at most so many of a kind a second. */
import { maskCardData, maskedStart } from '../../platform/masking/redact.js';
import { type Reason, reasonEntry } from '../core/reasons.js';
import type { Fact } from '../protocols/facts/codec.js';

/** At most so many warnings of one kind a second. */
const warningsPerSecondMax = 10;

export interface WarningLog {
  warn(fields: object, message: string): void;
}

/** Of a notification in the log: enough for one message of any processor. */
const unreadLengthMax = 8192;

export function messageWarnings(log: WarningLog, nowMs: () => number) {
  const slowWarnings = new RateLimit(warningsPerSecondMax);
  const unsupportedWarnings = new RateLimit(warningsPerSecondMax);
  const unbookedWarnings = new RateLimit(warningsPerSecondMax);
  const unreadWarnings = new RateLimit(warningsPerSecondMax);
  const linkWarnings = new RateLimit(warningsPerSecondMax);
  return {
    unbooked({ id, type }: Pick<Fact, 'id'> & { readonly type: string }, reason: Reason): void {
      if (!unbookedWarnings.allows(nowMs())) return;
      const fact = { id: maskCardData(id), type, reason: reasonEntry(reason).name };
      log.warn(fact, 'a fact that a processor reported is in no books; book it by hand, or correct what it names');
    },
    unread(body: Uint8Array): void {
      if (!unreadWarnings.allows(nowMs())) return;
      log.warn(
        { body: maskedStart(Buffer.from(body).toString('utf8'), unreadLengthMax) },
        'a notification names what this version does not know, and was acknowledged',
      );
    },
    linkTrouble(link: string, why: string): void {
      if (linkWarnings.allows(nowMs()))
        log.warn({ link, why }, 'an ISO 8583 link has dropped a message or closed a connection');
    },
    unsupported(answer: string): void {
      if (unsupportedWarnings.allows(nowMs())) log.warn({ answer }, 'declined a kind of message that is not served');
    },
    slow(totalMs: number, waitMs: number, runMs: number): void {
      if (!slowWarnings.allows(nowMs())) return;
      const answerMs = totalMs - waitMs - runMs;
      const hop = waitMs >= runMs && waitMs >= answerMs ? 'wait' : runMs >= answerMs ? 'decide' : 'answer';
      log.warn({ hop, totalMs: round(totalMs), waitMs: round(waitMs), decideMs: round(runMs) }, 'slow authorization');
    },
  };
}

/** So many a second, the rest is dropped. */
class RateLimit {
  readonly #perSecond: number;
  #second = 0;
  #count = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  allows(nowMs: number): boolean {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#count = 0;
    }
    return ++this.#count <= this.#perSecond;
  }
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
