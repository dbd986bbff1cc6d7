/**
 * Where a message of a partition goes. With a local journal every partition stands in this engine; with
 * JOURNAL=postgres another engine may be its owner.
 */
import { Reason } from '../core/reasons.js';
import type { Lane } from './lane.js';
import type { Waiter } from './waiter.js';

export interface Placement {
  /**
   * Brings a message to its partition. The waiter is answered or refused, during the call or by its deadline.
   * @param body read during the call only
   */
  submit(partition: number, body: Uint8Array, waiter: Waiter): void;
  /** Refuses what waits beyond its deadline. Called by one coarse timer. */
  expire(nowMs: number): void;
  /** Messages that wait here, or for another engine's answer. */
  readonly waiting: number;
  /** The partition whose reader says what is wrong with a message that cannot be read. */
  readonly readerPartition: number;
}

/** Every partition stands in this engine. */
export class LocalPlacement implements Placement {
  readonly #hosts: readonly { readonly lane: Lane }[];
  readonly waiting = 0;
  readonly readerPartition = 0;

  /** @param hosts by partition */
  constructor(hosts: readonly { readonly lane: Lane }[]) {
    this.#hosts = hosts;
  }

  submit(partition: number, body: Uint8Array, waiter: Waiter): void {
    const { lane } = this.#hosts[partition]!;
    if (lane.claim(waiter.kind, 0, waiter.arrivalMs, body, waiter)) return;
    waiter.refuse(lane.isReady ? Reason.overloaded : Reason.systemError);
  }

  expire(): void {
    // Nothing waits outside of the lanes.
  }
}
