/**
 * A Storage that breaks on command. The command is in shared memory, so a test switches faults on in a running worker
 * thread. Make a FaultControl, pass its buffer as workerData, and wrap the real storage there.
 */
import { type FileId, ShortWriteError, type Storage } from '../journal/storage.js';

const cell = {
  syncSkip: 0,
  syncFail: 1,
  syncHold: 2,
  syncSlowMs: 3,
  writeShortBytes: 4,
  full: 5,
  held: 6,
  syncs: 7,
  writes: 8,
  writeFail: 9,
  outOfDescriptors: 10,
} as const;

/** The switches. Every one may be thrown from any thread; 0 is off. */
export class FaultControl {
  readonly cells: Int32Array;

  constructor(readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(64)) {
    this.cells = new Int32Array(buffer);
  }

  /** After `skip` more good ones, every fdatasync fails with EIO. */
  failSyncs(skip = 0): void {
    Atomics.store(this.cells, cell.syncSkip, skip);
    Atomics.store(this.cells, cell.syncFail, 1);
  }

  /** Every fdatasync takes this much longer; milliseconds. */
  slowSyncs(delayMs: number): void {
    Atomics.store(this.cells, cell.syncSlowMs, delayMs);
  }

  /** The next fdatasync blocks its thread until releaseSyncs. */
  holdSyncs(): void {
    Atomics.store(this.cells, cell.syncHold, 1);
  }

  releaseSyncs(): void {
    Atomics.store(this.cells, cell.syncHold, 0);
    Atomics.notify(this.cells, cell.syncHold);
  }

  /** True while a thread stands in a held fdatasync. */
  get syncHeld(): boolean {
    return Atomics.load(this.cells, cell.held) !== 0;
  }

  /** The next pwrite writes only this many bytes and then says so. */
  shortWrite(bytes: number): void {
    Atomics.store(this.cells, cell.writeShortBytes, bytes + 1);
  }

  /** Every pwrite fails with EIO. */
  failWrites(): void {
    Atomics.store(this.cells, cell.writeFail, 1);
  }

  /** No room for new files (writes into preallocated ones go on), until `full(false)`. */
  full(isFull: boolean): void {
    Atomics.store(this.cells, cell.full, isFull ? 1 : 0);
  }

  /** Whatever needs a file descriptor fails with EMFILE, until `outOfDescriptors(false)`. */
  outOfDescriptors(isOut: boolean): void {
    Atomics.store(this.cells, cell.outOfDescriptors, isOut ? 1 : 0);
  }

  /** All switches off; the counters stay. */
  heal(): void {
    for (const index of [
      cell.syncSkip,
      cell.syncFail,
      cell.syncSlowMs,
      cell.writeShortBytes,
      cell.full,
      cell.writeFail,
      cell.outOfDescriptors,
    ]) {
      Atomics.store(this.cells, index, 0);
    }
    this.releaseSyncs();
  }

  get syncs(): number {
    return Atomics.load(this.cells, cell.syncs);
  }
  get writes(): number {
    return Atomics.load(this.cells, cell.writes);
  }
}

export class FaultyStorage implements Storage {
  readonly #inner: Storage;
  readonly #cells: Int32Array;
  readonly #never = new Int32Array(new SharedArrayBuffer(4));

  constructor(inner: Storage, control: FaultControl) {
    this.#inner = inner;
    this.#cells = control.cells;
  }

  preallocate(file: FileId, fromBytes: number, toBytes: number): void {
    if (this.#on(cell.full)) {
      // Like a real disk: some of it fits.
      this.#inner.preallocate(file, fromBytes, fromBytes + Math.floor((toBytes - fromBytes) / 1024) * 512);
      throw fault('ENOSPC');
    }
    this.#inner.preallocate(file, fromBytes, toBytes);
  }

  pwrite(file: FileId, bytes: Uint8Array, length: number, position: number): void {
    Atomics.add(this.#cells, cell.writes, 1);
    if (this.#on(cell.writeFail)) throw fault('EIO');
    const short = Atomics.exchange(this.#cells, cell.writeShortBytes, 0) - 1;
    if (short >= 0 && short < length) {
      if (short > 0) this.#inner.pwrite(file, bytes, short, position);
      throw new ShortWriteError(short, length);
    }
    this.#inner.pwrite(file, bytes, length, position);
  }

  fdatasync(file: FileId): void {
    Atomics.add(this.#cells, cell.syncs, 1);
    while (this.#on(cell.syncHold)) {
      Atomics.store(this.#cells, cell.held, 1);
      Atomics.wait(this.#cells, cell.syncHold, 1);
    }
    Atomics.store(this.#cells, cell.held, 0);
    const slowMs = Atomics.load(this.#cells, cell.syncSlowMs);
    if (slowMs > 0) Atomics.wait(this.#never, 0, 0, slowMs);
    if (this.#on(cell.syncFail) && Atomics.sub(this.#cells, cell.syncSkip, 1) <= 0) throw fault('EIO');
    this.#inner.fdatasync(file);
  }

  freeBytes(directory: string): number {
    return this.#on(cell.full) ? 0 : this.#inner.freeBytes(directory);
  }

  makeDirectory(path: string): void {
    this.#inner.makeDirectory(path);
  }
  list(directory: string): string[] {
    this.#takeDescriptor();
    return this.#inner.list(directory);
  }
  exists(path: string): boolean {
    return this.#inner.exists(path);
  }
  open(path: string): FileId {
    this.#takeDescriptor();
    return this.#inner.open(path);
  }
  create(path: string): FileId {
    this.#takeDescriptor();
    return this.#inner.create(path);
  }
  close(file: FileId): void {
    this.#inner.close(file);
  }
  size(file: FileId): number {
    return this.#inner.size(file);
  }
  pread(file: FileId, target: Uint8Array, targetOffset: number, length: number, position: number): number {
    return this.#inner.pread(file, target, targetOffset, length, position);
  }
  rename(from: string, to: string): void {
    this.#inner.rename(from, to);
  }
  remove(path: string): void {
    this.#inner.remove(path);
  }
  syncDirectory(directory: string): void {
    this.#inner.syncDirectory(directory);
  }

  #takeDescriptor(): void {
    if (this.#on(cell.outOfDescriptors)) throw fault('EMFILE');
  }

  #on(index: number): boolean {
    return Atomics.load(this.#cells, index) !== 0;
  }
}

/**
 * Zeroes the sectors of [fromBytes, toBytes) that `lost` names by index from the first: what a crash leaves of a write.
 */
export function tearSectors(
  storage: Storage,
  path: string,
  fromBytes: number,
  toBytes: number,
  lost: (index: number) => boolean,
): void {
  const file = storage.open(path);
  let index = 0;
  for (let start = fromBytes; start < toBytes; index++) {
    const end = Math.min(toBytes, Math.floor(start / 512) * 512 + 512);
    if (lost(index)) storage.pwrite(file, new Uint8Array(end - start), end - start, start);
    start = end;
  }
  storage.close(file);
}

/** Flips one bit of a file. */
export function flipBit(storage: Storage, path: string, bit: number): void {
  const file = storage.open(path);
  const byte = new Uint8Array(1);
  storage.pread(file, byte, 0, 1, bit >>> 3);
  byte[0]! ^= 1 << (bit & 7);
  storage.pwrite(file, byte, 1, bit >>> 3);
  storage.close(file);
}

function fault(name: string): Error {
  return Object.assign(new Error(`${name} (injected)`), { code: name });
}

/** For workers that take a storage module: wraps their storage when a control buffer came with it. */
export function wrapStorage(storage: Storage, control: SharedArrayBuffer | null): Storage {
  return control === null ? storage : new FaultyStorage(storage, new FaultControl(control));
}
