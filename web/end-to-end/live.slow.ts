/** The live page: decisions appear as they are made, the list is held by a key, and silence is said. */
import t, { type Test } from 'tap';
import type { TestApi } from '../../api/testing/api-inside.js';
import { pay } from '../../api/testing/customer.js';
import { demoCardToken } from '../../deploy/demo.js';
import { TestNginx } from '../../deploy/testing/test-nginx.js';
import { allViews, openBrowser, type Visit, views, visit } from '../testing/browser.js';
import { startLiveStub } from '../testing/live-stub.js';
import { signInToConsole, startStack } from '../testing/stack.js';

/** Notes how old each decision is when its row appears. */
const watchAges = `globalThis.ages = new Map();
  new MutationObserver(() => {
    for (const time of document.querySelectorAll('table.decisions time')) {
      const link = time.closest('a').pathname;
      if (!ages.has(link)) ages.set(link, Date.now() - Date.parse(time.dateTime));
    }
  }).observe(document.getElementById('content'), { childList: true, subtree: true, attributes: true });`;

const rowOf = ({ page }: Visit, id: string) => page.locator(`table.decisions a[href="/console/decisions/${id}"]`);

t.test('decisions appear while they are made, and a key holds them', async (t) => {
  const api = await startStack(t);
  const browser = await openBrowser(t);
  for (const [number, view] of views.entries()) {
    await visit(t, browser, `${api.url}/console`, view, async (visited) => {
      const { page, evaluate, look } = visited;
      await signInToConsole(page);
      await page.getByText(/^(Books balance|Bücher gehen auf)$/).waitFor();
      await evaluate(watchAges);
      for (let at = 0; at < 40; at++) {
        const amount = at % 4 === 3 ? 10_000_000 : 100;
        const { approved } = await pay(api, demoCardToken, { id: `live-${number}-${at}`, amount });
        t.equal(approved, at % 4 !== 3);
        if (at % 5 === 0) await rowOf(visited, `live-${number}-${at}`).waitFor();
      }
      await rowOf(visited, `live-${number}-39`).waitFor();
      const ages = await evaluate<number[]>('[...ages.values()].sort((a, b) => a - b)');
      t.comment(`decision to screen: median ${ages[ages.length >> 1]} ms, slowest ${ages.at(-1)} ms of ${ages.length}`);
      t.match(await page.locator('.hops').last().textContent(), /(ms|µs)/, 'the slowest hops');
      await look(t, 'live');

      await page.keyboard.press('p');
      await pay(api, demoCardToken, { id: `live-${number}-held`, amount: 100 });
      await page.getByText(/Paused; [1-9]|Angehalten; [1-9]/).waitFor();
      t.equal(await rowOf(visited, `live-${number}-held`).count(), 0, 'the list is held');
      await page.keyboard.press('j');
      await page.keyboard.press('j');
      t.equal(await page.locator('table.decisions tr.selected').count(), 1);
      await page.keyboard.press('p');
      await rowOf(visited, `live-${number}-held`).waitFor();
      await page.keyboard.press('?');
      await page.getByRole('dialog').waitFor();
      await look(t, 'live-keys');
      await page.keyboard.press('Escape');
      await secondTab(t, api, visited);
    });
  }
});

/** One stream serves all tabs of a browser, and goes on when the tab that reads it closes. */
async function secondTab(t: Test, { url, api }: TestApi, { page }: Visit): Promise<void> {
  const streams = api.services.live.streams;
  const other = await page.context().newPage();
  await other.goto(`${url}/console`);
  await other.locator('.figures').waitFor();
  t.equal(streams.count, 1, 'two tabs read one stream');
  await page.close();
  await other.locator('.live-state .approve').waitFor();
  await other.close();
}

t.test('the page of engines shows partitions and epochs, and says when it could not be read again', async (t) => {
  const api = await startStack(t);
  const browser = await openBrowser(t);
  for (const view of views) {
    await visit(t, browser, `${api.url}/console`, view, async ({ page, look, expectError }) => {
      await signInToConsole(page);
      await page.locator('.figures').waitFor();
      // After a deployment the server has no more the code that this tab would load.
      expectError(/404/);
      await page.route('**/assets/engines-*.js', (route) => route.fulfill({ status: 404 }));
      await page.keyboard.press('g');
      await page.keyboard.press('e');
      await page.getByText(/This page has no code here|Für diese Seite fehlt der Code/).waitFor();
      await look(t, 'other-version');
      await page.unroute('**/assets/engines-*.js');
      await page.getByRole('button', { name: /^(Load again|Neu laden)$/ }).click();
      await page.getByText(/^● (up|läuft)$/).waitFor();
      t.match(await page.locator('.partitions').textContent(), /^0 /);
      t.match(await page.locator('tbody td').nth(2).textContent(), /^[1-9]/, 'the epoch');
      await look(t, 'engines');
      expectError(/503/);
      await page.route('**/api/engines', (route) =>
        route.fulfill({ status: 503, json: { title: 'engine_unavailable' } }),
      );
      await page.getByText(/Not new since|Nicht mehr neu seit/).waitFor();
      await look(t, 'engines-stale');
      await page.unroute('**/api/engines');
      await page.getByText(/Not new since|Nicht mehr neu seit/).waitFor({ state: 'detached' });
    });
  }
});

t.test('the console is live behind nginx', async (t) => {
  const api = await startStack(t, { env: { TRUSTED_PROXIES: '127.0.0.1' } });
  const at = new URL(api.url).host;
  const engines = [{ auth: at, ops: at, weight: 1 }];
  const nginx = await TestNginx.start({ engines, apis: [{ api: at, weight: 1 }] });
  t.teardown(() => nginx.stop());
  const browser = await openBrowser(t);
  await visit(t, browser, `${nginx.apiUrl}/console`, views[0]!, async (visited) => {
    await signInToConsole(visited.page);
    await visited.page.locator('.figures').waitFor();
    await visited.evaluate(watchAges);
    for (let at = 0; at < 20; at++) {
      await pay(api, demoCardToken, { id: `nginx-${at}`, amount: 100 });
      if (at % 5 === 0) await rowOf(visited, `nginx-${at}`).waitFor();
    }
    await rowOf(visited, 'nginx-19').waitFor();
    const slowest = await visited.evaluate<number>('Math.max(...ages.values())');
    t.comment(`decision to screen through nginx: slowest ${slowest} ms`);
  });
});

const alerts = [
  { name: 'JournalFilling', severity: 'page', runbook: 'full-journal', what: 'engine-1', sinceMs: 1_790_000_000_000 },
  {
    name: 'QuarantinedRecords',
    severity: 'ticket',
    runbook: 'quarantined-records',
    what: '',
    sinceMs: 1_790_000_000_000,
  },
] as const;

t.test('values turn grey when nothing comes, and say since when; alerts come and go', async (t) => {
  const api = await startStack(t, { engine: false });
  const stub = await startLiveStub(t, api.url);
  const browser = await openBrowser(t);
  for (const view of allViews) {
    await visit(t, browser, `${stub.url}/console`, view, async ({ page, look }) => {
      await signInToConsole(page);
      await page.locator('.live-state').waitFor();
      const ticking = setInterval(() => stub.tick([]), 250);
      await page.locator('.figures').waitFor();
      await page.locator('.live-state .approve').waitFor();
      t.equal(await page.locator('.stale').count(), 0);
      clearInterval(ticking);
      await page.locator('.stale').waitFor();
      await page.getByText(/Not new since|Nicht mehr neu seit/).waitFor();
      await look(t, 'live-stale');
      stub.tick([], alerts);
      await page.locator('.stale').waitFor({ state: 'detached' });
      await page.locator('.alerts li').nth(1).waitFor();
      await look(t, 'live-alerts');
      stub.tick([]);
      await page.locator('.alerts').waitFor({ state: 'detached' });
    });
  }
});
