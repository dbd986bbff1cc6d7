/** Which page the address names: History API, one table of routes, each page in a chunk of its own. */
import { signal } from '@preact/signals';
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Button } from './controls.js';
import type { MessageKey } from './messages.js';
import { t } from './messages.js';
import { Loading } from './states.js';

/** What a page is given: the named parts of its path, and the query. */
export interface PageProps {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
}

export interface Route {
  /** Below the base, such as `/decisions/:id`. */
  readonly path: string;
  readonly title: MessageKey;
  readonly load: () => Promise<{ default: ComponentType<PageProps> }>;
  /** In the navigation, with the keys that lead there, such as `g l`. */
  readonly nav?: boolean;
  readonly keys?: string;
}

const address = signal({ path: '/', search: '' });
let base = '';

function read(): void {
  const { pathname, search } = location;
  address.value = { path: pathname.slice(base.length) || '/', search };
}

/** @param at where the pages are served: `/console` */
export function startRouter(at: string): void {
  base = at;
  read();
  addEventListener('popstate', read);
  addEventListener('click', (event) => {
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (link === null || event.defaultPrevented || event.button !== 0 || link.target !== '' || link.download !== '')
      return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (link.origin !== location.origin || !`${link.pathname}/`.startsWith(`${base}/`) || link.hash !== '') return;
    event.preventDefault();
    go(link.pathname.slice(base.length) + link.search);
  });
}

/** The address of a path below the base, for links. */
export function href(path: string): string {
  return base + path;
}

/** Shows the page of a path below the base. */
export function go(path: string, { replace = false } = {}): void {
  history[replace ? 'replaceState' : 'pushState'](null, '', base + path);
  read();
  scrollTo(0, 0);
  document.getElementById('content')?.focus({ preventScroll: true });
}

export function currentPath(): string {
  return address.value.path;
}

/** The route of a path and the named parts of it. Exported for tests of route tables. */
export function match(routes: readonly Route[], path: string): { route: Route; params: Record<string, string> } | null {
  for (const route of routes) {
    const found = new RegExp(`^${route.path.replace(/:(\w+)/g, '(?<$1>[^/]+)')}/?$`).exec(path);
    if (found === null) continue;
    const params = Object.entries(found.groups ?? {}).map(([name, part]) => [name, decodeURIComponent(part)] as const);
    return { route, params: Object.fromEntries(params) };
  }
  return null;
}

/** Pages whose code is here: they are shown at once. */
const loadedPages = new Map<Route, ComponentType<PageProps>>();

async function loadPage(route: Route): Promise<ComponentType<PageProps>> {
  const { default: Page } = await route.load();
  loadedPages.set(route, Page);
  return Page;
}

/** Loads the code of the current address. Never rejects: the outlet says what is missing. */
export async function loadCurrentPage(routes: readonly Route[]): Promise<void> {
  const found = match(routes, currentPath());
  if (found !== null) await loadPage(found.route).catch(() => undefined);
}

function isHere(route: Route): Loaded | null {
  const Page = loadedPages.get(route);
  return Page === undefined ? null : { route, Page };
}

interface Loaded {
  readonly route: Route;
  /** Null: its code could not be loaded. */
  readonly Page: ComponentType<PageProps> | null;
}

/** Shows the page of the current address. The page before it stays until the chunk of the new one is there. */
export function Outlet({ routes }: { readonly routes: readonly Route[] }) {
  const { path, search } = address.value;
  const found = match(routes, path);
  const route = found?.route ?? null;
  const [last, setLoaded] = useState<Loaded | null>(null);
  const loaded = (route === null ? null : isHere(route)) ?? last;
  useEffect(() => {
    if (route === null) return;
    document.title = `${t(route.title)} · Atlantic`;
    let isCurrent = true;
    loadPage(route).then(
      (Page) => isCurrent && setLoaded({ route, Page }),
      () => isCurrent && setLoaded({ route, Page: null }),
    );
    return () => {
      isCurrent = false;
    };
  }, [route]);
  if (found === null) return <NotFound />;
  if (loaded === null || loaded.route !== route) return <Loading />;
  if (loaded.Page === null) return <NewVersion />;
  return <loaded.Page key={path} params={found.params} query={new URLSearchParams(search)} />;
}

/** The server has another version than this tab, or is away: the code of the page is not there. */
function NewVersion() {
  return (
    <div class="state fault" role="alert">
      <h1>{t('state.notShown')}</h1>
      <p>{t('state.otherVersion')}</p>
      <Button look="main" onClick={() => location.reload()}>
        {t('state.reload')}
      </Button>
    </div>
  );
}

function NotFound() {
  return (
    <div class="state">
      <h1>{t('state.notFound')}</h1>
      <a href={href('/')}>{t('state.toStart')}</a>
    </div>
  );
}
