/**
 * Keys of the caches: the bytes of a text, one character a byte, which is cheaper than decoding UTF-8. Recalled
 * records, roots and accounts are keyed so.
 */
import type { TextSlice } from '../../engine/core/request.js';

export function byteText(source: Uint8Array, slice: TextSlice): string {
  if (Buffer.isBuffer(source)) return source.toString('latin1', slice.start, slice.end);
  return Buffer.from(source.buffer, source.byteOffset + slice.start, slice.end - slice.start).toString('latin1');
}

/** The same key of a text that comes as a string. */
export function byteKey(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
