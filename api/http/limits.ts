/** Shedding of load, and the headers and encodings of every answer. */
import { constants } from 'node:zlib';
import compress from '@fastify/compress';
import helmet from '@fastify/helmet';
import underPressure from '@fastify/under-pressure';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { isIdentityEncoding, isJsonMediaType } from '../../engine/protocols/reading/media-type.js';
import { Problem, unavailable } from './problem.js';
import { isOperations } from './rate-limits.js';

/** What starting took of the event loop is no pressure; it leaves the sample within this. */
const startGraceMs = 2500;
const compressionLevel = 6;
/** Below this the headers outweigh what is saved. */
const compressedBytesMin = 1024;

/** Refuses while everything waits: before the body is read, and before the caller is looked up. */
export async function registerShedding(app: FastifyInstance, eventLoopDelayMs: number): Promise<void> {
  let shedsFromMs = Number.POSITIVE_INFINITY;
  app.addHook('onListen', async () => {
    shedsFromMs = performance.now() + startGraceMs;
  });
  await app.register(underPressure, {
    maxEventLoopDelay: eventLoopDelayMs,
    exposeStatusRoute: false,
    pressureHandler: (request: FastifyRequest) => {
      // Who operates us must see us when it matters most.
      if (isOperations(request) || performance.now() < shedsFromMs) return;
      throw unavailable('too much at once; try again', 1, 'overloaded');
    },
  });
}

/**
 * Headers that tell browsers to be careful, and compression of answers. A body that is encoded, or not in UTF-8, is
 * refused.
 */
export async function registerEncoding(app: FastifyInstance): Promise<void> {
  app.addHook('onRequest', async ({ method, headers }, reply) => {
    if (method === 'GET' || method === 'HEAD') return;
    // What answers a change, a sign-in above all, is no answer for another request.
    reply.header('cache-control', 'no-store');
    const { 'content-encoding': encoding = '', 'content-type': type = '' } = headers;
    const isJson = /^application\/json/i.test(type);
    if (isIdentityEncoding(encoding) && (!isJson || isJsonMediaType(type))) return;
    throw new Problem(415, 'unsupported_media_type', 'send the body as application/json in UTF-8, not encoded');
  });
  await app.register(helmet, {
    // Answers are data: nothing in them may run or be shown in a frame. The documentation sets its own policy.
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
  });
  await app.register(compress, {
    threshold: compressedBytesMin,
    encodings: ['br', 'gzip'],
    zlibOptions: { level: compressionLevel },
    brotliOptions: { params: { [constants.BROTLI_PARAM_QUALITY]: compressionLevel } },
  });
}
