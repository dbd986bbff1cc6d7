/**
 * A disk in memory that forgets like a real one. Every file has a page cache and a device. fdatasync copies dirty
 * sectors from one to the other, and syncDirectory makes names durable. crash() loses the page cache: each dirty sector
 * and each unsynced change of names survives or not as `keep` says. A failed fdatasync marks the dirty sectors clean
 * without writing them, which is what Linux does.
 */
import { basename, dirname } from 'node:path';
import type { FileId, Storage } from '../journal/storage.js';

const sector = 512;

class MemoryFile {
  cache = new Uint8Array(0);
  disk = new Uint8Array(0);
  readonly dirty = new Set<number>();

  grow(bytes: number): void {
    if (bytes <= this.cache.length) return;
    const grown = new Uint8Array(bytes);
    grown.set(this.cache);
    this.cache = grown;
  }

  flush(which: (sectorNumber: number) => boolean): void {
    if (this.disk.length < this.cache.length) {
      const grown = new Uint8Array(this.cache.length);
      grown.set(this.disk);
      this.disk = grown;
    }
    for (const number of this.dirty) {
      const from = number * sector;
      if (which(number)) this.disk.set(this.cache.subarray(from, from + sector), from);
    }
    this.dirty.clear();
  }
}

class MemoryDirectory {
  names = new Map<string, MemoryFile>();
  durable = new Map<string, MemoryFile>();
  /** States of the folder since the last sync, oldest first: a crash leaves one of them. */
  history: Map<string, MemoryFile>[] = [];
}

export class MemoryStorage implements Storage {
  readonly #directories = new Map<string, MemoryDirectory>();
  readonly #open = new Map<FileId, MemoryFile>();
  #nextFile = 100;
  /** Makes the next fdatasync fail, once. */
  failNextSync = false;
  syncs = 0;
  writes = 0;
  /** Bytes that may still be allocated. */
  free = Number.MAX_SAFE_INTEGER;

  /**
   * The machine loses power: all files are closed and only what the device holds remains.
   * @param keep decides for each dirty sector whether it reached the device
   * @param nameStep picks one of the `count` folder states since the last sync
   */
  crash(keep: (sectorNumber: number) => boolean, nameStep: (count: number) => number = (count) => count - 1): void {
    this.#open.clear();
    for (const directory of this.#directories.values()) {
      const states = [directory.durable, ...directory.history];
      directory.names = new Map(states[nameStep(states.length)]!);
      directory.durable = new Map(directory.names);
      directory.history = [];
      for (const file of directory.names.values()) {
        file.flush(keep);
        file.cache = file.disk.slice();
      }
    }
  }

  /** The process dies, the machine lives: the page cache stays. */
  kill(): void {
    this.#open.clear();
  }

  /** The bytes of a file as the page cache shows them, to be damaged by a test. */
  bytesOf(path: string): Uint8Array {
    return this.#file(path).cache;
  }

  paths(): string[] {
    const found: string[] = [];
    for (const [path, directory] of this.#directories)
      for (const name of directory.names.keys()) found.push(`${path}/${name}`);
    return found.sort();
  }

  makeDirectory(path: string): void {
    if (!this.#directories.has(path)) this.#directories.set(path, new MemoryDirectory());
  }

  list(directory: string): string[] {
    const names = [...(this.#directories.get(directory)?.names.keys() ?? [])];
    for (const path of this.#directories.keys()) if (dirname(path) === directory) names.push(basename(path));
    return names.sort();
  }

  exists(path: string): boolean {
    return this.#directories.get(dirname(path))?.names.has(basename(path)) === true;
  }

  open(path: string): FileId {
    return this.#register(this.#file(path));
  }

  create(path: string): FileId {
    const directory = this.#directory(path);
    if (directory.names.has(basename(path))) throw code('EEXIST');
    const file = new MemoryFile();
    this.#rename(directory, (names) => names.set(basename(path), file));
    return this.#register(file);
  }

  close(file: FileId): void {
    if (!this.#open.delete(file)) throw code('EBADF');
  }

  size(file: FileId): number {
    return this.#handle(file).cache.length;
  }

  preallocate(file: FileId, fromBytes: number, toBytes: number): void {
    const target = this.#handle(file);
    const more = Math.max(0, toBytes - target.cache.length);
    if (more > this.free) throw code('ENOSPC');
    this.free -= more;
    target.grow(toBytes);
    target.cache.fill(0, fromBytes, toBytes);
    this.#mark(target, fromBytes, toBytes);
    this.fdatasync(file);
  }

  pwrite(file: FileId, bytes: Uint8Array, length: number, position: number): void {
    const target = this.#handle(file);
    this.writes++;
    target.grow(position + length);
    target.cache.set(bytes.subarray(0, length), position);
    this.#mark(target, position, position + length);
  }

  fdatasync(file: FileId): void {
    const target = this.#handle(file);
    this.syncs++;
    if (this.failNextSync) {
      this.failNextSync = false;
      target.dirty.clear();
      throw code('EIO');
    }
    target.flush(() => true);
  }

  pread(file: FileId, target: Uint8Array, targetOffset: number, length: number, position: number): number {
    const source = this.#handle(file).cache.subarray(position, position + length);
    target.set(source, targetOffset);
    return source.length;
  }

  rename(from: string, to: string): void {
    const file = this.#file(from);
    this.#rename(this.#directory(from), (names) => {
      names.delete(basename(from));
      names.set(basename(to), file);
    });
  }

  remove(path: string): void {
    const directory = this.#directories.get(dirname(path));
    const file = directory?.names.get(basename(path));
    if (directory === undefined || file === undefined) return;
    this.free += file.cache.length;
    this.#rename(directory, (names) => names.delete(basename(path)));
  }

  syncDirectory(path: string): void {
    const directory = this.#directories.get(path);
    if (directory === undefined) throw code('ENOENT');
    directory.durable = new Map(directory.names);
    directory.history = [];
  }

  freeBytes(): number {
    return this.free;
  }

  #rename(directory: MemoryDirectory, change: (names: Map<string, MemoryFile>) => void): void {
    change(directory.names);
    directory.history.push(new Map(directory.names));
  }

  #mark(file: MemoryFile, from: number, to: number): void {
    for (let number = Math.floor(from / sector); number * sector < to; number++) file.dirty.add(number);
  }

  #register(file: MemoryFile): FileId {
    const id = this.#nextFile++;
    this.#open.set(id, file);
    return id;
  }

  #handle(file: FileId): MemoryFile {
    const found = this.#open.get(file);
    if (found === undefined) throw code('EBADF');
    return found;
  }

  #directory(path: string): MemoryDirectory {
    const found = this.#directories.get(dirname(path));
    if (found === undefined) throw code('ENOENT');
    return found;
  }

  #file(path: string): MemoryFile {
    const found = this.#directories.get(dirname(path))?.names.get(basename(path));
    if (found === undefined) throw code('ENOENT');
    return found;
  }
}

function code(name: string): Error {
  return Object.assign(new Error(`${name} (memory storage)`), { code: name });
}
