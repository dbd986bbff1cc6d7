/**
 * Serves the console and the app: two documents, and the files that they load. Every path below `/console` and `/app`
 * is a page of the document's own. The files have a hash of their content in their names, so browsers keep them.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';
import type { Log } from '../../platform/log.js';

const site = fileURLToPath(new URL('../../web/site/', import.meta.url));
const pages = ['console', 'app'] as const;
export const documentPaths = /^\/(?:console|app)(?:\/.*)?$/;

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob:",
  "connect-src 'self'",
  "manifest-src 'self'",
  "worker-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

export async function registerPages(app: FastifyInstance, log: Log): Promise<void> {
  if (!existsSync(site)) {
    log.warn('the pages are not built, so /console and /app are missing: run npm run build');
    return;
  }
  await app.register(fastifyStatic, {
    root: `${site}assets`,
    prefix: '/assets/',
    preCompressed: true,
    decorateReply: false,
    index: false,
    immutable: true,
    maxAge: '365d',
  });
  for (const page of pages) registerDocument(app, page);
}

function registerDocument(app: FastifyInstance, page: string): void {
  const text = readFileSync(`${site}${page}.html`, 'utf8').replaceAll('{assets}', '');
  const etag = `W/"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"`;
  for (const path of [`/${page}`, `/${page}/*`]) {
    app.get(path, async (request, reply) => {
      reply.headers({ etag, 'cache-control': 'no-cache', 'content-security-policy': policy });
      if (request.headers['if-none-match'] === etag) return reply.code(304).send();
      return reply.type('text/html; charset=utf-8').send(text);
    });
  }
}
