/**
 * Which attempt to ask a message was. The fraction of a millisecond of its arrival names it, and goes along to another
 * engine, whose clock differs. So an engine withdraws the attempt that it answered 503, and not a later one with the
 * same id that got an answer.
 */

/** What a double keeps of a millisecond until the year 2039. */
const perMs = 4096;

/** A whole number below 4096. */
export function attemptOf(arrivalMs: number): number {
  return Math.floor((arrivalMs - Math.floor(arrivalMs)) * perMs);
}

/** The arrival of an attempt by another clock. */
export function arrivalOf(attempt: number, aboutMs: number): number {
  return Math.floor(aboutMs) + attempt / perMs;
}

/**
 * Whether two arrivals by the same clock are of one attempt.
 * @param apartMsMax how much two estimates of one arrival may differ
 */
export function isSameAttempt(oneMs: number, otherMs: number, apartMsMax: number): boolean {
  return attemptOf(oneMs) === attemptOf(otherMs) && Math.abs(oneMs - otherMs) <= apartMsMax;
}
