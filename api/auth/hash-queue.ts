/**
 * Whose hash runs next. Sign-ins and registrations wait in queues of their own, so that a flood of one leaves the other
 * its places. Sign-ins go first, but of four hashes one is a registration's while any waits.
 */
import { unavailable } from '../http/problem.js';

export type HashPurpose = 'sign-in' | 'registration';

/** A hash takes 12 ms: two seconds' worth of sign-ins on one core, and two seconds' worth at a registration's share. */
export const waitingMax: Readonly<Record<HashPurpose, number>> = { 'sign-in': 160, registration: 40 };
const registrationShare = 4;

export class HashQueue {
  readonly #runningMax: number;
  readonly #waiting: Record<HashPurpose, (() => void)[]> = { 'sign-in': [], registration: [] };
  #running = 0;
  /** Sign-ins that went ahead of a waiting registration since the last one ran. */
  #ahead = 0;
  /** Callers that were answered "later"; read by the metrics. */
  refused = 0;

  constructor(runningMax: number) {
    this.#runningMax = runningMax;
  }

  get waiting(): number {
    return this.#waiting['sign-in'].length + this.#waiting.registration.length;
  }

  /** Runs the work when its turn comes. Throws 503 when too many wait for the same purpose. */
  async run<T>(purpose: HashPurpose, work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#runningMax) this.#running++;
    else {
      const queue = this.#waiting[purpose];
      if (queue.length >= waitingMax[purpose]) {
        this.refused++;
        throw unavailable(`too many ${purpose}s at once; try again`, 2, 'overloaded');
      }
      // The caller that finishes hands its place over.
      await new Promise<void>((resolve) => queue.push(resolve));
    }
    try {
      return await work();
    } finally {
      const next = this.#next();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  #next(): (() => void) | undefined {
    const { 'sign-in': signIns, registration: registrations } = this.#waiting;
    if (registrations.length > 0 && (signIns.length === 0 || this.#ahead >= registrationShare - 1)) {
      this.#ahead = 0;
      return registrations.shift();
    }
    this.#ahead++;
    return signIns.shift();
  }
}
