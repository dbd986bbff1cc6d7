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
  /** What the browser asked for while this worker was starting; undefined where it does not do so. */
  readonly preloadResponse: Promise<Response | undefined>;
  respondWith(answer: Promise<Response>): void;
}
interface Worker {
  readonly clients: { claim(): Promise<void> };
  readonly registration: { readonly navigationPreload?: { enable(): Promise<void> } };
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
/** A page whose document is not there by then begins with the kept one, whose files are here. */
const shellAfterMs = 500;
/** An answer that was asked for ahead is used by the page that begins, and by none after it. */
const aheadMsMax = 5000;
/** What a page that begins is about to ask for: the worker asks while the page's code is read. Taken once. */
const ahead = new Map<string, { readonly answer: Promise<Response | null>; readonly atMs: number }>();
/** Work on kept lists that is under way: what is read from them comes after it. */
let keeping: Promise<unknown> = Promise.resolve();
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
  event.waitUntil(
    Promise.all([clean.then(() => worker.clients.claim()), worker.registration.navigationPreload?.enable()]),
  );
});
worker.addEventListener('fetch', (event) => {
  const { request } = event;
  const { href, origin, pathname, search } = new URL(request.url);
  if (request.method === 'GET' && files.has(href)) return event.respondWith(cacheFirst(request));
  if (origin !== location.origin) return;
  // What was asked for ahead may be older than a change.
  if (request.method !== 'GET') ahead.clear();
  if (request.mode === 'navigate') {
    event.waitUntil(askAhead(pathname));
    return event.respondWith(documentOf(event));
  }
  if (pathname === session && request.method !== 'GET') return event.respondWith(signInOrOut(request));
  const path = pathname + search;
  if (request.method === 'GET' && lists.has(path)) event.respondWith(networkFirst(event, path));
});

async function cacheFirst(request: Request): Promise<Response> {
  return (await caches.match(request.url, { cacheName: filesCache })) ?? fetch(request);
}

/** The network first, unless it takes long. */
async function documentOf(event: Fetching): Promise<Response> {
  const answer = event.preloadResponse.then((preloaded) => preloaded ?? fetch(event.request));
  event.waitUntil(answer.catch(() => undefined));
  const late = new Promise<undefined>((resolve) => setTimeout(resolve, shellAfterMs));
  const first = await Promise.race([answer.catch(() => undefined), late]);
  return first ?? (await caches.match(shell, { cacheName: filesCache })) ?? answer.catch(() => Response.error());
}

/** Asks for the session, and on the first page for its lists, where they are kept: a person was signed in before. */
async function askAhead(pathname: string): Promise<void> {
  ahead.clear();
  const asked = person;
  const paths = pathname.replace(/\/$/, '') === shell ? lists : [session];
  const cache = await caches.open(listsCache);
  for (const path of paths) {
    if ((await cache.match(path)) === undefined || asked !== person) continue;
    const answer = fetch(path, { headers: { 'x-afc-page': 'app' } }).catch(() => null);
    ahead.set(path, { answer, atMs: Date.now() });
  }
}

function takeAhead(path: string): Promise<Response | null> | undefined {
  const taken = ahead.get(path);
  ahead.delete(path);
  return taken !== undefined && Date.now() - taken.atMs < aheadMsMax ? taken.answer : undefined;
}

async function networkFirst(event: Fetching, path: string): Promise<Response> {
  const asked = person;
  const answer = (await takeAhead(path)) ?? (await fetch(event.request).catch(() => null));
  if (answer === null) return kept(listsCache, path);
  // The session has ended elsewhere: nothing of it stays here.
  if (answer.status === 401 || (path === session && answer.status === 204)) await forget();
  else if (answer.status === 200) {
    // The page need not wait until it is on disk.
    const copy = answer.clone();
    const before = keeping;
    keeping = (async () => {
      await before;
      if (path === session) await forgetOthers(copy);
      await keep(path, copy, asked);
    })().catch(() => undefined);
    event.waitUntil(keeping);
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
  ahead.clear();
  await caches.delete(listsCache);
}

async function kept(cacheName: string, path: string): Promise<Response> {
  await keeping;
  return (await caches.match(path, { cacheName })) ?? Response.error();
}
