/**
 * Sessions of our own pages, kept by the browser in cookies that no script can read. A request of a page names the page
 * in `x-afc-page`, and the token of that page's cookie stands in for the Authorization header. A write carries
 * `x-csrf-token` too, which belongs to that token. No form and no page of another origin can send either header.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from '../http/problem.js';

export type PageName = 'console' | 'app';

/** EventSource sends no headers of ours: these paths are the console's alone, and read only. */
const streamPaths: ReadonlySet<string> = new Set(['/api/live']);
/** Divides a cookie of the app into access token and refresh token, which have other letters. */
const divider = '~';
const secureOptions = 'Path=/; Secure; HttpOnly; SameSite=Strict';

declare module 'fastify' {
  interface FastifyRequest {
    /** The token that a page's cookie gave this request; null: none did. */
    pageToken: string | null;
  }
}

/** What the app's cookie holds. */
export interface AppTokens {
  readonly token: string;
  readonly refreshToken: string;
}

export class PageSessions {
  readonly #keys: readonly Buffer[];

  /** @param secrets newest first: the first signs, all verify */
  constructor(secrets: readonly string[]) {
    this.#keys = secrets.map((secret) => createHash('sha256').update(`page csrf\0${secret}`).digest());
  }

  /** Must be registered before all that reads the Authorization header. */
  register(app: FastifyInstance): void {
    app.decorateRequest('pageToken', null);
    app.addHook('onRequest', async (request) => {
      if (request.headers.authorization !== undefined) return;
      const page = pageOf(request);
      const value = page === null ? null : cookieOf(request, page);
      if (value === null) return;
      const [token] = value.split(divider);
      request.pageToken = token!;
      request.headers.authorization = `Bearer ${token}`;
    });
  }

  /** Must be registered behind the rate limits, and before callers are authenticated. */
  registerGuard(app: FastifyInstance): void {
    app.addHook('onRequest', async (request) => {
      const { route } = request.routeOptions.config;
      if (route !== undefined && route.access !== 'public') this.guard(request);
    });
  }

  /** Throws 403 on a request that a page of ours may not have sent. */
  guard(request: FastifyRequest): void {
    if (request.pageToken === null) return;
    const { 'sec-fetch-site': site = 'same-origin', 'x-csrf-token': given } = request.headers;
    if (site !== 'same-origin') throw forged('this request comes from another site');
    if (request.method === 'GET' || request.method === 'HEAD') return;
    const token = request.pageToken;
    if (typeof given === 'string' && this.#keys.some((key) => isEqual(given, csrfOf(key, token)))) return;
    throw forged('x-csrf-token is missing or not the one of this session: read the session again');
  }

  /** What a page sends back with each write. */
  csrfOf(token: string): string {
    return csrfOf(this.#keys[0]!, token);
  }
}

/** The tokens of the app's cookie, if it is what the request is authenticated by; null when there are none. */
export function appTokensOf(request: FastifyRequest): AppTokens | null {
  const isByCookie = request.pageToken !== null && pageOf(request) === 'app';
  const [token, refreshToken] = (isByCookie ? cookieOf(request, 'app') : null)?.split(divider) ?? [];
  return token === undefined || refreshToken === undefined ? null : { token, refreshToken };
}

export function setConsoleCookie(reply: FastifyReply, token: string, maxAgeS: number): void {
  setCookie(reply, 'console', token, maxAgeS);
}

export function setAppCookie(reply: FastifyReply, { token, refreshToken }: AppTokens, maxAgeS: number): void {
  setCookie(reply, 'app', `${token}${divider}${refreshToken}`, maxAgeS);
}

export function clearCookie(reply: FastifyReply, page: PageName): void {
  setCookie(reply, page, '', 0);
}

function setCookie(reply: FastifyReply, page: PageName, value: string, maxAgeS: number): void {
  reply.headers({
    'set-cookie': `__Host-${page}=${value}; Max-Age=${maxAgeS}; ${secureOptions}`,
    'cache-control': 'no-store',
  });
}

function pageOf({ headers, method, routeOptions: { url } }: FastifyRequest): PageName | null {
  const { 'x-afc-page': page } = headers;
  if (page === 'console' || page === 'app') return page;
  return method === 'GET' && url !== undefined && streamPaths.has(url) ? 'console' : null;
}

function cookieOf({ headers: { cookie = '' } }: FastifyRequest, page: PageName): string | null {
  return new RegExp(`(?:^|;) *__Host-${page}=([A-Za-z0-9_.~-]+)`).exec(cookie)?.[1] ?? null;
}

function csrfOf(key: Buffer, token: string): string {
  return createHmac('sha256', key).update(token).digest('base64url');
}

function isEqual(given: string, right: string): boolean {
  const bytes = Buffer.from(given, 'latin1');
  return bytes.length === right.length && timingSafeEqual(bytes, Buffer.from(right, 'latin1'));
}

function forged(detail: string): Problem {
  return new Problem(403, 'csrf_failed', detail);
}
