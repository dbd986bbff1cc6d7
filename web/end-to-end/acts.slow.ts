/** Operators act on a customer in a real browser: freeze, limits, money with two of them, keys, trail, quarantine. */
import t, { type Test } from 'tap';
import { addOperator } from '../../api/stores/operators.js';
import type { TestApi } from '../../api/testing/api-inside.js';
import { Customer, pay } from '../../api/testing/customer.js';
import { demoCardToken, demoOperatorEmail, demoPassword } from '../../deploy/demo.js';
import { until } from '../../engine/testing/engine-process.js';
import { type Browser, openBrowser, type Page, type View, type Visit, views, visit } from '../testing/browser.js';
import { startStack } from '../testing/stack.js';

/** Asked for by the shell; a journey's API may have none. */
const liveStream = /\/api\/live/;
const secondEmail = 'second@example.com';
const supportEmail = 'support@example.com';

async function signIn(page: Page, email: string): Promise<void> {
  await page.locator('[name=email]').fill(email);
  await page.locator('[name=password]').fill(demoPassword);
  await page.locator('form button[type=submit]').click();
  await page.locator('#content h1').waitFor();
}

/** By the keyboard: a window of the last hours is added, corrected, put in force, shown with its use, and removed. */
async function limitLastHours(t: Test, api: TestApi, page: Page, look: Visit['look']): Promise<void> {
  const card = page.locator('li.panel', { hasText: `…${demoCardToken.slice(-4)}` });
  const press = (name: RegExp) => card.getByRole('button', { name, disabled: false }).press('Enter');
  const windowsAre = async (expected: unknown) => {
    const [row] = await api.sql`select limits -> 'rolling' as rolling from limits l join cards c on c.id = l.entity_id
      where l.level = 0 and c.public_id = 'card_demo'`;
    t.same(row!['rolling'], expected);
  };
  const putInForce = async () => {
    await press(/Show the effect|Wirkung zeigen/);
    await press(/Put in force|In Kraft setzen/);
    await press(/Read again|Neu lesen/);
  };
  await card.getByText(/^(Change the limits|Grenzen ändern)$/).click();
  await press(/Add a window|Zeitraum hinzufügen/);
  await card.locator('[name="rolling.0.hours"]:focus').waitFor();
  await page.keyboard.type('2161');
  await card.getByText(/(Hours|Stunden): .* 1 (to|bis) 2[.,]160/).waitFor();
  await card.getByText(/an amount, a number of payments or both|einen Betrag, eine Zahl von Zahlungen/).waitFor();
  await look(t, 'limits-last-hours-faulty');
  const preview = card.getByRole('button', { name: /Show the effect|Wirkung zeigen/ });
  t.ok(await preview.isDisabled(), 'wrong windows are not sent');
  for (const typed of ['2160', '900.50', '40']) {
    await page.keyboard.press('Control+A');
    await page.keyboard.type(typed);
    await page.keyboard.press('Tab');
  }
  await putInForce();
  await windowsAre([{ hours: 2160, amount: 90_050, count: 40 }]);
  await card.getByRole('meter', { name: /^(Last hours|Letzte Stunden): 2[.,]160 USD$/ }).waitFor();
  await look(t, 'limits-last-hours');
  await card.getByText(/^(Change the limits|Grenzen ändern)$/).click();
  await press(/Remove window 1|Zeitraum 1 entfernen/);
  await card
    .getByRole('button', { name: /Add a window|Zeitraum hinzufügen/ })
    .and(page.locator(':focus'))
    .waitFor();
  await putInForce();
  await windowsAre(null);
}

/** What is done once and for all needs a customer of its own. */
t.test('an operator checks, suspends and signs out a person, replaces and closes cards, settles again', async (t) => {
  const api = await startStack(t);
  const passwordHash = await api.api.services.passwords.hash(demoPassword);
  await addOperator(api.sql, { email: supportEmail, name: 'Support', role: 'support', passwordHash, totpSecret: null });
  const browser = await openBrowser(t);
  for (const view of views) {
    const customer = await Customer.register(api, 'personal');
    const accountId = await customer.accountId();
    await customer.post(`/api/accounts/${accountId}/deposits`, { amount: 100_000 });
    const made = await customer.card(accountId);
    const path = `${api.url}/console/customers/${customer.userId}`;
    await visit(t, browser, path, view, async ({ page, look, expectError }) => {
      expectError(liveStream);
      await signIn(page, demoOperatorEmail);
      const identity = page.getByRole('region', { name: /^(Identity|Identität)$/ });
      await identity.getByRole('button', { name: /^(Reject|Ablehnen)$/ }).click();
      await identity.getByText(/^(rejected|abgelehnt)$/).waitFor();
      await identity.getByRole('button', { name: /^(Verify|Als geprüft vermerken)$/ }).click();
      await identity.getByText(/^(verified|geprüft)$/).waitFor();

      await page.getByRole('button', { name: /^(Suspend|Aussperren)$/ }).click();
      await page.getByText(/1 (of|von) 1 .*(after|nach)/).waitFor();
      t.equal((await pay(api, made.token)).reason, 'user_inactive');
      await look(t, 'customer-suspended');
      await page.getByRole('button', { name: /^(Let in again|Wieder einlassen)$/ }).click();
      await page.getByRole('button', { name: /^(Suspend|Aussperren)$/ }).waitFor();
      t.equal((await pay(api, made.token)).approved, true);
      await page
        .getByRole('button', { name: /^(End the session|Sitzung beenden)$/ })
        .first()
        .click();
      await page.getByText(/^(There are no sessions\.|Es gibt keine Sitzungen\.)$/).waitFor();
      t.equal((await customer.get('/api/me')).status, 401, 'the customer is signed out');

      await page.getByText(/^(Replace or close|Ersetzen oder schließen)$/).click();
      await page.locator(`[name="confirm-lost-${made.id.slice(-4)}"]`).fill(`lost-${made.id.slice(-4)}`);
      await look(t, 'customer-replace');
      await page.getByRole('button', { name: /^(Replace|Ersetzen)$/ }).click();
      await page.locator('li.panel').nth(1).waitFor();
      t.equal((await pay(api, made.token)).reason, 'card_inactive', 'the old card is closed');
    });
    await closeJourney(t, browser, api, view);
    await quarantineJourney(t, browser, api, view);
  }
});

/** Support may not close a card; an admin may, once and for all, and the trail says that they did. */
async function closeJourney(t: Test, browser: Browser, api: TestApi, view: View): Promise<void> {
  const customer = await Customer.register(api, 'personal');
  const accountId = await customer.accountId();
  await customer.post(`/api/accounts/${accountId}/deposits`, { amount: 100_000 });
  const card = await customer.card(accountId);
  t.equal((await pay(api, card.token)).approved, true);
  const path = `${api.url}/console/cards/${card.id}`;
  const shown = /^(Replace or close|Ersetzen oder schließen)$/;
  await visit(t, browser, path, view, async ({ page, expectError }) => {
    expectError(liveStream);
    await signIn(page, supportEmail);
    await page.getByText(shown).click();
    await page
      .getByText(/(Your role|Ihre Rolle) \(support\)/)
      .last()
      .waitFor();
    t.equal(await page.locator(`[name="confirm-${card.id.slice(-4)}"]`).count(), 0, 'support cannot close it');
  });
  await visit(t, browser, path, view, async ({ page, look, expectError }) => {
    expectError(liveStream);
    await signIn(page, demoOperatorEmail);
    await page.getByText(shown).click();
    await page.locator(`[name="confirm-${card.id.slice(-4)}"]`).fill(card.id.slice(-4));
    await look(t, 'card-close');
    await page
      .getByRole('button', { name: /^(Close for good|Endgültig schließen)$/ })
      .last()
      .click();
    await page.getByText(/1 (of|von) 1 .*(after|nach)/).waitFor();
    t.equal((await pay(api, card.token)).reason, 'card_inactive', 'it is closed for payments');
    t.equal((await customer.change('PATCH', `/api/cards/${card.id}`, { status: 'active' })).status, 409, 'for good');
    await page.goto(`${api.url}/console/audit?action=card.closed&object=${card.id}`);
    await page.getByText('card.closed').first().waitFor();
    await page
      .getByText(/^op_demo$/)
      .first()
      .waitFor();
    await look(t, 'audit-card-closed');
  });
}

async function quarantineJourney(t: Test, browser: Browser, api: TestApi, view: View): Promise<void> {
  const { sql } = api;
  await sql`alter table transactions add constraint no_poison check (merchant_name <> 'poison') not valid`;
  await pay(api, demoCardToken, { merchant: { id: 'm-1', name: 'poison', mcc: '5411', country: 'US' } });
  await until('the record is quarantined', async () => (await sql`select from quarantined_records`).length > 0);
  await visit(t, browser, `${api.url}/console/quarantine`, view, async ({ page, look, expectError }) => {
    expectError(liveStream);
    await signIn(page, demoOperatorEmail);
    const again = page.getByRole('button', { name: /^(Settle again|Erneut buchen)$/ });
    await again.click();
    await page.getByText(/refused again: .*no_poison|wieder abgelehnt: .*no_poison/).waitFor();
    await look(t, 'quarantine-refused');
    await sql`alter table transactions drop constraint no_poison`;
    await again.click();
    await page.getByText(/is settled\.|ist gebucht\./).waitFor();
    await page.getByText(/Nothing is quarantined|Nichts ist in Quarantäne/).waitFor();
    await look(t, 'quarantine-settled');
    await page.goto(`${api.url}/console/audit?action=quarantine.retry`);
    await page.getByText('quarantine.retry').first().waitFor();
  });
}

/** A deposit whose API process ended before the engine was asked, as the sweep completes it. */
async function cutOffDeposit({ sql }: TestApi): Promise<void> {
  const context = { kind: 'operator', id: 'op_demo', request: 'req-cut-off' };
  await sql`select audit_append(${sql.json(context)}::jsonb, 'account.deposit', 'account', 'acct_demo', null,
    '{"id": "dep_cut_off", "amount": 1, "currency": "USD"}', 'asked')`;
  await sql`select audit_complete(id, 'unknown', '{"reason": "no_decision"}') from audit_open`;
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
      await card.getByText(/0 (of|von) \d+ (open holds|Reservierungen)/).waitFor();
      await look(t, 'limits-effect');
      await card.getByRole('button', { name: /Put in force|In Kraft setzen/ }).click();
      await card
        .getByText(/1 (of|von) 1 .*(after|nach)/)
        .last()
        .waitFor();
      await card.getByRole('button', { name: /Read again|Neu lesen/ }).click();
      await card.getByText(/77[.,]50/).waitFor();
      await limitLastHours(t, api, page, look);

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
      await cutOffDeposit(api);
      await page.goto(`${console}/audit`);
      await page.locator('[name=outcome]').selectOption('unknown');
      await page.getByRole('button', { name: /^(Search|Suchen)$/ }).click();
      await page
        .getByRole('cell', { name: /^(outcome unknown|Ausgang unbekannt) ?(whole story|ganze Geschichte)$/ })
        .first()
        .waitFor();
      await look(t, 'audit-unknown');
      await page.goto(`${console}/quarantine`);
      await page.getByText(/Nothing is quarantined|Nichts ist in Quarantäne/).waitFor();
      await look(t, 'quarantine');
    });
  }
});
