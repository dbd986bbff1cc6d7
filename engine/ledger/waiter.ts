import type { TraceParent } from '../../platform/tracing/traces.js';
import type { Reason } from '../core/reasons.js';
import type { Answers } from '../exchange/answers.js';

/** The client that waits for an entry's answer. */
export interface Waiter {
  /** Protocol number: the entry's kind. */
  readonly kind: number;
  /** Wall clock ms, stamped once. */
  readonly arrivalMs: number;
  /** An answer was sent (possibly a refusal at the deadline), or the client has gone. */
  readonly isSettled: boolean;
  /** It was answered 503: an approval of it that the worker makes after that must be revoked. */
  readonly isRefused: boolean;
  /** How often it lacked something, and was sent again behind what was looked up. */
  reentries: number;
  /**
   * The trace that another engine continues, where the message is sent there; undefined, or absent: none. It stays the
   * same however often it is asked for.
   */
  hopTrace?(): TraceParent | undefined;
  /**
   * The decided answer: `from.answer[answerStart, answerEnd)` in the words of its protocol. The bytes are valid during
   * the call.
   */
  answer(from: Answers, index: number): void;
  /** No answer could be made: 503 with a decline body. */
  refuse(reason: Reason): void;
}
