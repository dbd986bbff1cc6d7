/** What both pages have around their content: start, name, navigation, language, theme, and who is signed in. */
import { signal } from '@preact/signals';
import { type ComponentChildren, render } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { type PageName, session, signOut, startSession } from './api.js';
import { Button } from './controls.js';
import { KeyHelp, startKeys, useKeys } from './keys.js';
import {
  chooseLanguage,
  type Language,
  language,
  languages,
  type MessageKey,
  preferredLanguage,
  speak,
  t,
} from './messages.js';
import { currentPath, go, href, loadCurrentPage, Outlet, type Route, startRouter } from './router.js';
import { Failed } from './states.js';
import { nextTheme, startTheme, type Theme, theme } from './theme.js';

interface ShellProps {
  readonly name: MessageKey;
  readonly routes: readonly Route[];
  /** What an unknown person sees. */
  readonly entrance: ComponentChildren;
  /** Between the navigation and the person. */
  readonly extra?: ComponentChildren;
  /** Where `/` leads: a page whose field `q` it puts the cursor into. */
  readonly searchPath?: string;
}

const themeMarks: Readonly<Record<Theme, string>> = { system: '◐', light: '○', dark: '●' };
const startError = signal<unknown>(null);

/** Loads the texts and the session, then shows the page. */
export async function start(page: PageName, shell: ShellProps): Promise<void> {
  startTheme();
  startRouter(`/${page}`);
  startKeys();
  // Side by side: texts, session, and the code of the page.
  const loading = loadCurrentPage(shell.routes);
  const opening = startSession(page).catch((error: unknown) => {
    startError.value = error;
  });
  await Promise.all([speak(preferredLanguage()), opening, loading]);
  const root = document.getElementById('page')!;
  root.replaceChildren();
  render(<Shell {...shell} />, root);
}

function Shell(props: ShellProps) {
  if (session.value === undefined) {
    return (
      <main class="sign-in">
        <Failed error={startError.value} retry={() => location.reload()} />
      </main>
    );
  }
  if (session.value === null) {
    return (
      <main class="sign-in stack">
        {props.entrance}
        <Preferences />
      </main>
    );
  }
  return <Inside {...props} />;
}

function Inside({ name, routes, extra, searchPath }: ShellProps) {
  useKeys([
    ...routes.flatMap(({ keys, title, path }) => (keys === undefined ? [] : [{ keys, title, run: () => go(path) }])),
    ...(searchPath === undefined
      ? []
      : [{ keys: '/', title: 'keys.search' as const, run: () => toSearch(searchPath) }]),
  ]);
  const path = currentPath();
  const nav = useRef<HTMLElement>(null);
  // On a phone the line of links scrolls, and the one of the page that is shown may be beside the window.
  useEffect(() => {
    const link = nav.current?.querySelector('[aria-current]');
    link?.scrollIntoView({ block: 'nearest', inline: 'center' });
  }, [path, language.value]);
  return (
    <>
      <a class="skip-link" href="#content">
        {t('shell.skip')}
      </a>
      <header class="bar-top">
        <a class="name" href={href('/')}>
          {t(name)}
        </a>
        <nav class="row" ref={nav} aria-label={t('shell.navigation')}>
          {routes
            .filter(({ nav }) => nav)
            .map(({ path: of, title }) => (
              <a key={of} href={href(of)} aria-current={path === of ? 'page' : undefined}>
                {t(title)}
              </a>
            ))}
        </nav>
        <div class="row end">
          {extra}
          <Preferences />
          <Button look="plain" onClick={() => void signOut()}>
            {t('shell.signOut')}
          </Button>
        </div>
      </header>
      <main id="content" tabIndex={-1} class="content wide">
        <Outlet routes={routes} />
      </main>
      <KeyHelp />
    </>
  );
}

/** The page puts the cursor there itself when it is opened. */
function toSearch(path: string): void {
  const field = document.querySelector<HTMLInputElement>('#content [name=q]');
  if (field === null) go(path);
  else field.focus();
}

function Preferences() {
  return (
    <div class="row">
      <select
        class="language"
        aria-label={t('shell.language')}
        value={language.value}
        onChange={(event) => void chooseLanguage(event.currentTarget.value as Language)}
      >
        {languages.map((one) => (
          <option key={one} value={one}>
            {one.toUpperCase()}
          </option>
        ))}
      </select>
      <Button look="plain" onClick={nextTheme} label={t('shell.theme', { theme: t(`theme.${theme.value}`) })}>
        {themeMarks[theme.value]}
      </Button>
    </div>
  );
}
