/** The texts of a request as UTF-8 bytes of their own, where they did not come as bytes that can be kept in place. */
import type { Request, TextSlice } from './request.js';

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
