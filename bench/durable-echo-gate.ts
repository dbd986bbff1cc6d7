/** The memory that the durable echo's front and its syncer share: a batch of bytes, and a word with its length. */

/** More than 10,000 connections can send at once. */
export const slotBytes = 4 * 1024 * 1024;

export interface RequestGate {
  readonly shared: SharedArrayBuffer;
  readonly bytes: Uint8Array;
  /** Only while the syncer has no batch. */
  hand(lengthBytes: number): void;
  /** Blocks until there is a batch. @returns its length */
  take(): number;
}

/** @param shared the other side's memory; absent: new memory */
export function requestGate(shared = new SharedArrayBuffer(4 + slotBytes)): RequestGate {
  const length = new Int32Array(shared, 0, 1);
  return {
    shared,
    bytes: new Uint8Array(shared, 4),
    hand(lengthBytes) {
      Atomics.store(length, 0, lengthBytes);
      Atomics.notify(length, 0);
    },
    take() {
      Atomics.wait(length, 0, 0);
      return Atomics.exchange(length, 0, 0);
    },
  };
}
