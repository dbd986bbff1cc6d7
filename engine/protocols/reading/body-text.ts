/** First steps that the slow readers share: strict decoding of the body, and parsing. */

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
