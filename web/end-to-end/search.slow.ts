/** An operator finds a declined payment, learns why, and freezes the card, in a real browser. */
import t, { type Test } from 'tap';
import { Client } from '../../engine/testing/client.js';
import { until } from '../../engine/testing/engine-process.js';
import { openBrowser, type Visit, views, visit } from '../testing/browser.js';
import { signInToConsole, startStack } from '../testing/stack.js';

/** To the minute, in the zone of the browser: an hour that is over has nothing, and one until now has it. */
async function timesNarrow(t: Test, { page, evaluate }: Visit): Promise<void> {
  const found = page.locator('section.table a[href$="/transactions/journey-second"]');
  const typed = (minutes: number) =>
    evaluate<string>(
      `new Date(Date.now() + ${minutes} * 60_000 - new Date().getTimezoneOffset() * 60_000).toISOString().slice(0, 16)`,
    );
  await page.locator('[name=from]').fill(await typed(-120));
  await page.locator('[name=to]').fill(await typed(-60));
  await page.locator('form.filters button').click();
  await found.waitFor({ state: 'detached' });
  const to = await typed(2);
  await page.locator('[name=to]').fill(to);
  await page.locator('form.filters button').click();
  await found.waitFor();
  await page.reload();
  await found.waitFor();
  t.equal(await page.locator('[name=to]').inputValue(), to, 'the address of the page has the time');
}

t.test('a declined payment is found, explained with its numbers, and leads to its card', async (t) => {
  const { url, sql, engine } = await startStack(t);
  const client = new Client(engine!.authPort);
  t.teardown(() => client.close());
  const [card] = await sql<{ id: string; token: string; account: string }[]>`
    select c.public_id as id, c.token, a.public_id as account
    from cards c join accounts a on a.id = c.account_id
    where c.status = 'active' and a.available > 20000 order by c.id limit 1`;
  const { id, token, account } = card!;
  await sql`
    insert into limits (level, entity_id, limits)
    select 0, id, ${sql.json({ daily: { amount: 10_000 }, mcc: { block: ['7995'] } })} from cards
    where public_id = ${id}
    on conflict (level, entity_id) do update set limits = excluded.limits`;
  const merchant = { id: 'm-1', name: 'Corner <b>Store</b>', mcc: '5411', country: 'US' };
  await client.authorize('journey-first', token, 6000, { merchant });
  await client.authorize('journey-second', token, 5000, { merchant });
  const isSettled = async () => (await sql`select from transactions where id like 'journey-%'`).length === 2;
  await until('both are settled', isSettled);
  const browser = await openBrowser(t);
  for (const view of views) {
    await visit(t, browser, `${url}/console`, view, async (visited) => {
      const { page, look, evaluate } = visited;
      const onDesk = view.width > 600;
      await page.locator('form').waitFor();
      await signInToConsole(page);
      await page.locator('#content h1').waitFor();
      await page.keyboard.press('g');
      await page.keyboard.press('s');
      await page.locator('[name=q]').waitFor();
      await page.getByText('journey-second').first().waitFor();
      await look(t, 'search');
      await page.locator('[name=status]').selectOption('declined');
      await page.locator('[name=reason]').selectOption('limit_exceeded');
      await page.locator('form.filters button').click();
      await page.locator('section.table a[href$="/transactions/journey-first"]').waitFor({ state: 'detached' });
      await page.locator('section.table a[href$="/transactions/journey-second"]').waitFor();
      await timesNarrow(t, visited);
      await page.locator('#content h1').click();
      await page.keyboard.press('j');
      await page.keyboard.press('Enter');
      await page.waitForURL('**/transactions/journey-second');
      await page.locator('#content h1').waitFor();
      await page.keyboard.press('/');
      await page.locator('[name=q]').waitFor();
      t.equal(await evaluate('document.activeElement.name'), 'q', 'the cursor is in the search');
      await page.locator('[name=q]').fill('journey-second');
      await page.keyboard.press('Enter');
      await page.locator('section.table a[href$="/decisions/journey-second"]').waitFor();
      await look(t, 'search-hits');

      await page.locator('section.table a[href$="/decisions/journey-second"]').click();
      await page.locator('ol.checks li').first().waitFor();
      const failed = page.locator('ol.checks li').filter({ has: page.locator('.decline') });
      t.equal(await failed.count(), 1);
      t.match(
        await failed.innerText(),
        onDesk ? /card daily amount\s+60.00 USD \+ 50.00 USD > 100.00 USD until/ : /60,00 USD/,
      );
      t.match(await page.locator('#content h1').innerText(), /Corner <b>Store<\/b>/, 'a text stays a text');
      await page.locator('section[aria-labelledby=card-now-title] a').waitFor();
      await look(t, 'decision');

      await page.locator('section[aria-labelledby=about-title] a[href$="/transactions/journey-second"]').click();
      await page.locator('section.table a[href$="/decisions/journey-second"]').waitFor();
      await look(t, 'transaction');
      await page.locator(`a[href$="/cards/${id}"]`).click();
      await page.locator('section.table a[href$="/transactions/journey-first"]').waitFor();
      await look(t, 'card');
      await page.keyboard.press('f');
      await page.getByText(onDesk ? /In force on 1 of 1/ : /1 von 1/).waitFor();
      const status = async () => (await sql`select status from cards where public_id = ${id}`)[0]!['status'];
      t.equal(await status(), onDesk ? 'frozen' : 'active', 'frozen by the first view, thawed by the second');
      await page.locator(`a[href$="/accounts/${account}"]`).first().click();
      await page.locator('section.table a[href$="/transactions/journey-first"]').waitFor();
      await look(t, 'account');
    });
  }
});

t.test('an id that does not exist says so, and a search that finds nothing too', async (t) => {
  const { url } = await startStack(t);
  const browser = await openBrowser(t);
  await visit(t, browser, `${url}/console/search?q=nothing-here&min=999999999`, views[0]!, async (visited) => {
    const { page, look, expectError } = visited;
    await signInToConsole(page);
    await page.getByText('Nothing has the id or name “nothing-here”.').waitFor();
    await page.getByText('No transaction fits.').waitFor();
    await look(t, 'search-nothing');
    expectError(/404/);
    await page.goto(`${url}/console/decisions/nothing-here`);
    await page.getByRole('alert').waitFor();
    await look(t, 'decision-nothing');
  });
});
