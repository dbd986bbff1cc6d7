/**
 * Until when this engine may approve. It may for `staleMs` after the beginning of the last renewal that proved it up to
 * date. A renewal is written to Postgres first, and then the newest number is read. It counts once everything up to
 * that number is in force here.
 *
 * Why that is safe: an API that waits for a change looks at the engines' rows after the change has its number. If it
 * finds our renewal, it waits for us. If it does not find it, then our reading of the newest number came after that
 * number was given. We do not count as renewed before the change is in force here. An engine whose renewals stopped is
 * left out only when its own time is up (feed_engines_live has the arithmetic).
 *
 * Time is measured by the steady clock, which stops while a machine is suspended, and by the wall clock, which does
 * not. The one that moved further counts.
 */
export interface Instant {
  readonly steadyMs: number;
  readonly wallMs: number;
}

export const systemInstant = (): Instant => ({ steadyMs: performance.now(), wallMs: Date.now() });

/** Renewals that wait for changes to come into force. They are about a second apart: more only says the same again. */
const pendingMax = 64;

export class Lease {
  readonly #staleMs: number;
  readonly #now: () => Instant;
  #since: Instant;
  #applied: number;
  readonly #pending: { readonly began: Instant; readonly newest: number }[] = [];

  /** @param began when the registration began whose newest number is `applied`: nothing had been read before it */
  constructor(staleMs: number, began: Instant, applied: number, now: () => Instant = systemInstant) {
    this.#staleMs = staleMs;
    this.#since = began;
    this.#applied = applied;
    this.#now = now;
  }

  /** A renewal that began then was written, and `newest` read after it. */
  renewed(began: Instant, newest: number): void {
    if (this.#pending.length < pendingMax) this.#pending.push({ began, newest });
    this.#advance();
  }

  /** Everything up to `sequence` is in force. Goes back only when the feed itself began again. */
  applied(sequence: number): void {
    this.#applied = sequence;
    this.#advance();
  }

  #advance(): void {
    while (this.#pending.length > 0 && this.#pending[0]!.newest <= this.#applied) {
      this.#since = this.#pending.shift()!.began;
    }
  }

  /** How long ago it was known to be up to date. */
  get ageMs(): number {
    const now = this.#now();
    return Math.max(now.steadyMs - this.#since.steadyMs, now.wallMs - this.#since.wallMs);
  }

  /** Nothing may be approved. */
  get isStale(): boolean {
    return this.ageMs > this.#staleMs;
  }
}
