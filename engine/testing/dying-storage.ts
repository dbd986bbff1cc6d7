/**
 * A storage module for partition workers and their syncers (see StorageFaults) whose thread ends in the middle of its work when a test
 * says so, for one partition at a time. Everything else is as in faulty-storage.ts.
 */
import type { FileId, Storage } from '../../workers/storage.js';
import { FaultControl, FaultyStorage } from '../../workers/testing/faulty-storage.js';

/** Behind the cells of FaultControl. */
const cell = { beforeWrite: 12, beforeSync: 13, beforeRead: 14 } as const;

/**
 * Where a thread ends: the syncer's with nothing written yet, or written and not known to be on disk; the worker's when it
 * reads an old record back to answer a repeat.
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
    if (partition === undefined) return;
    // In a worker this ends the thread alone, wherever it stands.
    if (Atomics.compareExchange(this.#cells, index, partition + 1, 0) === partition + 1) process.exit(1);
  }
}

export function wrapStorage(storage: Storage, control: SharedArrayBuffer | null): Storage {
  return control === null ? storage : new DyingStorage(storage, new FaultControl(control));
}
