/** What a connection sends that is no HTTP request: answered with a problem like every other error, then closed. */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { apiVersion } from './api-version.js';
import { bodyOf, Problem, problemContentType } from './problem.js';
import { requestIdOf } from './request-ids.js';

/** What Node.js says of bytes that its parser refuses. */
interface ClientError extends Error {
  readonly code?: string;
  readonly reason?: string;
  readonly rawPacket?: Buffer;
}

/** A request line in this many bytes is too long by itself: the headers have no part in it. */
const requestLineMax = 8192;

/** Answers and closes. A connection on which an answer is under way is closed without another one. */
export function answerClientError(refusal: Error, socket: Socket): void {
  const error: ClientError = refusal;
  const { _httpMessage: underWay } = socket as Socket & { _httpMessage?: { readonly headersSent: boolean } | null };
  if (error.code === 'ECONNRESET' || !socket.writable || underWay?.headersSent === true) {
    socket.destroy(error);
    return;
  }
  const problem = problemOf(error);
  const requestId = requestIdOf({});
  const body = bodyOf(problem, requestId);
  socket.end(
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\n` +
      `content-type: ${problemContentType}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
      `request-id: ${requestId}\r\napi-version: ${apiVersion}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n${body}`,
  );
}

function problemOf({ code, reason, rawPacket }: ClientError): Problem {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return isRequestLine(rawPacket)
        ? new Problem(414, 'uri_too_long', `the URL is longer than ${requestLineMax} characters`)
        : new Problem(431, 'headers_too_large', 'the headers are longer than 16 KiB together');
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new Problem(413, 'body_too_large', 'the extensions of a chunk are too long');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Problem(408, 'request_timeout', 'the request did not arrive whole in time; send it again');
    case 'HPE_INVALID_METHOD':
      return new Problem(400, 'invalid_request', 'the method is not one of HTTP');
    default:
      return new Problem(400, 'invalid_request', `this is not HTTP/1.1${reason === undefined ? '' : `: ${reason}`}`);
  }
}

/** Whether the first packet does not even hold the whole request line, or a very long one. */
function isRequestLine(packet: Buffer | undefined): boolean {
  const end = packet?.indexOf('\r\n') ?? 0;
  return end < 0 || end > requestLineMax;
}
