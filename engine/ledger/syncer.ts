/**
 * The front's side of a syncer: what makes the frames of a partition durable. With a local journal each partition has a
 * thread for that (workers/journal/sync.worker.ts); with JOURNAL=postgres they share one (shared-syncer.ts).
 */
import { Worker } from 'node:worker_threads';
import type { WriterFence } from '../core/writer-fence.js';
import { FrameExchange } from '../exchange/frame-exchange.js';
import type { SyncerEvent, SyncerWorkerData } from '../exchange/syncer-messages.js';

/** None comes after stop(). */
export interface SyncerEvents {
  /** More is durable: progress.durableSequence says up to where. A shared syncer says it of all partitions at once. */
  durable(): void;
  /** The thread cannot write yet, for the `attempt`-th time; it goes on trying. */
  trouble(message: string, attempt: number): void;
  /** A frame could not be made durable, and nothing will be any more. Final. `fenced`: another engine is the owner. */
  failed(message: string, fenced: boolean): void;
  /** The thread ended although the front did not stop it. */
  died(error: Error): void;
}

export interface PartitionSyncer {
  /** Shared with the partition's thread. */
  readonly exchange: SharedArrayBuffer;
  /** Nothing becomes durable any more. */
  readonly hasEnded: boolean;
  /** A takeover follows: what it would wait for is made ready. */
  prepare(): void;
  /**
   * With JOURNAL=postgres, once: makes this process the partition's owner, and its copy of the journal.
   * @returns how many frames the copy has
   */
  takeOver(fence: WriterFence, settledSequence: number): Promise<number>;
  /** Resolves when nothing is written any more. */
  stop(): Promise<void>;
}

/** Of a local journal, on a thread of its own. */
export class Syncer implements PartitionSyncer {
  readonly exchange: SharedArrayBuffer;
  readonly #worker: Worker;
  #isStopping = false;
  #hasEnded = false;

  /** @param data what the thread needs besides the exchange */
  constructor(data: Omit<SyncerWorkerData, 'exchange'>, events: SyncerEvents) {
    this.exchange = FrameExchange.create(data.journalSizes.frameBytesMax);
    const exchange = new FrameExchange(this.exchange);
    const workerData: SyncerWorkerData = { ...data, exchange: this.exchange };
    this.#worker = new Worker(new URL('../../workers/journal/sync.worker.js', import.meta.url), { workerData });
    this.#worker.on('message', (event: SyncerEvent) => {
      if (this.#isStopping) return;
      if (event.kind === 'failed') events.failed(event.message, false);
      else if (event.kind === 'trouble') events.trouble(event.message, event.attempt);
      else {
        exchange.acknowledge();
        events.durable();
      }
    });
    let cause = new Error('the syncer thread ended');
    this.#worker.on('error', (error) => {
      cause = error instanceof Error ? error : new Error(String(error));
    });
    this.#worker.on('exit', () => {
      this.#hasEnded = true;
      if (!this.#isStopping) events.died(cause);
    });
  }

  prepare(): void {
    // The thread has its file.
  }

  takeOver(): Promise<number> {
    return Promise.reject(new Error('a local journal is not taken over'));
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Resolves when the thread is gone, and with it everything it might have written. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#worker.terminate();
  }
}

/** A promise that others settle; where it is rejected first, no rejection is left unhandled. */
export function settleable<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((resolved, rejected) => {
    resolve = resolved;
    reject = rejected;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
