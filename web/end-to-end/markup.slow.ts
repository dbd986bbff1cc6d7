/** Texts from outside stay texts: whatever a merchant is called, no page has an element or runs a script of it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import type { LiveDecision } from '../../api/live/live-shape.js';
import { repositoryRoot } from '../../deploy/repository-root.js';
import { openBrowser, views, visit } from '../testing/browser.js';
import { startLiveStub } from '../testing/live-stub.js';
import { signInToConsole, startStack } from '../testing/stack.js';

/** Each would set `hit` or add a `<hit-me>` if it became markup, an address or code. */
const payloads = [
  '<hit-me></hit-me>',
  '<script>hit = 1</script>',
  '<img src=x onerror="hit = 1">',
  '"><svg onload=hit=1><hit-me>',
  "' onmouseover='hit=1' x='",
  'javascript:hit=1',
  '</td></tr></table><hit-me>',
  '<!--<hit-me>-->',
  '&lt;hit-me&gt;&#60;hit-me&#62;',
  '{{constructor.constructor("hit=1")()}}',
  '</style><hit-me>',
  '<iframe srcdoc="<script>parent.hit=1</script>">',
  '\u202e<hit-me>\u0000',
];
const roundsOf = 40;
const decisionsPerRound = 20;

const hostile = fc.oneof(
  fc.constantFrom(...payloads),
  fc
    .tuple(fc.string({ unit: 'binary', maxLength: 20 }), fc.constantFrom(...payloads), fc.string())
    .map((parts) => parts.join('')),
);
const decisionOf: fc.Arbitrary<LiveDecision> = fc.record({
  id: hostile,
  authorizationId: hostile,
  atMs: fc.constant(Date.UTC(2026, 10, 27)),
  approved: fc.boolean(),
  reason: hostile,
  detail: hostile,
  amount: fc.nat(),
  currency: fc.oneof(fc.constant('USD'), hostile),
  merchant: fc.record({ name: hostile, mcc: hostile, country: hostile }),
  card: hostile,
  tookMs: fc.constant(1),
});

t.test('no text of a merchant becomes markup', async (t) => {
  const api = await startStack(t, { engine: false });
  const stub = await startLiveStub(t, api.url);
  const browser = await openBrowser(t);
  await visit(t, browser, `${stub.url}/console`, views[0]!, async ({ page, evaluate, expectError }) => {
    await signInToConsole(page);
    await evaluate('globalThis.hit = 0');
    const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 2 ** 31);
    t.comment(`TEST_SEED=${seed}`);
    const lists = fc.sample(fc.array(decisionOf, { minLength: decisionsPerRound, maxLength: decisionsPerRound }), {
      numRuns: roundsOf,
      seed,
    });
    for (const [round, list] of lists.entries()) {
      const unique = list.map((decision, at) => ({ ...decision, id: `${round}-${at} ${decision.id}` }));
      await page.waitForTimeout(0);
      stub.tick(unique);
      const name = unique.at(-1)!.merchant!.name.replace(/\s+/g, ' ').trim();
      // The newest row shows the newest text, letter for letter.
      const shown = `document.querySelector('table.decisions .what')?.textContent.replace(/\\s+/g, ' ')`;
      const isShown = `${shown}?.includes(${JSON.stringify(name)})`;
      await until(() => evaluate(isShown), `the page shows ${JSON.stringify(name)}`);
      t.equal(await evaluate('document.querySelectorAll("hit-me, #page img, #page iframe, #page script").length'), 0);
      t.equal(
        await evaluate('document.querySelectorAll("#page [onerror], #page [onload], #page [onmouseover]").length'),
        0,
      );
      const links = await evaluate<string[]>('[...document.querySelectorAll("#page a")].map((link) => link.protocol)');
      t.ok(
        links.every((protocol) => protocol === 'http:'),
        'links lead to pages of ours',
      );
    }
    t.equal(await evaluate('hit'), 0);
    expectError(/TrustedHTML/);
    t.match(
      await evaluate('try { document.body.innerHTML = "<b>"; "" } catch (error) { String(error) }'),
      /TrustedHTML/,
    );
  });
});

async function until(isTrue: () => Promise<unknown>, what: string): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (await isTrue()) return;
  }
  throw new Error(`in vain: ${what}`);
}

t.test('no file of the pages makes markup or code of a text', async (t) => {
  const folder = join(repositoryRoot(), 'web');
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => /\.tsx?$/.test(name));
  const shipped = names.filter((name) => !/^(?:end-to-end|testing|build)\/|\.test\.ts$/.test(name));
  t.ok(shipped.length > 20, 'the walk finds the files');
  for (const name of shipped) {
    const text = readFileSync(join(folder, name), 'utf8');
    t.notMatch(
      text,
      /dangerouslySetInnerHTML|\b(?:inner|outer)HTML\b|insertAdjacentHTML|\beval\(|new Function\(/,
      name,
    );
  }
});
