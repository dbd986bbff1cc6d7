/** The app without its server, and a new version of it: what the service worker keeps, offers and forgets. */
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import t, { type Test } from 'tap';
import { findFreePort } from '../../deploy/free-port.js';
import { openBrowser, views, visit } from '../testing/browser.js';
import { signInToApp, startStack } from '../testing/stack.js';

const worker = '/app/service-worker.js';

/** A server in front of the API that can be stopped. A stopped server is the only way to be offline in a worker. */
class Front {
  readonly #target: string;
  readonly #server = createServer((request, response) => this.#forward(request, response));
  readonly #port: number;
  /** From now on the worker is the one of another build. */
  isUpdated = false;
  /** Runs while the server has not answered a sign-out yet. */
  signingOut = async (): Promise<void> => undefined;

  constructor(target: string, port: number) {
    this.#target = target;
    this.#port = port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve));
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  #forward(request: IncomingMessage, response: ServerResponse): void {
    const { url = '', method, headers } = request;
    const isWorker = url === worker;
    const { 'accept-encoding': encoding, 'if-none-match': tag, ...others } = headers;
    const sent = isWorker ? others : headers;
    const forwarded = httpRequest(this.#target + url, { method, headers: sent }, (answer) => {
      if (!isWorker || !this.isUpdated) {
        response.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(response);
        return;
      }
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('end', () => {
        const { 'content-length': _, etag: _tag, ...rest } = answer.headers;
        response.writeHead(200, rest).end(
          Buffer.concat(parts)
            .toString()
            .replace(/app-[0-9a-f]{12}/, 'app-next'),
        );
      });
    });
    forwarded.on('error', () => response.destroy());
    if (method === 'DELETE') void this.signingOut().then(() => request.pipe(forwarded));
    else request.pipe(forwarded);
  }
}

async function startFront(t: Test): Promise<Front> {
  const api = await startStack(t);
  const front = new Front(api.url, await findFreePort());
  await front.start();
  t.teardown(() => front.stop().catch(() => undefined));
  return front;
}

t.test('without its server the app shows what was seen last, and says since when', async (t) => {
  const front = await startFront(t);
  const browser = await openBrowser(t);
  for (const view of views) {
    await visit(t, browser, `${front.url}/app`, view, async ({ page, evaluate, expectError, look }) => {
      await page.locator('form').waitFor();
      await evaluate('navigator.serviceWorker.ready.then(() => undefined)');
      await signInToApp(page);
      await page.locator('.figure').waitFor();
      await page.waitForLoadState('networkidle');
      const balance = await page.locator('.figure').first().textContent();
      await front.stop();
      expectError(/ERR_CONNECTION_REFUSED|ERR_FAILED|Failed to load|503|504/);
      await page.goto(`${front.url}/app`);
      await page.locator('.figure').waitFor();
      t.equal(await page.locator('.figure').first().textContent(), balance);
      await page.getByText(/Not new since|Nicht mehr neu seit/).waitFor();
      await look(t, 'app-offline');
      await page.goto(`${front.url}/app/cards`);
      await page.locator('#content .rows a').first().waitFor();
      await page.goto(`${front.url}/app/spending`);
      await page.getByRole('alert').waitFor();
      await look(t, 'app-offline-not-kept');
      await front.start();
      await page.goto(`${front.url}/app`);
      await page.locator('.figure').waitFor();
      t.equal(await page.getByText(/Not new since|Nicht mehr neu seit/).count(), 0);
      await page.getByRole('button', { name: /Sign out|Abmelden/ }).click();
      await page.locator('form').waitFor();
      t.equal(await evaluate('caches.has("lists")'), false, 'nothing of a person stays after signing out');
      const kept = `Promise.all((await caches.keys()).map(async (name) => (await caches.open(name)).keys()))`;
      const paths = await evaluate<string[]>(
        `(async () => (await ${kept}).flat().map(({ url }) => new URL(url).pathname))()`,
      );
      t.ok(paths.includes('/app'));
      t.same(
        paths.filter((path) => path.startsWith('/api')),
        [],
      );
    });
  }
});

t.test('what is read while a person signs out is not kept', async (t) => {
  const front = await startFront(t);
  const browser = await openBrowser(t);
  await visit(t, browser, `${front.url}/app`, views[0]!, async ({ page, evaluate }) => {
    await page.locator('form').waitFor();
    await evaluate('navigator.serviceWorker.ready.then(() => undefined)');
    await signInToApp(page);
    await page.locator('.figure').waitFor();
    await page.waitForLoadState('networkidle');
    let status = 0;
    front.signingOut = async () => {
      status = await evaluate(
        `fetch('/api/accounts?limit=20', { headers: { 'x-afc-page': 'app' } }).then(({ status }) => status)`,
      );
    };
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.locator('form').waitFor();
    t.equal(status, 200, 'the session still lived');
    t.equal(await evaluate('caches.has("lists")'), false);
  });
});

t.test('a new version is offered, taken when the person says so, and replaces the old files', async (t) => {
  const front = await startFront(t);
  const browser = await openBrowser(t);
  await visit(t, browser, `${front.url}/app`, views[0]!, async ({ page, evaluate, look }) => {
    const names = () => evaluate<string[]>('caches.keys().then((names) => names.filter((name) => name !== "lists"))');
    await page.locator('form').waitFor();
    await evaluate('navigator.serviceWorker.ready.then(() => undefined)');
    await signInToApp(page);
    const [first] = await names();
    front.isUpdated = true;
    await page.reload();
    const offer = page.getByRole('button', { name: 'Use the new version' });
    await offer.waitFor();
    await look(t, 'app-new-version');
    t.same((await names()).sort(), [first, 'app-next'].sort(), 'the old version works on until then');
    const reloaded = page.waitForEvent('load');
    await offer.click();
    await reloaded;
    await page.locator('.figure').waitFor();
    t.same(await names(), ['app-next']);
    t.equal(await offer.count(), 0);
  });
});
