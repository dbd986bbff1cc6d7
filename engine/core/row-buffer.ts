/**
 * Memory for rows of fixed size. Reserved at its bound and zero: the system hands out pages when they are first
 * written, so what is not used takes no memory.
 */

/**
 * Large blocks of the C library begin 16 bytes into a page. Without the first 48 bytes, rows of 64 bytes begin on a
 * cache line. Then a message that touches a random row waits for one line and not for two. With another allocator rows
 * may lie in two lines: slower, and nothing else.
 */
const bytesSkipped = 48;

export interface RowBuffer {
  readonly buffer: ArrayBuffer;
  /** Where the first row begins; a multiple of 16. */
  readonly byteOffset: number;
}

export function rowBuffer(rowCount: number, rowBytes: number): RowBuffer {
  return { buffer: new ArrayBuffer(bytesSkipped + rowCount * rowBytes), byteOffset: bytesSkipped };
}
