/** What a connection sends that is no HTTP request: answered with a problem like every other error, then closed. */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { problemBody, problemContentType } from './problem-body.js';
import type { ProblemCode } from './problem-codes.js';

/** What Node.js says of bytes that its parser refuses. */
interface ClientError extends Error {
  readonly code?: string;
  readonly reason?: string;
  readonly rawPacket?: Buffer;
}

export interface ClientProblem {
  readonly status: number;
  readonly code: ProblemCode;
  readonly detail: string;
}

/** The body of the answer, and header lines of the port beside the standard ones. */
export interface ClientAnswer {
  readonly body: Uint8Array | string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request line in this many bytes is too long by itself: the headers have no part in it. */
const requestLineMax = 8192;

/**
 * Listener for a server's `clientError`: answers and closes. A connection on which an answer is under way is closed
 * without another one.
 * @param answer what the port says of a problem; without it, the same as the ports that have no request ids
 */
export function answerClientErrors(answer: (problem: ClientProblem) => ClientAnswer = plainAnswer) {
  return (refusal: Error, socket: Socket): void => {
    const error: ClientError = refusal;
    const { _httpMessage: underWay } = socket as Socket & { _httpMessage?: { readonly headersSent: boolean } | null };
    if (error.code === 'ECONNRESET' || !socket.writable || underWay?.headersSent === true) {
      socket.destroy(error);
      return;
    }
    const problem = problemOf(error);
    const { body, headers = {} } = answer(problem);
    const lines = Object.entries({
      'content-type': problemContentType,
      'content-length': String(Buffer.byteLength(body)),
      'cache-control': 'no-store',
      ...headers,
      connection: 'close',
    }).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\n${lines.join('')}\r\n`);
    socket.end(body);
  };
}

function plainAnswer({ status, code, detail }: ClientProblem): ClientAnswer {
  return { body: problemBody(status, code, detail) };
}

function problemOf({ code, reason, rawPacket }: ClientError): ClientProblem {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return isRequestLine(rawPacket)
        ? { status: 414, code: 'uri_too_long', detail: `the URL is longer than ${requestLineMax} characters` }
        : { status: 431, code: 'headers_too_large', detail: 'the headers are longer than 16 KiB together' };
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return { status: 413, code: 'body_too_large', detail: 'the extensions of a chunk are too long' };
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return {
        status: 408,
        code: 'request_timeout',
        detail: 'the request did not arrive whole in time; send it again',
      };
    case 'HPE_INVALID_METHOD':
      return { status: 400, code: 'invalid_request', detail: 'the method is not one of HTTP' };
    default: {
      const why = reason === undefined ? '' : `: ${reason}`;
      return { status: 400, code: 'invalid_request', detail: `this is not HTTP/1.1${why}` };
    }
  }
}

/** Whether the first packet does not even hold the whole request line, or a very long one. */
function isRequestLine(packet: Buffer | undefined): boolean {
  const end = packet?.indexOf('\r\n') ?? 0;
  return end < 0 || end > requestLineMax;
}
