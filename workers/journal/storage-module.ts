/** The disk of a worker's thread, wrapped by a fault test's module when there is one. */
import { FileStorage, type Storage } from './storage.js';

/**
 * @param module URL of a module that exports wrapStorage; null in a deployment
 * @param control shared memory with which a test steers it
 */
export async function openStorage(module: string | null, control: SharedArrayBuffer | null): Promise<Storage> {
  const files = new FileStorage();
  if (module === null) return files;
  const { wrapStorage } = (await import(module)) as {
    wrapStorage(storage: Storage, control: SharedArrayBuffer | null): Storage;
  };
  return wrapStorage(files, control);
}
