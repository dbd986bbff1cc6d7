/**
 * Settles as `work` does. Where that takes longer than `ms`, it settles as `late` says: with what `late` returns or
 * throws. The work itself goes on, and what comes of it is dropped.
 */
export async function withDeadline<T, L = never>(work: T | PromiseLike<T>, ms: number, late: () => L): Promise<T | L> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  }).then(late);
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

export const noAnswerCode = 'NO_ANSWER';

/** For `late`: the error says how long the wait was. */
export function noAnswer(ms: number): never {
  throw Object.assign(new Error(`no answer within ${Math.round(ms)} ms`), { code: noAnswerCode });
}
