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

/** @param codeHash of the document's map of files, the only inline text: it names files with their hashes */
function policyOf(page: string, assetOrigin: string, codeHash: string): string {
  const ours = `'self' ${assetOrigin}`.trim();
  return [
    "default-src 'none'",
    `script-src ${ours} ${codeHash}`.trim(),
    `style-src ${ours}`,
    `img-src ${ours} blob:`,
    // The service worker of the app fetches the files that it keeps.
    `connect-src ${ours}`,
    "manifest-src 'self'",
    "worker-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    // The address of the app's service worker is the only code that a page names by a text.
    page === 'app' ? 'trusted-types app-worker' : "trusted-types 'none'",
  ].join('; ');
}

/** @param assetOrigin where browsers load the files; '': from this API */
export async function registerPages(app: FastifyInstance, log: Log, assetOrigin: string): Promise<void> {
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
    // A page of this origin loads them from the other one: scripts and styles ask for leave, and pictures do not ask.
    setHeaders: (response) => {
      if (assetOrigin === '') return;
      response.setHeader('access-control-allow-origin', '*');
      response.setHeader('cross-origin-resource-policy', 'cross-origin');
    },
  });
  const serve = (page: string, file: string, type: string, paths: readonly string[]) =>
    serveFile(app, { page, file, type, paths, assetOrigin });
  for (const page of pages) serve(page, `${page}.html`, 'text/html; charset=utf-8', [`/${page}`, `/${page}/*`]);
  serve('app', 'service-worker.js', 'text/javascript; charset=utf-8', ['/app/service-worker.js']);
  serve('app', 'app.webmanifest', 'application/manifest+json', ['/app/manifest.webmanifest']);
}

interface ServedFile {
  readonly page: string;
  readonly file: string;
  readonly type: string;
  readonly paths: readonly string[];
  readonly assetOrigin: string;
}

/** A file whose name has no hash: browsers ask each time whether it has changed. */
function serveFile(app: FastifyInstance, { page, file, type, paths, assetOrigin }: ServedFile): void {
  const text = readFileSync(`${site}${file}`, 'utf8').replaceAll('{assets}', assetOrigin);
  const [, map] = /<script type="importmap">([^<]*)</.exec(text) ?? [];
  const codeHash = map === undefined ? '' : `'sha256-${createHash('sha256').update(map).digest('base64')}'`;
  const etag = `W/"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"`;
  const headers = {
    etag,
    'cache-control': 'no-cache',
    'content-security-policy': policyOf(page, assetOrigin, codeHash),
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
