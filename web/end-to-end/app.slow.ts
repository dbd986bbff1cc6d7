/** What a customer does in the app, in a real browser: from opening an account to a purchase and everything after. */
import t, { type Test } from 'tap';
import type { TestApi } from '../../api/testing/api-inside.js';
import { fresh, pay } from '../../api/testing/customer.js';
import { openBrowser, type Visit, views, visit } from '../testing/browser.js';
import { startStack } from '../testing/stack.js';

const password = 'a violet otter reads maps';

/** The two languages of a text. */
const texts = {
  addMoney: /^(Add money|Geld einzahlen)$/,
  available: /Available|Verfügbar/,
  declinedFunds: /less money available|weniger Geld verfügbar/,
  freeze: /^(Freeze|Sperren)$/,
  unfreeze: /^(Unfreeze|Entsperren)$/,
  inForce: /In force on|Wirksam auf/,
  makeCard: /^(Make the card|Karte anlegen)$/,
  newCard: /^(New card|Neue Karte)$/,
  openAccount: /^(Open an account|Konto eröffnen)$/,
  frozen: /The card is frozen|Die Karte ist gesperrt/,
  overDay: /limit of the day|Grenze des Tages/,
  atOnce: /More than 20\.00 USD at once|Mehr als 20,00 USD auf einmal/,
  changeLimit: /^(Change the limit|Grenze ändern)$/,
  save: /^(Save|Speichern)$/,
  search: /^(Search|Suchen)$/,
  csv: /CSV/,
};

async function signUp({ page }: Visit, email: string): Promise<void> {
  await page.getByRole('link', { name: texts.openAccount }).click();
  await page.locator('[name=name]').fill('Ada Lovelace');
  await page.locator('[name=email]').fill(email);
  await page.locator('[name=password]').fill(password);
  await page.getByRole('button', { name: texts.openAccount }).click();
  await page.locator('#content').waitFor();
}

/** Pays with the customer's first card, at the authorization port. */
async function payer(api: TestApi, email: string) {
  const { json } = await api.request('POST', '/api/auth/login', { body: { email, password } });
  const cards = await api.request('GET', '/api/cards', { token: json.token });
  const [{ token }] = cards.json.data;
  return (amount: number, name: string, mcc: string) =>
    pay(api, token, { amount, merchant: { id: 'm-1', name, mcc, country: 'US' } });
}

/** Loads again until the page shows it: the engine settles a moment after its answer. */
async function shows({ page }: Visit, pattern: RegExp): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    await page.locator('#content h1').waitFor();
    await page.waitForLoadState('networkidle');
    if ((await page.getByText(pattern).count()) > 0) return;
    await page.reload();
  }
  throw new Error(`the page never shows ${pattern}`);
}

async function walk(t: Test, api: TestApi, seen: Visit): Promise<void> {
  const { page, look, view } = seen;
  const email = `${fresh('ada')}@example.com`;
  await look(t, 'app-entrance');
  await signUp(seen, email);
  await page.getByText(texts.available).first().waitFor();
  await look(t, 'app-home-empty');

  await page.getByRole('link', { name: texts.newCard }).click();
  await page.locator('[name=name]').fill('Travel');
  await page.locator('[name=daily]').fill('100');
  await look(t, 'app-new-card');
  await page.getByRole('button', { name: texts.makeCard }).click();
  await page.getByRole('heading', { name: /^Travel/ }).waitFor();
  const buy = await payer(api, email);

  await buy(2500, 'Corner Store', '5411');
  await page.goto(`${api.url}/app`);
  await shows(seen, texts.declinedFunds);
  await look(t, 'app-declined');
  await page.getByRole('link', { name: texts.addMoney }).click();
  await page.locator('[name=amount]').fill('500');
  await page.getByRole('button', { name: texts.addMoney }).click();
  await page
    .getByText(view.language === 'en' ? '500.00' : '500,00')
    .first()
    .waitFor();
  await look(t, 'app-account');

  await buy(2500, 'Corner Store', '5411');
  await page.goto(`${api.url}/app`);
  await shows(seen, /25[.,]00.* 100[.,]00/);
  await look(t, 'app-home');

  await buy(9000, 'Hotel Aurora', '7011');
  await page.goto(`${api.url}/app`);
  await shows(seen, texts.overDay);
  await page.getByRole('link', { name: texts.changeLimit }).first().click();
  await page.locator('[name=daily]').fill('200');
  await page.locator('[name=perAuthorization]').fill('20,00');
  await page.getByRole('button', { name: texts.save }).click();
  await page.getByText(texts.inForce).waitFor();
  await look(t, 'app-limits');

  await buy(9000, 'Hotel Aurora', '7011');
  await page.goto(`${api.url}/app`);
  await shows(seen, texts.atOnce);
  await look(t, 'app-home-declines');
}

t.test('a customer opens an account, makes a card, pays, and learns why a payment was declined', async (t) => {
  const api = await startStack(t);
  const browser = await openBrowser(t);
  for (const view of views) {
    await visit(t, browser, `${api.url}/app`, view, (seen) => walk(t, api, seen));
  }
});
