/**
 * The front's side of a partition's syncer thread (workers/journal/sync.worker.ts). The thread reports when more of the
 * journal is durable, when the disk has failed, and when it ends.
 */
import { Worker } from 'node:worker_threads';
import { FrameExchange } from '../exchange/frame-exchange.js';
import type { SyncerEvent, SyncerWorkerData, TakeOver } from '../exchange/syncer-messages.js';

export interface SyncerEvents {
  /** More is durable: progress.durableSequence says up to where. */
  durable(): void;
  /** The thread cannot write yet, for the `attempt`-th time; it goes on trying. */
  trouble(message: string, attempt: number): void;
  /** A frame could not be made durable, and nothing will be any more. Final. */
  failed(message: string, fenced: boolean): void;
  /** The thread ended although the front did not stop it. */
  died(error: Error): void;
}

export class Syncer {
  /** Shared with the partition's thread. */
  readonly exchange: SharedArrayBuffer;
  readonly #worker: Worker;
  #isStopping = false;
  #hasEnded = false;
  readonly #takenOver = settleable<number>();

  /** @param data what the thread needs besides the exchange */
  constructor(frameBytesMax: number, data: Omit<SyncerWorkerData, 'exchange'>, events: SyncerEvents) {
    this.exchange = FrameExchange.create(frameBytesMax);
    const exchange = new FrameExchange(this.exchange);
    const workerData: SyncerWorkerData = { ...data, exchange: this.exchange };
    const module = data.postgresJournal === null ? 'sync.worker.js' : 'postgres-sync.worker.js';
    this.#worker = new Worker(new URL(`../../workers/journal/${module}`, import.meta.url), { workerData });
    this.#worker.on('message', (event: SyncerEvent) => {
      if (this.#isStopping) return;
      if (event.kind === 'failed') {
        this.#takenOver.reject(new Error(event.message));
        events.failed(event.message, event.fenced);
      } else if (event.kind === 'tookOver') this.#takenOver.resolve(event.frames);
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
      this.#takenOver.reject(cause);
      if (!this.#isStopping) events.died(cause);
    });
  }

  /**
   * With JOURNAL=postgres, once: makes this process the partition's owner, and its copy of the journal.
   * @returns how many frames the copy has
   */
  takeOver(epoch: number, settledSequence: number): Promise<number> {
    const order: TakeOver = { kind: 'takeOver', epoch, settledSequence };
    this.#worker.postMessage(order);
    return this.#takenOver.promise;
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

/** A promise that others settle; where it is rejected first, no rejection is left unhandled. */
function settleable<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((resolved, rejected) => {
    resolve = resolved;
    reject = rejected;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
