/**
 * Approvals of one partition that must not stand: their client was answered 503, or what is known was too old to
 * approve by. Each is revoked by a journaled record. Revocations travel in a slab of their own, and no message is
 * decided ahead of them. A repeat of their id would find the approval, whose answer is no longer valid.
 */
import { Reason } from '../core/reasons.js';
import { AnswerFlag, EntryKind, EntryStatus, type Slab } from '../exchange/slab.js';
import type { Waiter } from './waiter.js';

interface Revocation {
  /** Where the approval is journaled: an f64. */
  readonly record: Buffer;
  readonly waiter: Waiter | null;
  readonly arrivalMs: number;
}

export class Revocations {
  #queue: Revocation[] = [];
  /** The journal had no room for the first of them: expire() lets them try again. */
  isHeld = false;

  /** Whether none waits for its slab. */
  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  /**
   * Queues the approvals of a decided slab whose deadline has passed, whose waiter was refused meanwhile, or which are
   * stale.
   * @returns how many
   */
  collect(slab: Slab, waiters: (Waiter | null)[], nowMs: number, deadlineMs: number, isStale: boolean): number {
    let count = 0;
    for (let index = 0; index < slab.count; index++) {
      if ((slab.answerFlags[index]! & AnswerFlag.revocable) === 0) continue;
      const waiter = waiters[index] ?? null;
      if (!isStale && slab.arrivalMs[index]! + deadlineMs > nowMs && waiter?.isRefused !== true) continue;
      waiters[index] = null;
      const record = Buffer.alloc(8);
      record.writeDoubleLE(slab.location[index]!);
      this.#queue.push({ record, waiter, arrivalMs: slab.arrivalMs[index]! });
      count++;
    }
    return count;
  }

  /** Moves as many as fit into their slab. */
  fill(slab: Slab, waiters: (Waiter | null)[]): void {
    slab.clear();
    let count = 0;
    for (const { record, waiter, arrivalMs } of this.#queue) {
      if (!slab.fits(record.length)) break;
      waiters[slab.add(EntryKind.revocation, 0, arrivalMs, record)] = waiter;
      count++;
    }
    this.#queue.splice(0, count);
  }

  /** Those of a returned slab that the journal had no room for stay first in line. */
  keep(slab: Slab, waiters: (Waiter | null)[]): void {
    for (let index = slab.count - 1; index >= 0; index--) {
      if (slab.status[index] !== EntryStatus.unavailable) continue;
      const waiter = waiters[index] ?? null;
      waiters[index] = null;
      const record = Buffer.from(slab.request.subarray(slab.start[index], slab.end[index]));
      this.#queue.unshift({ record, waiter: null, arrivalMs: slab.arrivalMs[index]! });
      this.isHeld = true;
      if (waiter !== null && !waiter.isSettled) waiter.refuse(Reason.systemError);
    }
  }

  /** Calls `visit` with each client that waits until its approval is revoked. */
  forEachWaiter(visit: (waiter: Waiter | null) => void): void {
    for (const { waiter } of this.#queue) visit(waiter);
  }

  /** The worker is gone, and with it what was to be revoked. */
  fail(): void {
    this.isHeld = false;
    for (const { waiter } of this.#queue.splice(0)) {
      if (waiter?.isSettled === false) waiter.refuse(Reason.systemError);
    }
  }
}
