/**
 * Files that need not outlive the process: the copy of a journal whose frames are in Postgres. Nothing is synced.
 */
import { FileStorage } from './storage.js';

export class ScratchStorage extends FileStorage {
  override fdatasync(): void {
    // What is durable stands in Postgres.
  }
  override syncDirectory(): void {
    // The same.
  }
}
