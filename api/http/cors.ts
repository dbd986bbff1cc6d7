/**
 * Which web pages may call this API from a browser: those of the origins in CORS_ORIGINS and no others. Credentials of
 * the browser (cookies) are never asked for; pages send their token themselves.
 */
import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';

/** How long a browser may keep the answer to a preflight, in seconds; Chromium keeps none longer. */
const preflightKeptS = 7200;

/** Must be registered behind the rate limits: a preflight counts like any other request. */
export async function registerCors(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  if (origins.length === 0) return;
  await app.register(cors, {
    origin: [...origins],
    credentials: false,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: [
      'Authorization',
      'Content-Type',
      'Idempotency-Key',
      'If-Match',
      'If-None-Match',
      'Request-Id',
      'Api-Version',
    ],
    exposedHeaders: ['ETag', 'Location', 'Retry-After', 'Request-Id', 'Api-Version', 'Idempotency-Replayed', 'Link'],
    maxAge: preflightKeptS,
    strictPreflight: false,
  });
}
