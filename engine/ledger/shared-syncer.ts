/**
 * The front's side of the syncer's thread with JOURNAL=postgres (workers/journal/postgres-sync.worker.ts), which all
 * partitions of the engine share. The thread starts with the first partition and ends with the last.
 */
import { Worker } from 'node:worker_threads';
import type { WriterFence } from '../core/writer-fence.js';
import { Doorbell, Notices } from '../exchange/doorbell.js';
import { FrameExchange } from '../exchange/frame-exchange.js';
import type { SharedSyncerEvent, SharedSyncerWorkerData, SyncerOrder } from '../exchange/syncer-messages.js';
import { type PartitionSyncer, type SyncerEvents, settleable } from './syncer.js';

export class SharedSyncer {
  readonly bell = new Doorbell(Doorbell.create());
  readonly #data: Omit<SharedSyncerWorkerData, 'bell' | 'notices'>;
  readonly #places = new Map<number, SyncerPlace>();
  readonly #durable: () => void;
  #worker: Worker | null = null;
  #nextPlace = 1;

  /** @param durable more is durable, of some partitions */
  constructor(data: Omit<SharedSyncerWorkerData, 'bell' | 'notices'>, durable: () => void) {
    this.#data = data;
    this.#durable = durable;
  }

  /** A place for a partition, whose frames nothing is done with before takeOver(). */
  open(partition: number, events: SyncerEvents): PartitionSyncer {
    this.#worker ??= this.#start();
    const place = new SyncerPlace(this, this.#nextPlace++, partition, this.#data.journalSizes.frameBytesMax, events);
    this.#places.set(place.number, place);
    return place;
  }

  #start(): Worker {
    const notices = new Notices(Notices.create());
    const workerData: SharedSyncerWorkerData = { ...this.#data, bell: this.bell.buffer, notices: notices.buffer };
    const worker = new Worker(new URL('../../workers/journal/postgres-sync.worker.js', import.meta.url), {
      workerData,
    });
    worker.on('message', (event: SharedSyncerEvent) => {
      if (worker === this.#worker) this.#received(event, notices);
    });
    let cause = new Error('the syncer thread ended');
    worker.on('error', (error) => {
      cause = error instanceof Error ? error : new Error(String(error));
    });
    worker.on('exit', () => {
      if (worker !== this.#worker) return;
      this.#worker = null;
      const places = [...this.#places.values()];
      this.#places.clear();
      for (const place of places) place.died(cause);
    });
    return worker;
  }

  #received(event: SharedSyncerEvent, notices: Notices): void {
    switch (event.kind) {
      case 'durable':
        notices.acknowledge();
        this.#durable();
        return;
      case 'trouble':
        // Postgres is the same for all of them: one says so.
        this.#places.values().next().value?.events.trouble(event.message, event.attempt);
        return;
      default:
        this.#places.get(event.place)?.received(event);
    }
  }

  order(order: SyncerOrder): void {
    this.#worker?.postMessage(order);
    this.bell.ring();
  }

  /** The place has left. Resolves when the thread is gone, where it was the last. */
  async closed(place: number): Promise<void> {
    this.#places.delete(place);
    if (this.#places.size > 0) return;
    const worker = this.#worker;
    this.#worker = null;
    await worker?.terminate();
  }
}

class SyncerPlace implements PartitionSyncer {
  readonly exchange: SharedArrayBuffer;
  readonly number: number;
  readonly events: SyncerEvents;
  readonly #syncer: SharedSyncer;
  readonly #partition: number;
  readonly #takenOver = settleable<number>();
  readonly #left = settleable<void>();
  #isStopping = false;
  hasEnded = false;

  constructor(syncer: SharedSyncer, number: number, partition: number, frameBytesMax: number, events: SyncerEvents) {
    this.#syncer = syncer;
    this.number = number;
    this.#partition = partition;
    this.exchange = FrameExchange.create(frameBytesMax);
    this.events = {
      durable: () => undefined,
      trouble: (message, attempt) => this.#isStopping || events.trouble(message, attempt),
      failed: (message, fenced) => this.#isStopping || events.failed(message, fenced),
      died: (error) => this.#isStopping || events.died(error),
    };
  }

  prepare(): void {
    this.#syncer.order({ kind: 'prepare', partition: this.#partition });
  }

  takeOver({ epoch, holder }: WriterFence, settledSequence: number): Promise<number> {
    const { exchange, number: place } = this;
    const partition = this.#partition;
    this.#syncer.order({ kind: 'takeOver', place, partition, exchange, epoch, holder, settledSequence });
    return this.#takenOver.promise;
  }

  received(event: Extract<SharedSyncerEvent, { readonly place: number }>): void {
    if (event.kind === 'tookOver') this.#takenOver.resolve(event.frames);
    else if (event.kind === 'left') this.#left.resolve();
    else {
      this.hasEnded = true;
      this.#takenOver.reject(new Error(event.message));
      this.events.failed(event.message, event.fenced);
    }
  }

  died(error: Error): void {
    this.hasEnded = true;
    // A partition that waits for its frame shall not wait for ever.
    new FrameExchange(this.exchange).fail();
    this.#takenOver.reject(error);
    this.#left.resolve();
    this.events.died(error);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    if (!this.hasEnded) {
      // While the thread is busy with Postgres, it hears of this between two steps.
      this.#syncer.order({ kind: 'leave', place: this.number });
      await this.#left.promise;
    }
    this.hasEnded = true;
    this.#takenOver.reject(new Error('the partition has left'));
    await this.#syncer.closed(this.number);
  }
}
