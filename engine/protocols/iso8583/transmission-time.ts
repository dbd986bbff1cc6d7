/** How long ago a message was sent, by the time in its key: DE 7 of 1987, DE 12 of 1993. */

/**
 * Messages that overtake each other on a network's connections come within moments. A message that waits longer for its
 * original would hold up the sender's queue of advices for nothing.
 */
const recentMsMax = 30_000;

/**
 * Whether the message may still be on its way. Times are UTC, as the standard has them: of a network that sends local
 * times nothing is recent.
 * @param transmittedAt MMDDhhmmss or YYMMDDhhmmss
 * @param nowMs wall clock milliseconds since 1970
 */
export function isRecent(transmittedAt: string, nowMs: number): boolean {
  const parts = transmittedAt.match(/[0-9]{2}/g)?.map(Number) ?? [];
  if (parts.length < 5) return false;
  const [month, day, hour, minute, second] = parts.slice(-5) as [number, number, number, number, number];
  const year = new Date(nowMs).getUTCFullYear();
  // The year is not said, or not needed: around its turn the message may be of the one before or behind.
  return [year - 1, year, year + 1].some((of) => {
    const sentMs = Date.UTC(of, month - 1, day, hour, minute, second);
    return Math.abs(nowMs - sentMs) <= recentMsMax;
  });
}
