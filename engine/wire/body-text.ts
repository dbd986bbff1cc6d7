/**
 * First and last steps that the slow readers share: strict decoding of the body, and the kept texts as UTF-8 bytes of
 * their own for Request.source.
 */
import type { Request, TextSlice } from '../core/request.js';

// fatal: JSON is UTF-8 (RFC 8259), and a replaced byte would let two different ids meet. ignoreBOM keeps a byte order
// mark in the text, where JSON.parse refuses it as RFC 8259 section 8.1 asks of senders.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The body as text, or null when it is not UTF-8. */
export function decodeBody(bytes: Uint8Array, start: number, end: number): string | null {
  try {
    // slice() copies: TextDecoder does not take shared memory everywhere, and the slab is shared.
    return decoder.decode(bytes.slice(start, end));
  } catch {
    return null;
  }
}

/** The parsed value, or undefined when the text is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A text and the slice that is to hold it. */
export type TextEntry = readonly [TextSlice, string | undefined];

/** Makes `texts` the request's source, each in its slice. A buffer of its own: a later message cannot overwrite it. */
export function keepTexts(request: Request, texts: readonly TextEntry[]): void {
  const bytes = Buffer.from(texts.map(([, text]) => text ?? '').join(''));
  request.source = new Uint8Array(bytes);
  let position = 0;
  for (const [slice, text] of texts) {
    if (text === undefined || text === '') continue;
    slice.start = position;
    position += Buffer.byteLength(text);
    slice.end = position;
  }
}
