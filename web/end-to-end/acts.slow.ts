/** Operators act on a customer in a real browser: freeze, limits, money with two of them, keys, trail, quarantine. */
import t from 'tap';
import { addOperator } from '../../api/stores/operators.js';
import { pay } from '../../api/testing/customer.js';
import { demoCardToken, demoOperatorEmail, demoPassword } from '../../deploy/demo.js';
import { until } from '../../engine/testing/engine-process.js';
import { openBrowser, type Page, views, visit } from '../testing/browser.js';
import { startStack } from '../testing/stack.js';

/** Asked for by the shell; a journey's API may have none. */
const liveStream = /\/api\/live/;
const secondEmail = 'second@example.com';

async function signIn(page: Page, email: string): Promise<void> {
  await page.locator('[name=email]').fill(email);
  await page.locator('[name=password]').fill(demoPassword);
  await page.locator('form button[type=submit]').click();
  await page.locator('#content h1').waitFor();
}

t.test('two operators act on a customer, each by role, and see what came of it', { timeout: 600_000 }, async (t) => {
  const api = await startStack(t, { env: { FUNDING_APPROVAL_MINOR: '1000' } });
  const passwordHash = await api.api.services.passwords.hash(demoPassword);
  await addOperator(api.sql, { email: secondEmail, name: 'Second', role: 'risk', passwordHash, totpSecret: null });
  const [customer, token] = ['usr_demo', demoCardToken];
  const browser = await openBrowser(t);
  const console = `${api.url}/console`;
  for (const view of views) {
    await visit(t, browser, `${console}/customers?status=verified`, view, async ({ page, look, expectError }) => {
      expectError(liveStream);
      await signIn(page, demoOperatorEmail);
      await page.locator(`a[href="/console/customers/${customer}"]`).waitFor();
      await look(t, 'customers');
      await page.locator(`a[href="/console/customers/${customer}"]`).click();
      const card = page.locator('li.panel', { hasText: `…${token.slice(-4)}` });
      await card.getByRole('button', { name: /^(Freeze|Sperren)$/ }).click();
      await card.getByText(/1 (of|von) 1 .*(after|nach)/).waitFor();
      t.equal((await pay(api, token)).reason, 'card_inactive', 'what the page says is so');
      await look(t, 'customer-frozen');
      await card.getByRole('button', { name: /^(Unfreeze|Entsperren)$/ }).click();
      await card.getByRole('button', { name: /^(Freeze|Sperren)$/ }).waitFor();
      const { approved, authorizationId } = await pay(api, token);
      t.equal(approved, true);
      await until('the hold is settled', async () => {
        return (await api.sql`select from transactions where id = ${authorizationId}`).length > 0;
      });

      await card.getByText(/^(Limits|Grenzen)$/).click();
      await card.getByText(/^(Change the limits|Grenzen ändern)$/).click();
      await card.locator('[name="daily.amount"]').fill('77.50');
      await card.getByRole('button', { name: /Show the effect|Wirkung zeigen/ }).click();
      await card.getByText(/0 (of|von) \d+/).waitFor();
      await look(t, 'limits-effect');
      await card.getByRole('button', { name: /Put in force|In Kraft setzen/ }).click();
      await card
        .getByText(/1 (of|von) 1 .*(after|nach)/)
        .last()
        .waitFor();
      await card.getByRole('button', { name: /Read again|Neu lesen/ }).click();
      await card.getByText(/77[.,]50/).waitFor();

      await page
        .getByText(/^(Move money|Geld bewegen)$/)
        .first()
        .click();
      await page.locator('[name=amount]').first().fill('12.34');
      await page
        .getByRole('button', { name: /^(Move|Bewegen)$/ })
        .first()
        .click();
      await page.getByText(/12[.,]34 USD (wait|warten)/).waitFor();
      await look(t, 'customer-acts');
      await page.goto(`${console}/fundings`);
      await page
        .getByText(/You asked for this|Sie haben das angefragt/)
        .first()
        .waitFor();
      t.equal(await page.getByRole('button', { name: /^(Approve|Zustimmen)$/ }).count(), 0, 'no approval of one’s own');
      await look(t, 'fundings-own');
      await page.goto(`${console}/transactions/${authorizationId}`);
      await page.locator('[name=release-reason]').fill('no clearing will come');
      await page.locator(`[name="confirm-${authorizationId.slice(-4)}"]`).fill(authorizationId.slice(-4));
      await look(t, 'hold-release');
      await page.getByRole('button', { name: /Release the hold|Reservierung freigeben/ }).click();
      await page.getByText(/12[.,]50 USD (are released|sind freigegeben)/).waitFor();
      await page.goto(`${console}/cards/card_demo`);
      await page.getByRole('button', { name: /^(Freeze|Sperren)$/ }).waitFor();
      await look(t, 'card-acts');
    });
    await visit(t, browser, `${console}/fundings`, view, async ({ page, look, expectError }) => {
      expectError(liveStream);
      await signIn(page, secondEmail);
      await page.getByRole('button', { name: /^(Approve|Zustimmen)$/ }).waitFor();
      await look(t, 'fundings');
      await page.getByRole('button', { name: /^(Approve|Zustimmen)$/ }).click();
      await page
        .getByText(/^(done|erledigt)$/)
        .last()
        .waitFor();
      await page.goto(`${console}/keys`);
      await page.getByText(/(Your role|Ihre Rolle) \(risk\)/).waitFor();
      await look(t, 'keys-forbidden');
    });
    await visit(t, browser, `${console}/keys`, view, async ({ page, look, expectError }) => {
      expectError(liveStream);
      await signIn(page, demoOperatorEmail);
      await page.locator('[name=key-name]').fill('Payroll');
      await page.getByRole('button', { name: /Make a key|Schlüssel anlegen/ }).click();
      await page.getByText(/^afc_/).waitFor();
      await look(t, 'keys');
      await page
        .getByRole('button', { name: /^(Revoke|Widerrufen)$/ })
        .first()
        .click();
      await page.locator('[name="confirm-Payroll"]').fill('Payroll');
      await page
        .getByRole('button', { name: /^(Revoke|Widerrufen)$/ })
        .last()
        .click();
      await page.locator('[name="confirm-Payroll"]').waitFor({ state: 'detached' });
      await page.goto(`${console}/audit?action=funding.approved`);
      await page.getByText('funding.approved').first().waitFor();
      await look(t, 'audit');
      await page.goto(`${console}/quarantine`);
      await page.getByText(/Nothing is quarantined|Nichts ist in Quarantäne/).waitFor();
      await look(t, 'quarantine');
    });
  }
});
