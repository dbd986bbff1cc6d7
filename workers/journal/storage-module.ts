/** The disk of a worker's thread, wrapped by a fault test's module when there is one. */
import { ScratchStorage } from './scratch-storage.js';
import { FileStorage, type Storage } from './storage.js';

/**
 * @param isScratch what is written need not outlive the process
 * @param module URL of a module that exports wrapStorage; null in a deployment
 * @param control shared memory with which a test steers it
 */
export async function openStorage(
  isScratch: boolean,
  module: string | null,
  control: SharedArrayBuffer | null,
): Promise<Storage> {
  const files = isScratch ? new ScratchStorage() : new FileStorage();
  if (module === null) return files;
  const { wrapStorage } = (await import(module)) as {
    wrapStorage(storage: Storage, control: SharedArrayBuffer | null): Storage;
  };
  return wrapStorage(files, control);
}
