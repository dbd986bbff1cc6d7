/**
 * Journeys through the pages in Debian's Chromium. A journey fails on an error in the browser's console, which names
 * violations of the policy too. It fails on a finding of axe, on a page that is wider than its window, and on links of
 * the navigation that cover each other. The only importer of playwright-core.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type Browser, type CDPSession, chromium, type Page } from 'playwright-core';
import type { Test } from 'tap';
import { repositoryRoot } from '../../deploy/repository-root.js';
import { findChromium } from '../../deploy/testing/test-chromium.js';

export type { Browser, CDPSession, Page } from 'playwright-core';

/** How a person sees the pages. */
export interface View {
  readonly theme: 'light' | 'dark';
  readonly width: number;
  readonly language: 'en' | 'de';
}

/** Both themes, a phone and a desk, both languages. */
export const views: readonly View[] = [
  { theme: 'light', width: 1440, language: 'en' },
  { theme: 'dark', width: 320, language: 'de' },
];

export const allViews: readonly View[] = [
  ...views,
  { theme: 'dark', width: 1440, language: 'en' },
  { theme: 'light', width: 320, language: 'de' },
];

const heightOf = (width: number) => (width < 600 ? 640 : 900);
/** Longer than any page takes on a busy machine. */
const waitMs = 30_000;
const screenshots = join(repositoryRoot(), '.screenshots');
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** For a person who wants to see the pages: a whole run without them takes less CPU. */
const { SCREENSHOTS: areWanted = '' } = process.env;

/** A browser that ends with the test. */
export async function openBrowser(t: Test, args: readonly string[] = []): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: await findChromium(),
    // As root, and in containers, Chromium has no sandbox and little shared memory.
    args: ['--no-sandbox', '--disable-dev-shm-usage', ...args],
  });
  t.teardown(() => browser.close());
  return browser;
}

export interface Visit {
  readonly page: Page;
  readonly view: View;
  readonly cdp: CDPSession;
  /** An expression in the page. The policy forbids what playwright's own evaluate does. */
  evaluate<T>(expression: string): Promise<T>;
  /** Errors of the console that the journey provokes and expects. */
  expectError(pattern: RegExp): void;
  /**
   * Holds the page against axe, its width and its navigation; SCREENSHOTS=1 keeps a picture of it.
   * @param name of what is shown
   */
  look(t: Test, name: string): Promise<void>;
}

/** Walks through the pages from an address, in a fresh profile. What the browser complains of fails the test. */
export async function visit(
  t: Test,
  browser: Browser,
  url: string,
  view: View,
  walk: (visit: Visit) => Promise<void>,
): Promise<void> {
  const context = await browser.newContext({
    viewport: { width: view.width, height: heightOf(view.width) },
    colorScheme: view.theme,
    locale: view.language,
    reducedMotion: 'reduce',
  });
  try {
    context.setDefaultTimeout(waitMs);
    const page = await context.newPage();
    const complaints: string[] = [];
    const expected: RegExp[] = [];
    page.on('console', (message) => {
      const text = `${message.text()} ${message.location().url}`;
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(text);
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    const cdp = await context.newCDPSession(page);
    const visited: Visit = {
      page,
      view,
      cdp,
      evaluate: (expression) => evaluate(cdp, expression),
      expectError: (pattern) => expected.push(pattern),
      look: (t, name) => look(t, visited, name),
    };
    await page.goto(url);
    await walk(visited);
    const unexpected = complaints.filter((text) => !expected.some((pattern) => pattern.test(text)));
    t.same(unexpected, [], 'the browser complains of nothing');
  } finally {
    await context.close();
  }
}

async function evaluate<T>(cdp: CDPSession, expression: string): Promise<T> {
  const options = { expression, awaitPromise: true, returnByValue: true, allowUnsafeEvalBlockedByCSP: false };
  const { result, exceptionDetails } = await cdp.send('Runtime.evaluate', options);
  if (exceptionDetails !== undefined) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  return result.value as T;
}

async function look(t: Test, { page, view, evaluate }: Visit, name: string): Promise<void> {
  const { theme, width, language } = view;
  if (areWanted !== '') {
    mkdirSync(screenshots, { recursive: true });
    await page.screenshot({ path: join(screenshots, `${name}-${theme}-${width}-${language}.png`), fullPage: true });
  }
  // In the page once it is looked at: half a megabyte of code, of which most pages that load need nothing.
  await evaluate(`globalThis.axe === undefined && (() => {${axe}\n})()`);
  const found = await evaluate<
    string[]
  >(`axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations.map(
    ({ id, nodes }) => id + ': ' + nodes.slice(0, 3).map(({ html, failureSummary }) => html + ' ' + failureSummary)))`);
  t.same(found, [], `axe finds nothing in ${name}`);
  const overflow = await evaluate<number>('document.documentElement.scrollWidth - innerWidth');
  t.ok(overflow <= 0, `${name} is not wider than the window`);
  const overlapping = await evaluate<string[]>(`(() => {
    const boxes = [...document.querySelectorAll('nav a')].map((link) => {
      const range = document.createRange();
      range.selectNodeContents(link);
      return [link.textContent, range.getBoundingClientRect()];
    });
    return boxes.flatMap(([text, one], at) => boxes.slice(at + 1).filter(([, other]) =>
      one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom,
    ).map(([of]) => text + ' over ' + of));
  })()`);
  t.same(overlapping, [], `no link of the navigation covers another one in ${name}`);
}
