/**
 * A storage module for partition workers and their syncers (see StorageFaults). Its thread ends in the middle of its
 * work when a test says so, for one partition at a time. Everything else is as in faulty-storage.ts.
 */
import { workerData } from 'node:worker_threads';
import type { FileId, Storage } from '../../workers/journal/storage.js';
import { FaultControl, FaultyStorage } from '../../workers/testing/faulty-storage.js';

/** Behind the cells of FaultControl. */
const cell = { beforeWrite: 12, beforeSync: 13, beforeRead: 14, syncerStart: 15 } as const;

/**
 * Where a thread ends. The syncer's ends at its start, before a write, or after a write that is not known to be on
 * disk. The worker's ends when it reads an old record to answer a repeat.
 */
export type Moment = keyof typeof cell;

/** The partition's thread that next comes to that moment ends there. */
export function killThread(control: FaultControl, partition: number, moment: Moment): void {
  Atomics.store(control.cells, cell[moment], partition + 1);
}

class DyingStorage extends FaultyStorage {
  readonly #cells: Int32Array;
  readonly #partitions = new Map<FileId, number>();

  constructor(inner: Storage, control: FaultControl) {
    super(inner, control);
    this.#cells = control.cells;
  }

  override open(path: string): FileId {
    return this.#remember(path, super.open(path));
  }
  override create(path: string): FileId {
    return this.#remember(path, super.create(path));
  }
  override pwrite(file: FileId, bytes: Uint8Array, length: number, position: number): void {
    this.#dieAt(cell.beforeWrite, file);
    super.pwrite(file, bytes, length, position);
  }
  override fdatasync(file: FileId): void {
    this.#dieAt(cell.beforeSync, file);
    super.fdatasync(file);
  }

  override pread(file: FileId, target: Uint8Array, targetOffset: number, length: number, position: number): number {
    this.#dieAt(cell.beforeRead, file);
    return super.pread(file, target, targetOffset, length, position);
  }

  #remember(path: string, file: FileId): FileId {
    this.#partitions.set(file, Number(/[/\\]p(\d+)[/\\]/.exec(path)?.[1] ?? -1));
    return file;
  }

  #dieAt(index: number, file: FileId): void {
    const partition = this.#partitions.get(file);
    if (partition !== undefined) dieAt(this.#cells, index, partition);
  }
}

/** In a worker this ends the thread alone, wherever it stands. */
function dieAt(cells: Int32Array, index: number, partition: number): void {
  if (Atomics.compareExchange(cells, index, partition + 1, 0) !== partition + 1) return;
  Atomics.notify(cells, index);
  process.exit(1);
}

/** Where a syncer is to end at its start: until it does, and for the time that it takes the front to hear of it. */
function waitForSyncerEnd(cells: Int32Array): void {
  const armed = Atomics.load(cells, cell.syncerStart);
  if (armed === 0) return;
  Atomics.wait(cells, cell.syncerStart, armed, 5000);
  Atomics.wait(cells, cell.syncerStart, 0, 300);
}

export function wrapStorage(storage: Storage, control: SharedArrayBuffer | null): Storage {
  if (control === null) return storage;
  const faults = new FaultControl(control);
  const armed = Atomics.load(faults.cells, cell.syncerStart);
  // Only the syncer of one partition has a number; the stack says which thread this is.
  const { partition = armed - 1 } = workerData as { readonly partition?: number };
  if (!/sync\.worker/.test(String(new Error().stack))) waitForSyncerEnd(faults.cells);
  else if (armed > 0) dieAt(faults.cells, cell.syncerStart, partition);
  return new DyingStorage(storage, faults);
}
