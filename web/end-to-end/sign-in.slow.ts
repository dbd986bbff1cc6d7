/** Signing in and out of the console and the app, in a real browser. */
import t, { type Test } from 'tap';
import { findFreePort } from '../../deploy/free-port.js';
import { allViews, openBrowser, type Visit, visit } from '../testing/browser.js';
import { signInToApp, signInToConsole, startStack } from '../testing/stack.js';

const pages = [
  { name: 'console', signIn: signInToConsole },
  { name: 'app', signIn: signInToApp },
] as const;

t.test('a person signs in, stays signed in, and signs out', async (t) => {
  const { url } = await startStack(t);
  const browser = await openBrowser(t);
  for (const { name, signIn } of pages) {
    for (const view of allViews) {
      await visit(t, browser, `${url}/${name}`, view, async ({ page, evaluate, expectError, look }) => {
        await page.locator('form').waitFor();
        t.equal(await page.locator('html').getAttribute('lang'), view.language);
        await look(t, `${name}-sign-in`);
        await page.locator('[name=email]').fill('nothing@example.com');
        await page.locator('[name=password]').fill('wrong');
        expectError(/401/);
        await page.locator('form button[type=submit]').click();
        await page.getByRole('alert').waitFor();
        await look(t, `${name}-sign-in-refused`);
        await signIn(page);
        await page.locator('#content h1').waitFor();
        await look(t, `${name}-start`);
        t.equal(await evaluate('document.cookie'), '', 'no script reads the session');
        await page.reload();
        await page.locator('#content h1').waitFor();
        await page.getByRole('button', { name: /Sign out|Abmelden/ }).click();
        await page.locator('form').waitFor();
        await page.reload();
        await page.locator('form').waitFor();
      });
    }
  }
});

t.test('language and theme are chosen by hand, and kept', async (t) => {
  const { url } = await startStack(t, { engine: false });
  const browser = await openBrowser(t);
  await visit(t, browser, `${url}/console`, allViews[0]!, async ({ page, evaluate }) => {
    const ground = () => evaluate<string>('getComputedStyle(document.documentElement).backgroundColor');
    await page.getByRole('button', { name: /Theme/ }).click();
    await page.getByRole('button', { name: /light/ }).click();
    t.equal(await ground(), 'rgb(15, 19, 24)');
    await page.locator('select.language').selectOption('de');
    await page.getByRole('heading', { name: /Anmelden/ }).waitFor();
    await page.reload();
    await page.getByRole('heading', { name: /Anmelden/ }).waitFor();
    t.equal(await ground(), 'rgb(15, 19, 24)');
  });
});

t.test('the pages run with their files at another origin', async (t) => {
  const port = await findFreePort();
  // The same server under another name is another origin.
  const assets = `http://localhost:${port}`;
  const env = { API_PORT: String(port), HOST: '127.0.0.1', ASSET_ORIGIN: assets };
  const { url } = await startStack(t, { engine: false, env });
  const browser = await openBrowser(t);
  for (const { name, signIn } of pages) {
    await visit(t, browser, `${url}/${name}`, allViews[0]!, async ({ page, evaluate, expectError }) => {
      // The stream of the console, and balances and used limits of the app, need an engine.
      expectError(/api\/(?:live|accounts|cards\/\w+\/limits)/);
      await signIn(page);
      await page.locator('#content').waitFor();
      const scripts = await evaluate<string[]>(
        'performance.getEntriesByType("resource").map(({ name }) => name).filter((name) => name.endsWith(".js"))',
      );
      t.ok(scripts.length > 4);
      t.ok(
        scripts.every((script) => script.startsWith(`${assets}/`)),
        'every script comes from the other origin',
      );
      if (name === 'app') await keptByWorker(t, assets, { page, evaluate });
    });
  }
});

/** The app starts from what its service worker keeps, while the other origin is away. */
async function keptByWorker(
  t: Test,
  assets: string,
  { page, evaluate }: Pick<Visit, 'page' | 'evaluate'>,
): Promise<void> {
  const kept = await evaluate<string[]>(`navigator.serviceWorker.ready.then(() => caches.keys())
    .then((names) => Promise.all(names.map((name) => caches.open(name).then((cache) => cache.keys()))))
    .then((lists) => lists.flat().map(({ url }) => url))`);
  t.ok(kept.filter((url) => url.startsWith(`${assets}/assets/`)).length > 4, 'files of the other origin are kept');
  // What the worker answers reaches no route of the page.
  let asked = 0;
  await page.route(`${assets}/assets/**/*.js`, (route) => {
    asked++;
    return route.abort();
  });
  await page.reload();
  await page.locator('#content').waitFor();
  t.equal(asked, 0, 'no script comes from the network');
}
