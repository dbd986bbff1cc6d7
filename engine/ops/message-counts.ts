/**
 * What the transports of one thread count. The hot path adds to typed arrays. Those of a front thread lie in shared
 * memory, so a scrape in the main thread reads them without asking it.
 */

import { Buckets, latencyBoundsMs } from '../../platform/metrics/buckets.js';
import { Protocol, protocolNames } from '../core/codes.js';
import { type Reason, reasonTable } from '../core/reasons.js';

/** Counts without a label. */
export const Counted = {
  badRequests: 0,
  unauthorized: 1,
  unsupported: 2,
  /** Clients that had gone before their answer. */
  aborted: 3,
  repeated: 4,
  /** Approvals that were sent after their deadline. */
  lateApprovals: 5,
  /** Traces of a front thread beyond the bound of a second. */
  tracesDropped: 6,
} as const;

/** See called(). */
export const callOutcomes = ['approved', 'declined', 'malformed', 'unauthorized', 'unavailable'] as const;

const protocolsCounted = Math.max(...Object.values(Protocol)) + 1;

/** Lengths of the arrays, in the order in which they lie in memory. */
const lengths = {
  singles: Object.keys(Counted).length,
  decisions: reasonTable.length,
  refusals: reasonTable.length,
  facts: reasonTable.length,
  calls: protocolsCounted * callOutcomes.length,
  total: Buckets.cellsOf(latencyBoundsMs),
} as const;

export class MessageCounts {
  /** By Counted. */
  readonly singles: Float64Array;
  /** By reason, as the next two. */
  readonly decisions: Float64Array;
  readonly refusals: Float64Array;
  readonly facts: Float64Array;
  /** Calls answered, by protocol and outcome. */
  readonly calls: Float64Array;
  /** From the arrival of a message to its decided answer. */
  readonly total: Buckets;
  /** Notifications of processors by `protocol:kind`. */
  readonly notifications = new Map<string, number>();

  static memory(): SharedArrayBuffer {
    const cells = Object.values(lengths).reduce((sum, length) => sum + length, 0);
    return new SharedArrayBuffer(cells * Float64Array.BYTES_PER_ELEMENT);
  }

  /** @param memory one thread counts in it, and any may read */
  constructor(readonly memory: SharedArrayBuffer = MessageCounts.memory()) {
    let offset = 0;
    const next = (length: number): Float64Array => {
      const cells = new Float64Array(memory, offset, length);
      offset += cells.byteLength;
      return cells;
    };
    this.singles = next(lengths.singles);
    this.decisions = next(lengths.decisions);
    this.refusals = next(lengths.refusals);
    this.facts = next(lengths.facts);
    this.calls = next(lengths.calls);
    this.total = new Buckets(latencyBoundsMs, next(lengths.total));
  }

  /** @param counted one of Counted */
  add(counted: number): void {
    this.singles[counted]! += 1;
  }

  /** A decided answer left. */
  decided(reason: number, totalMs: number): void {
    this.decisions[reason]! += 1;
    this.total.add(totalMs);
  }

  /** A 503 left. */
  refused(reason: number): void {
    this.refusals[reason]! += 1;
  }

  /** A call was answered, whatever with. */
  called(protocol: number, status: number): void {
    const outcome = status === 200 ? 0 : status === 402 ? 1 : status === 401 ? 3 : status === 503 ? 4 : 2;
    this.calls[protocol * callOutcomes.length + outcome]! += 1;
  }

  /** A fact of a notification was decided for the first time. */
  fact(reason: Reason): void {
    this.facts[reason]! += 1;
  }

  /** A notification of a processor was read. @param kind of a table: anything else would make endless labels */
  notified(protocol: Protocol, kind: string, count = 1): void {
    const key = `${protocolNames[protocol]}:${kind}`;
    this.notifications.set(key, (this.notifications.get(key) ?? 0) + count);
  }
}
