/**
 * Small pieces of HTTP that the ops port's routes share: answers and bounded bodies.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { problemBody, problemContentType } from '../../platform/problems/problem-body.js';
import type { ProblemCode } from '../../platform/problems/problem-codes.js';

export function send(response: ServerResponse, status: number, contentType: string, body: string | Uint8Array): void {
  if (response.headersSent) return;
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

export function sendProblem(response: ServerResponse, status: number, title: ProblemCode, detail: string): void {
  send(response, status, problemContentType, problemBody(status, title, detail));
}

/** 405: the path is there, for other methods. */
export function sendMethodNotAllowed(response: ServerResponse, allowed: string): void {
  response.setHeader('allow', allowed);
  sendProblem(response, 405, 'method_not_allowed', `this path takes ${allowed} only`);
}

/** The body's bytes, or null when there are more than `bytesMax`. Rejects when the client goes away. */
export async function readBody(request: IncomingMessage, bytesMax: number): Promise<Uint8Array | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > bytesMax) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
