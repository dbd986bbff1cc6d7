/** What a customer does in the app, in a real browser: from opening an account to a purchase and everything after. */
import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import t, { type Test } from 'tap';
import type { TestApi } from '../../api/testing/api-inside.js';
import { Customer, fresh, pay } from '../../api/testing/customer.js';
import { until } from '../../engine/testing/engine-process.js';
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
  unfreezeCard: /^(Unfreeze the card|Karte entsperren)$/,
  rename: /^(Rename|Umbenennen)$/,
  replace: /^(Replace the card|Karte ersetzen)$/,
  nothing: /Nothing is like this|So etwas gibt es nicht/,
  saved: /^(Saved|Gespeichert)\.$/,
  endSession: /^(Sign it out|Diese abmelden)$/,
  changePassword: /^(Change the password|Passwort ändern)$/,
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
  const { page, look, view, expectError } = seen;
  const email = `${fresh('ada')}@example.com`;
  // The page shows nothing until it knows that there is no session.
  await page.getByRole('heading', { level: 1 }).waitFor();
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
  expectError(/503/);
  const added = page.locator('.figure').getByText(view.language === 'en' ? '500.00' : '500,00');
  const add = page.getByRole('button', { name: texts.addMoney });
  // A busy machine may answer 503, to the order or to the balance. The same order again moves the money once.
  for (let tries = 0; tries < 10 && (await added.count()) === 0; tries++) {
    if (await add.isEnabled()) await add.click();
    else await page.reload();
    await page.waitForLoadState('networkidle');
  }
  await added.waitFor();
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

/** A person who has an account with money, a card and three purchases, signed in. */
async function settled(api: TestApi, seen: Visit): Promise<{ buy: Awaited<ReturnType<typeof payer>>; email: string }> {
  const { page } = seen;
  const email = `${fresh('grace')}@example.com`;
  await signUp(seen, email);
  const { json } = await api.request('POST', '/api/auth/login', { body: { email, password } });
  const ask = (method: string, path: string, body?: unknown) =>
    api.request(method, path, { token: json.token, ...(body === undefined ? {} : { body }) });
  const accountId = (await ask('GET', '/api/accounts')).json.data[0].id;
  await ask('POST', `/api/accounts/${accountId}/deposits`, { amount: 100_000 });
  await ask('POST', '/api/cards', { accountId, name: 'Everyday' });
  const buy = await payer(api, email);
  await buy(1200, 'Corner Store', '5411');
  await buy(4500, 'Petrol 24', '5541');
  await buy(21_000, 'Hotel Aurora', '7011');
  await page.goto(`${api.url}/app`);
  await shows(seen, /Hotel Aurora/);
  return { buy, email };
}

async function handleCard(t: Test, api: TestApi, seen: Visit): Promise<void> {
  const { page, look } = seen;
  const { buy } = await settled(api, seen);
  await page.goto(`${api.url}/app/cards`);
  await page.getByRole('link', { name: /^Everyday/ }).click();
  await page.getByRole('button', { name: texts.freeze }).click();
  await page.getByText(texts.inForce).waitFor();
  t.match(await buy(100, 'Corner Store', '5411'), { approved: false, reason: 'card_inactive' });
  await look(t, 'app-card-frozen');
  await page.goto(`${api.url}/app`);
  await shows(seen, texts.frozen);
  await page.getByRole('link', { name: texts.unfreezeCard }).click();
  await page.getByRole('button', { name: texts.unfreeze }).click();
  await page.getByText(texts.inForce).waitFor();
  t.match(await buy(100, 'Corner Store', '5411'), { approved: true });

  await page.locator('[name=name]').fill('Holiday');
  await page.getByRole('button', { name: texts.rename }).click();
  await page.getByRole('heading', { name: /^Holiday/ }).waitFor();
  const replace = page.getByRole('button', { name: texts.replace });
  t.ok(await replace.isDisabled(), 'what cannot be undone waits for the typed confirmation');
  const heading = await page.getByRole('heading', { level: 1 }).textContent();
  const before = page.url();
  await page.locator('[name=confirm]').fill(heading!.slice(-4));
  await replace.click();
  await page.waitForURL((url) => String(url) !== before);
  await page.getByRole('heading', { name: /^Holiday/ }).waitFor();
  await look(t, 'app-card');
  t.match(await buy(100, 'Corner Store', '5411'), { approved: false, reason: 'card_inactive' });
}

async function readTransactions(t: Test, api: TestApi, seen: Visit): Promise<void> {
  const { page, look } = seen;
  await settled(api, seen);
  await page.goto(`${api.url}/app/transactions`);
  await page.locator('[name=merchant]').fill('petrol');
  await page.getByRole('button', { name: texts.search }).click();
  await page.getByText('Petrol 24').waitFor();
  await page.getByText('Hotel Aurora').waitFor({ state: 'detached' });
  await look(t, 'app-search');
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: texts.csv }).click(),
  ]);
  const file = readFileSync(await download.path(), 'utf8')
    .trim()
    .split('\r\n');
  t.equal(file.length, 2, 'the file has what the filter leaves');
  t.match(file[1], /45\.00,.*Petrol 24,5541/);
  await page.goto(`${api.url}/app/transactions?min=100000`);
  await page.getByText(texts.nothing).waitFor();
  await look(t, 'app-nothing-found');
  await page.goto(`${api.url}/app/transactions`);
  await page.getByRole('link', { name: 'Hotel Aurora' }).click();
  await page.locator('#content dl').waitFor();
  await look(t, 'app-transaction');
  for (const by of ['day', 'card', 'category']) {
    await page.goto(`${api.url}/app/spending?by=${by}`);
    await page.locator('#content .rows, #content .state').first().waitFor();
    await look(t, `app-spending-${by}`);
  }
}

async function keepProfile(t: Test, api: TestApi, seen: Visit): Promise<void> {
  const { page, look, evaluate, expectError } = seen;
  const { email } = await settled(api, seen);
  await page.goto(`${api.url}/app/profile`);
  const upload = page.locator('input[type=file]').first();
  expectError(/415|422/);
  await upload.setInputFiles({ name: 'a.png', mimeType: 'image/png', buffer: Buffer.from('<svg><script/></svg>') });
  await page.getByRole('alert').waitFor();
  await look(t, 'app-upload-refused');
  const jpeg = await sharp({ create: { width: 640, height: 480, channels: 3, background: '#c04020' } })
    .jpeg()
    .toBuffer();
  await upload.setInputFiles({ name: 'me.jpg', mimeType: 'image/jpeg', buffer: jpeg });
  await page.locator('img.picture').waitFor();
  const shown = "document.querySelector('img.picture')";
  await evaluate(`${shown}.decode()`);
  t.match(await evaluate(`${shown}.currentSrc`), /\/images\/[0-9a-f]{64}-\d+\.avif$/, 'the smallest type is chosen');
  await page.locator('form [name=name]').fill('Grace Hopper');
  await page.getByRole('button', { name: texts.save }).click();
  await page.getByText(texts.saved).waitFor();
  await look(t, 'app-profile');
  const others = page.getByRole('button', { name: texts.endSession });
  const sessions = await others.count();
  t.ok(sessions > 0, 'the test has sessions of its own');
  await others.first().click();
  await others.nth(sessions - 1).waitFor({ state: 'detached' });
  expectError(/401|400/);
  await page.locator('[name=password]').fill(password);
  await page.locator('[name=newPassword]').fill('a scarlet heron draws ships');
  await page.getByRole('button', { name: texts.changePassword }).click();
  await page.locator('form [name=email]').waitFor();
  await page.locator('[name=email]').fill(email);
  await page.locator('[name=password]').fill('a scarlet heron draws ships');
  await page.locator('form button[type=submit]').click();
  await page.locator('#content').waitFor();
}

for (const [name, act] of [
  ['a card is frozen, unfrozen, renamed and replaced', handleCard],
  ['transactions are searched, exported and summed up', readTransactions],
  ['a person changes picture, name, sessions and password', keepProfile],
] as const) {
  t.test(name, async (t) => {
    const api = await startStack(t);
    const browser = await openBrowser(t);
    for (const view of views) {
      await visit(t, browser, `${api.url}/app`, view, (seen) => act(t, api, seen));
    }
  });
}

const longName = 'Q'.repeat(64);

t.test('a manager invites people, changes what they may do, and long names widen no page', async (t) => {
  const api = await startStack(t);
  const browser = await openBrowser(t);
  for (const view of views) {
    const owner = await Customer.register(api, 'business');
    const accountId = await owner.accountId();
    await owner.post(`/api/accounts/${accountId}/deposits`, { amount: 100_000 });
    const card = await owner.card(accountId);
    const named = { name: longName };
    t.equal((await owner.change('PATCH', `/api/cards/${card.id}`, named)).status, 200);
    const { email } = owner;
    await api.sql`update companies c set name = ${longName} from users u
      where u.company_id = c.id and u.public_id = ${owner.userId}`;
    const memberId = `usr_member_${view.width}`;
    await api.sql`insert into users (public_id, kind, email, name, password_hash, company_id, role)
      select ${memberId}, 'business', ${`member-${view.width}@example.com`}, ${longName}, password_hash, company_id,
        'member' from users where public_id = ${owner.userId}`;
    await pay(api, card.token, { amount: 500, merchant: { id: 'm', name: longName, mcc: '5411', country: 'US' } });
    await until(
      'it is settled',
      async () => (await api.sql`select from transactions where card_id is not null`).length > 0,
    );
    await visit(t, browser, `${api.url}/app`, view, async (seen) => {
      const { page, look } = seen;
      await page.locator('[name=email]').fill(email);
      await page.locator('[name=password]').fill('a-password-of-tests');
      await page.locator('form button[type=submit]').click();
      await shows(seen, /QQQ/);
      await look(t, 'app-long-home');
      for (const path of ['cards', `cards/${card.id}`, 'transactions', 'spending', 'profile']) {
        await page.goto(`${api.url}/app/${path}`);
        await page.locator('#content h1').waitFor();
        await page.waitForLoadState('networkidle');
        await look(t, `app-long-${path.replace(/\/.*/, '-one')}`);
      }
      await page.goto(`${api.url}/app/limits/cards/${card.id}`);
      await page.locator('[name="daily.count"]').fill('x');
      await page.getByRole('button', { name: texts.save }).click();
      await page.getByText(/whole number of payments|ganze Zahl von Zahlungen/).waitFor();
      await page.locator('[name="daily.count"]').fill('3');
      await page.getByRole('button', { name: texts.save }).click();
      await page.getByText(texts.inForce).waitFor();
      t.match((await owner.get(`/api/cards/${card.id}/limits`)).json.limits, { daily: { count: 3 } });
      await look(t, 'app-limits-count');

      await page.getByRole('button', { name: /^(Add a window|Zeitraum hinzufügen)$/ }).click();
      await page.locator('[name="rolling.0.hours"]').fill('24');
      await page.getByRole('button', { name: texts.save }).click();
      await page.locator('[name="rolling.0.amount"][aria-invalid=true]:focus').fill('250,5');
      await page.getByRole('button', { name: texts.save }).click();
      await page.getByRole('meter', { name: /^(Last hours|Letzte Stunden): 24: .*250[.,]50 USD$/ }).waitFor();
      const rolling = [{ hours: 24, amount: 25_050 }];
      t.match((await owner.get(`/api/cards/${card.id}/limits`)).json.limits, { daily: { count: 3 }, rolling });
      await look(t, 'app-limits-last-hours');

      // Another one changes them while this page is open: their rule is not overwritten.
      const rule = { mcc: { block: ['7995'] } };
      t.equal((await owner.change('PUT', `/api/cards/${card.id}/limits`, rule)).status, 200);
      seen.expectError(/412/);
      await page.locator('[name="daily.count"]').fill('4');
      await page.getByRole('button', { name: texts.save }).click();
      await page.getByText(/This was changed meanwhile|Das wurde inzwischen geändert/).waitFor();
      t.same((await owner.get(`/api/cards/${card.id}/limits`)).json.limits, rule);

      await page.goto(`${api.url}/app/people`);
      const member = page.locator('li.panel', { hasText: `member-${view.width}@example.com` });
      await member.locator('select').selectOption('admin');
      await member.getByText(/^(administrator|Verwalter) · /).waitFor();
      await member.getByRole('button', { name: /^(Suspend|Aussperren)$/ }).click();
      await member.getByRole('button', { name: /^(Let in again|Wieder einlassen)$/ }).waitFor();
      t.match(await api.sql`select role, status from users where public_id = ${memberId}`, [
        { role: 'admin', status: 'frozen' },
      ]);
      await page.locator('[name=invite-name]').fill(longName);
      await page.locator('[name=invite-email]').fill('guest@example.com');
      await page.getByRole('button', { name: /^(Send the invitation|Einladung senden)$/ }).click();
      await page.getByText(/is on its way to guest|an guest@example.com ist unterwegs/).waitFor();
      await page.getByRole('button', { name: /^(Withdraw|Zurückziehen)$/ }).waitFor();
      await look(t, 'app-people');
      await page.getByRole('button', { name: /^(Withdraw|Zurückziehen)$/ }).click();
      await page.getByText(/There is no open invitation|Es gibt keine offene Einladung/).waitFor();

      await page.goto(`${api.url}/app/cards/${card.id}`);
      await page.locator('[name="confirm-close"]').fill(card.token.slice(-4));
      await look(t, 'app-close');
      await page.getByRole('button', { name: /^(Close the card|Karte schließen)$/ }).click();
      await page.locator('[name="confirm-close"]').waitFor({ state: 'detached' });
      t.equal((await pay(api, card.token)).reason, 'card_inactive');
    });
  }
});

t.test('the home page and a card say that they could not be read again', async (t) => {
  const api = await startStack(t);
  const browser = await openBrowser(t);
  await visit(t, browser, `${api.url}/app`, views[1]!, async (seen) => {
    const { page, look, expectError } = seen;
    const { buy } = await settled(api, seen);
    await buy(100, 'Corner Store', '5411');
    await page.locator('a[href^="/app/cards/"]').first().click();
    await page.getByRole('button', { name: texts.freeze }).waitFor();
    expectError(/503/);
    await page.route('**/api/cards/*', (route) =>
      route.request().method() === 'GET'
        ? route.fulfill({ status: 503, json: { title: 'overloaded' } })
        : route.continue(),
    );
    await page.getByRole('button', { name: texts.freeze }).click();
    await page
      .getByText(/Not new since|Nicht mehr neu seit/)
      .first()
      .waitFor();
    await look(t, 'app-card-stale');
    await page.unroute('**/api/cards/*');
    await page
      .getByRole('button', { name: /^(Try again|Noch einmal versuchen|Erneut versuchen)$/ })
      .first()
      .click();
    await page.getByRole('button', { name: texts.unfreeze }).waitFor();
    t.equal(await page.getByText(/Not new since|Nicht mehr neu seit/).count(), 0);
  });
});
