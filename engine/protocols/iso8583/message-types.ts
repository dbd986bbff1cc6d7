/** Message types, taken apart. As a number 1100 is version 1, class 1, function 0, origin 0. */

export const IsoClass = { authorization: 1, financial: 2, reversal: 4, network: 8 } as const;
export const IsoFunction = { request: 0, requestResponse: 1, advice: 2, adviceResponse: 3 } as const;

export function classOf(mti: number): number {
  return Math.floor(mti / 100) % 10;
}

export function functionOf(mti: number): number {
  return Math.floor(mti / 10) % 10;
}

/** Whether the message is a response to one of ours. */
export function isResponse(mti: number): boolean {
  return functionOf(mti) === IsoFunction.requestResponse || functionOf(mti) === IsoFunction.adviceResponse;
}

/** The type of the answer: the next function, and no mark of a repeat. */
export function answerMtiOf(mti: number): number {
  return mti + 10 - (mti % 2);
}

/** Kinds of messages, for the metrics. */
export const messageNames = [
  'authorization',
  'authorization_advice',
  'financial',
  'financial_advice',
  'reversal',
  'reversal_advice',
  'network',
  'other',
] as const;

export function messageNameOf(mti: number): (typeof messageNames)[number] {
  const isAdvice = functionOf(mti) === IsoFunction.advice;
  switch (classOf(mti)) {
    case IsoClass.authorization:
      return isAdvice ? 'authorization_advice' : 'authorization';
    case IsoClass.financial:
      return isAdvice ? 'financial_advice' : 'financial';
    case IsoClass.reversal:
      return isAdvice ? 'reversal_advice' : 'reversal';
    case IsoClass.network:
      return 'network';
    default:
      return 'other';
  }
}
