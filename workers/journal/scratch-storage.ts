/**
 * Files that need not outlive the process: the copy of a journal whose frames are in Postgres. Nothing is synced.
 */
import { type FileId, FileStorage } from './storage.js';

export class ScratchStorage extends FileStorage {
  override fdatasync(): void {
    // What is durable stands in Postgres.
  }
  /** A new file gets a hole of that size: writing megabytes of zeros would hold up the thread's other partitions. */
  override preallocate(file: FileId, fromBytes: number, toBytes: number): void {
    if (this.size(file) <= fromBytes) this.extend(file, toBytes);
    else super.preallocate(file, fromBytes, toBytes);
  }
  protected override fsync(): void {
    // The same.
  }
  override syncDirectory(): void {
    // The same.
  }
}
