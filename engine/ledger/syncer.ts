/**
 * The front's side of a partition's syncer thread (workers/journal/sync.worker.ts). The thread reports when more of the
 * journal is durable, when the disk has failed, and when it ends.
 */
import { Worker } from 'node:worker_threads';
import { FrameExchange } from '../exchange/frame-exchange.js';
import type { SyncerEvent, SyncerWorkerData } from '../exchange/syncer-messages.js';

export interface SyncerEvents {
  /** More is durable: progress.durableSequence says up to where. */
  durable(): void;
  /** The thread cannot open the journal's segment yet, for the `attempt`-th time; it goes on trying. */
  trouble(message: string, attempt: number): void;
  /** A frame could not be made durable, and nothing will be any more. Final. */
  failed(message: string): void;
  /** The thread ended although the front did not stop it. */
  died(error: Error): void;
}

export class Syncer {
  /** Shared with the partition's thread. */
  readonly exchange: SharedArrayBuffer;
  readonly #worker: Worker;
  #isStopping = false;
  #hasEnded = false;

  /** @param data what the thread needs besides the exchange */
  constructor(frameBytesMax: number, data: Omit<SyncerWorkerData, 'exchange'>, events: SyncerEvents) {
    this.exchange = FrameExchange.create(frameBytesMax);
    const exchange = new FrameExchange(this.exchange);
    const workerData: SyncerWorkerData = { ...data, exchange: this.exchange };
    this.#worker = new Worker(new URL('../../workers/journal/sync.worker.js', import.meta.url), { workerData });
    this.#worker.on('message', (event: SyncerEvent) => {
      if (this.#isStopping) return;
      if (event.kind === 'failed') events.failed(event.message);
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

  /** The thread is gone: nothing becomes durable any more. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Resolves when the thread is gone, and with it everything it might have written. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#worker.terminate();
  }
}
