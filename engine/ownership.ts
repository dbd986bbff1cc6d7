/** How an engine becomes the writer of partitions, and stays it. */
import type { Metrics } from '../platform/metrics/metrics.js';
import type { CallFigures } from './ops/marqeta-watch.js';

/** An engine as `GET /admin/engines` shows it. */
export interface EngineView {
  readonly id: string;
  readonly authUrl: string;
  readonly opsUrl: string;
  /** The highest of its partitions' epochs; 0 while it owns none. */
  readonly epoch: number;
  readonly partitions: readonly number[];
  readonly leaseMsLeft: number;
}

export interface Ownership {
  /** Before anything of the ledger is read. Throws with one line for a person when this engine cannot be a writer. */
  take(): Promise<void>;
  /** Resolves when messages can be taken: each partition is ready, here or at another engine. */
  startPartitions(): Promise<void>;
  /**
   * Gives to other engines what they can take over; messages are answered meanwhile.
   * @returns whether they have taken over everything: this engine can go on to bring messages to them
   */
  leave(): Promise<boolean>;
  /** Behind the last decision. */
  stop(): Promise<void>;
  /** Called when the state of a partition of this engine is another one, or of a connection to another engine. */
  partitionChanged(): void;
  /** The time of the lease is over: another engine may be a writer by now. */
  readonly isLapsed: boolean;
  /** False where only the lease says who the writer is, and it has lapsed. */
  readonly mayApprove: boolean;
  /** Why no message of the partition can be decided now; '' when another engine decides it. */
  elsewhere(partition: number): string;
  /** Of the partition's owner, whichever engine that is; 0 while it never had one. */
  epochOf(partition: number): number;
  /** Adds what is counted of the other engines. */
  measure(metrics: Metrics): void;
  /** @param own what this engine knows of Marqeta's calls */
  countCalls(own: () => CallFigures): void;
  /** Marqeta's calls of all engines that answer. */
  calls(): Promise<readonly CallFigures[]>;
  /** All engines that run on the database. */
  engines(): readonly EngineView[];
}
