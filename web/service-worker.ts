/**
 * The app without a network: its files by build, its shell, and the last lists of the person who is signed in. The
 * build gives the name of this build and its files. An update waits until the page says `use`.
 */
import { lastLists } from './app/shapes.js';

declare const buildName: string;
declare const buildFiles: readonly string[];

/** What a service worker has and the types of pages have not. */
interface Extendable extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface Fetching extends Extendable {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}
interface Worker {
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(type: 'install' | 'activate', run: (event: Extendable) => void): void;
  addEventListener(type: 'fetch', run: (event: Fetching) => void): void;
  addEventListener(type: 'message', run: (event: MessageEvent) => void): void;
}
const worker = globalThis as unknown as Worker;

const filesCache = `app-${buildName}`;
const listsCache = 'lists';
const shell = '/app';
const session = '/api/app/session';
/** The only answers of the API that are kept. */
const lists: ReadonlySet<string> = new Set([session, ...Object.values(lastLists)]);
const files = new Set(buildFiles.map((file) => new URL(file, location.href).href));
/** Raised when a person signs in or out: an answer to the one before is not kept any more. */
let person = 0;

worker.addEventListener('install', (event) => {
  event.waitUntil(caches.open(filesCache).then((cache) => cache.addAll([shell, ...files])));
});
worker.addEventListener('message', ({ data }) => {
  if (data === 'use') void worker.skipWaiting();
});
worker.addEventListener('activate', (event) => {
  const isOld = (name: string) => name !== filesCache && name !== listsCache;
  const clean = caches.keys().then((names) => Promise.all(names.filter(isOld).map((name) => caches.delete(name))));
  event.waitUntil(clean.then(() => worker.clients.claim()));
});
worker.addEventListener('fetch', (event) => {
  const { request } = event;
  const { href, origin, pathname, search } = new URL(request.url);
  if (request.method === 'GET' && files.has(href)) return event.respondWith(cacheFirst(request));
  if (origin !== location.origin) return;
  if (request.mode === 'navigate') return event.respondWith(fetch(request).catch(() => kept(filesCache, shell)));
  if (pathname === session && request.method !== 'GET') return event.respondWith(signInOrOut(request));
  const path = pathname + search;
  if (request.method === 'GET' && lists.has(path)) event.respondWith(networkFirst(request, path));
});

async function cacheFirst(request: Request): Promise<Response> {
  return (await caches.match(request.url, { cacheName: filesCache })) ?? fetch(request);
}

async function networkFirst(request: Request, path: string): Promise<Response> {
  const asked = person;
  const answer = await fetch(request).catch(() => null);
  if (answer === null) return kept(listsCache, path);
  // The session has ended elsewhere: nothing of it stays here.
  if (answer.status === 401 || (path === session && answer.status === 204)) await forget();
  else if (answer.status === 200) {
    if (path === session) await forgetOthers(answer);
    await keep(path, answer, asked);
  }
  return answer;
}

/** Signing in answers with what the session's address then has. */
async function signInOrOut(request: Request): Promise<Response> {
  await forget();
  // Again: what was asked for meanwhile may be the lists of the person before.
  const answer = await fetch(request).finally(forget);
  if (answer.status === 200) await keep(session, answer, person);
  return answer;
}

/** @param asked the person at the time of the request */
async function keep(path: string, answer: Response, asked: number): Promise<void> {
  const headers = new Headers(answer.headers);
  headers.set('x-kept-at', String(Date.now()));
  const copy = new Response(await answer.clone().blob(), { headers });
  const cache = await caches.open(listsCache);
  if (asked === person) await cache.put(path, copy);
}

/** Forgets the lists of another person. */
async function forgetOthers(answer: Response): Promise<void> {
  const before = await caches.match(session, { cacheName: listsCache });
  const idOf = async (of: Response) => ((await of.clone().json()) as { user: { id: string } }).user.id;
  if (before !== undefined && (await idOf(before)) !== (await idOf(answer))) await caches.delete(listsCache);
}

async function forget(): Promise<void> {
  person++;
  await caches.delete(listsCache);
}

async function kept(cacheName: string, path: string): Promise<Response> {
  return (await caches.match(path, { cacheName })) ?? Response.error();
}
