/**
 * The closed loop: every connection sends its next request when its answer came. Ceiling and evenness, no promises
 * about a rate.
 */
import type { Connection } from './connection.js';
import { Sender } from './sender.js';

export class ClosedSender extends Sender {
  protected get waitingCount(): number {
    return 0;
  }

  protected started(): void {}

  protected measuredFrom(): number {
    return Number.NEGATIVE_INFINITY;
  }

  protected stopping(nowMs: number): void {
    this.tally.stop(nowMs);
  }

  /** One clock read per answer serves as its end and as the start of the next request. */
  protected release(connection: Connection, nowMs: number): void {
    if (this.phase !== 'running') return;
    if (this.requestsUsedUp) {
      this.postIfExhausted();
      return;
    }
    this.requestCount++;
    this.dispatch(connection, nowMs, nowMs);
  }
}
