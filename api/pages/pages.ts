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

const policyOf = (page: string) =>
  [
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
    // The address of the app's service worker is the only code that a page names by a text.
    page === 'app' ? 'trusted-types app-worker' : "trusted-types 'none'",
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
  for (const page of pages) serve(app, page, `${page}.html`, 'text/html; charset=utf-8', [`/${page}`, `/${page}/*`]);
  serve(app, 'app', 'service-worker.js', 'text/javascript; charset=utf-8', ['/app/service-worker.js']);
  serve(app, 'app', 'app.webmanifest', 'application/manifest+json', ['/app/manifest.webmanifest']);
}

/** A file whose name has no hash: browsers ask each time whether it has changed. */
function serve(app: FastifyInstance, page: string, file: string, type: string, paths: readonly string[]): void {
  const text = readFileSync(`${site}${file}`, 'utf8').replaceAll('{assets}', '');
  const etag = `W/"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"`;
  const headers = {
    etag,
    'cache-control': 'no-cache',
    'content-security-policy': policyOf(page),
    // The worker's own folder is `/app/`, and the page is `/app`.
    ...(file === 'service-worker.js' ? { 'service-worker-allowed': '/app' } : {}),
  };
  for (const path of paths) {
    app.get(path, async (request, reply) => {
      reply.headers(headers);
      if (request.headers['if-none-match'] === etag) return reply.code(304).send();
      return reply.type(type).send(text);
    });
  }
}
