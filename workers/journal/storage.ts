/**
 * The disk as the journal sees it: synchronous, positional, explicit about what is durable when. The only importer of
 * node:fs among the workers; tests put faulty-storage.ts or memory-storage.ts in its place.
 *
 * All calls block. The thread has nothing else to do until its batch is on disk, and a blocking call is a few
 * microseconds cheaper than a trip through the libuv pool. Errors are Node's (`code` ENOSPC, EIO …) unless said.
 */
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** An open file. */
export type FileId = number;

export interface Storage {
  /** Makes a folder and its parents, durably; one that exists is fine. */
  makeDirectory(path: string): void;
  /** Names in a folder, sorted; none when there is no such folder. */
  list(directory: string): string[];
  /** True when there is a file of this name now. */
  exists(path: string): boolean;
  /** Opens an existing file for reading and writing. */
  open(path: string): FileId;
  /** Makes a new file; an existing one is an error (EEXIST). Durable by name only after syncDirectory. */
  create(path: string): FileId;
  close(file: FileId): void;
  /** Size in bytes. */
  size(file: FileId): number;
  /**
   * Writes real zeros over [from, to) and syncs them, so that later writes inside change no metadata and cannot run out
   * of space. Throws ENOSPC or EDQUOT when they do not fit.
   */
  preallocate(file: FileId, fromBytes: number, toBytes: number): void;
  /**
   * Writes `length` bytes from the start of `bytes` at `position`, with one system call.
   * Throws ShortWriteError when the system took fewer.
   */
  pwrite(file: FileId, bytes: Uint8Array, length: number, position: number): void;
  /** Returns once the file's data is on the device. An error is final: see JournalFailedError. */
  fdatasync(file: FileId): void;
  /**
   * Reads up to `length` bytes into `target` at `targetOffset`; fewer only at the end of the file. Returns the count.
   */
  pread(file: FileId, target: Uint8Array, targetOffset: number, length: number, position: number): number;
  /** Replaces `to` when it exists. Durable only after syncDirectory. */
  rename(from: string, to: string): void;
  /** A file that does not exist is fine. Durable only after syncDirectory. */
  remove(path: string): void;
  /** Makes creations, renames and removals in the folder durable. */
  syncDirectory(directory: string): void;
  /** Bytes an unprivileged writer can still take on the folder's file system. */
  freeBytes(directory: string): number;
}

/** The system wrote a part of a frame: what is on disk is torn, so the writer must stop like after a failed sync. */
export class ShortWriteError extends Error {
  override readonly name = 'ShortWriteError';
  readonly code = 'SHORT_WRITE';
  constructor(
    readonly writtenBytes: number,
    readonly wantedBytes: number,
  ) {
    super(`the system wrote ${writtenBytes} of ${wantedBytes} bytes`);
  }
}

/** True when the error says that the disk or a quota is full, which passes once there is room again. */
export function isDiskFull(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** Big enough to keep the device busy, small enough to stand in memory for good. */
const zeros = new Uint8Array(1 << 20);

/** The real disk. */
export class FileStorage implements Storage {
  /** Open folders by path: once a name has changed, syncing it must not depend on a free file descriptor. */
  readonly #directories = new Map<string, FileId>();

  makeDirectory(path: string): void {
    const first = mkdirSync(path, { recursive: true });
    if (first === undefined) return;
    // Each new folder's name lives in its parent: sync from the innermost up to the parent of the first new one.
    for (let made = path; ; made = dirname(made)) {
      this.syncDirectory(dirname(made));
      if (made === first || made === dirname(made)) return;
    }
  }

  list(directory: string): string[] {
    try {
      return readdirSync(directory).sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }

  /** Where a symbolic link points; '' when there is none. */
  linkTarget(path: string): string {
    try {
      return readlinkSync(path);
    } catch {
      return '';
    }
  }

  exists(path: string): boolean {
    return existsSync(path);
  }

  open(path: string): FileId {
    return openSync(path, 'r+');
  }

  create(path: string): FileId {
    return openSync(path, 'wx+', 0o600);
  }

  close(file: FileId): void {
    closeSync(file);
  }

  size(file: FileId): number {
    return fstatSync(file).size;
  }

  /** Up to that size the file is zeros, for which the disk may have no room. */
  extend(file: FileId, toBytes: number): void {
    ftruncateSync(file, toBytes);
  }

  preallocate(file: FileId, fromBytes: number, toBytes: number): void {
    let position = fromBytes;
    while (position < toBytes) {
      // A full disk first gives a short count; the call after it gives ENOSPC.
      position += writeSync(file, zeros, 0, Math.min(zeros.length, toBytes - position), position);
    }
    this.fsync(file);
  }

  /** Data and size. */
  protected fsync(file: FileId): void {
    fsyncSync(file);
  }

  pwrite(file: FileId, bytes: Uint8Array, length: number, position: number): void {
    const written = writeSync(file, bytes, 0, length, position);
    if (written !== length) throw new ShortWriteError(written, length);
  }

  fdatasync(file: FileId): void {
    fdatasyncSync(file);
  }

  pread(file: FileId, target: Uint8Array, targetOffset: number, length: number, position: number): number {
    let total = 0;
    while (total < length) {
      const count = readSync(file, target, targetOffset + total, length - total, position + total);
      if (count === 0) break;
      total += count;
    }
    return total;
  }

  rename(from: string, to: string): void {
    renameSync(from, to);
  }

  remove(path: string): void {
    rmSync(path, { force: true });
  }

  syncDirectory(directory: string): void {
    fsyncSync(this.#directory(directory));
  }

  /** The open folder, unless another one has taken its path meanwhile. */
  #directory(path: string): FileId {
    const known = this.#directories.get(path);
    if (known !== undefined) {
      const [open, named] = [fstatSync(known), statSync(path)];
      if (open.ino === named.ino && open.dev === named.dev) return known;
      this.#directories.delete(path);
      closeSync(known);
    }
    const file = openSync(path, 'r');
    this.#directories.set(path, file);
    return file;
  }

  freeBytes(directory: string): number {
    const stats = statfsSync(directory);
    return stats.bavail * stats.bsize;
  }
}
