/** A partition as what moves partitions between engines sees it. PartitionHost is one. */
import type { WriterFence } from '../core/writer-fence.js';

/**
 * away        another engine is its owner, or none
 * starting    being taken over: nothing of it has been decided here yet
 * ready       takes messages
 * leaving     takes no more messages, and decides those that it has
 * restarting  its thread died and is being replaced
 * failed      its journal failed: final
 * stopped     this engine ends
 */
export type PartitionState = 'away' | 'starting' | 'ready' | 'leaving' | 'restarting' | 'failed' | 'stopped';

export interface OwnedPartition {
  readonly partition: number;
  readonly state: PartitionState;
  /** Takes the memory and the thread's place ahead of a takeover, so that start() is quick. Idempotent. */
  prepare(): Promise<void>;
  /**
   * Becomes the owner's side of the partition: takeover, restore, replay, ready. Throws; the state is then 'away'.
   * @param settledSequence what Postgres has settled of it, where the caller knows
   */
  start(fence: WriterFence, settledSequence?: number): Promise<void>;
  /**
   * In order: settles while still open (bounded), closes the lane, answers what is in flight, settles the rest
   * (bounded), stops. Then 'away'. A partition that is not ready is dropped.
   * @param closed called once nothing is decided or settled any more, for another engine that waits for it: that one
   * replays what is not settled
   */
  release(closed?: () => void): Promise<void>;
  /**
   * Another engine is the owner: throws memory away at once, and refuses what waits in the lane (503). The state is
   * 'away' at once; resolves when nothing of the partition is left.
   */
  drop(): Promise<void>;
}
