/**
 * Reads one HTTP/1.1 answer out of received bytes: status, where the body stands, nothing else. Bytes may come split
 * (then the caller keeps them and asks again with more) or several answers at once (the length says where the next one
 * starts). Only answers with Content-Length; anything else counts as malformed.
 */

/** Larger answers are a fault of the server under test; the bound keeps a runaway answer from eating the generator. */
export const answerBytesMax = 64 * 1024;

/** Filled by readAnswer and reused, so that reading allocates nothing. */
export class AnswerView {
  bytes: Uint8Array = new Uint8Array(0);
  status = 0;
  /** The body is bytes[bodyStart, bodyEnd), valid until the next answer is read. */
  bodyStart = 0;
  bodyEnd = 0;
}

export const answerIncomplete = 0;
export const answerMalformed = -1;

const contentLength = Buffer.from('content-length:', 'latin1');

/** @returns length of the answer in bytes, or answerIncomplete, or answerMalformed. */
export function readAnswer(bytes: Uint8Array, start: number, end: number, view: AnswerView): number {
  // "HTTP/1.1 200" and at least the end of its line
  if (end - start < 14) return answerIncomplete;
  if (bytes[start] !== 72 || bytes[start + 8] !== 32) return answerMalformed;
  const status = (bytes[start + 9]! - 48) * 100 + (bytes[start + 10]! - 48) * 10 + (bytes[start + 11]! - 48);
  if (!(status >= 100 && status <= 999)) return answerMalformed;

  let bodyLength = -1;
  let position = start + 12;
  for (;;) {
    while (position < end && bytes[position] !== 10) position++;
    position++;
    if (position + 1 >= end) return end - start > answerBytesMax ? answerMalformed : answerIncomplete;
    if (bytes[position] === 13) break;
    if (startsWithContentLength(bytes, position, end)) {
      position += contentLength.length;
      while (position < end && bytes[position] === 32) position++;
      let length = 0;
      for (; position < end; position++) {
        const digit = bytes[position]! - 48;
        if (digit < 0 || digit > 9) break;
        length = length * 10 + digit;
        if (length > answerBytesMax) return answerMalformed;
      }
      bodyLength = length;
    }
  }
  // These two have no body, whatever their head says.
  if (status === 204 || status === 304) bodyLength = 0;
  if (bodyLength < 0) return answerMalformed;
  view.bytes = bytes;
  view.status = status;
  view.bodyStart = position + 2;
  view.bodyEnd = view.bodyStart + bodyLength;
  return view.bodyEnd > end ? answerIncomplete : view.bodyEnd - start;
}

function startsWithContentLength(bytes: Uint8Array, position: number, end: number): boolean {
  if (position + contentLength.length > end) return false;
  for (let index = 0; index < contentLength.length; index++) {
    // `| 32` makes letters lower case; '-' and ':' have that bit set already.
    if ((bytes[position + index]! | 32) !== contentLength[index]) return false;
  }
  return true;
}
