/**
 * Decided answers as the front reads them: those of a slab of a partition of this engine, or one that another engine
 * sent. `index` says which of them is meant.
 */
export interface Answers {
  /** One of EntryStatus each. */
  readonly status: Uint8Array;
  /** Bits of AnswerFlag each. */
  readonly answerFlags: Uint8Array;
  /** One of Reason each. */
  readonly reason: Uint8Array;
  /** The answer's bytes are `answer[answerStart[index], answerEnd[index])`. */
  readonly answerStart: Int32Array;
  readonly answerEnd: Int32Array;
  /** A transport may stamp the response time into it. */
  readonly answer: Buffer;
  /** When the question left for its partition, wall clock ms. */
  readonly sealedAtMs: number;
  /** When the front got the answer, wall clock ms. */
  readonly returnedAtMs: number;
}
