/** Words for declines: every reason of the engine has some, in every language. */
import t from 'tap';
import { detailForcePost, detailName } from '../../engine/core/limit-names.js';
import { Reason, reasonTable } from '../../engine/core/reasons.js';
import de from '../messages/de.js';
import en from '../messages/en.js';
import { categories, categoryOf } from './categories.js';
import { declineWords } from './declines.js';
import type { Card, Transaction } from './shapes.js';

const card: Card = {
  id: 'card_1',
  token: 'tok',
  accountId: 'acct_1',
  userId: 'usr_1',
  name: 'Travel',
  type: 'virtual',
  status: 'active',
  expires: '2030-01-31',
  limits: { perAuthorization: 20_000 },
};

const declined = (reason: string, detail?: string): Transaction => ({
  id: 'auth_1',
  cardId: card.id,
  accountId: card.accountId,
  type: 'authorization',
  status: 'declined',
  currency: 'USD',
  amount: 21_000,
  approvedAmount: 0,
  heldAmount: 0,
  postedAmount: 0,
  refundedAmount: 0,
  reason,
  ...(detail === undefined ? {} : { detail }),
  merchant: { name: 'Hotel Aurora', mcc: '7011', country: 'US' },
  createdAt: '2026-11-27T12:00:00Z',
});

t.test('every reason and every limit that can decline has words in every language', async (t) => {
  const texts: readonly Readonly<Record<string, string>>[] = [en, de];
  const has = (key: string, what: string) => {
    for (const messages of texts) t.ok(messages[key], `${what}: ${key}`);
  };
  for (const { name, number } of reasonTable) {
    if (number === Reason.approved || number === Reason.limitExceeded) continue;
    for (const status of ['active', 'frozen', 'closed'] as const) {
      const { why, help } = declineWords(declined(name), { ...card, status });
      has(why, name);
      if (help !== null) has(help.label, name);
    }
  }
  for (let detail = 1; detail < detailForcePost; detail++) {
    const { why, help } = declineWords(declined('limit_exceeded', detailName(detail)), card);
    has(why, detailName(detail));
    t.match(help, { label: /changeLimit|newCard/ }, detailName(detail));
  }
  for (const category of categories) has(`category.${category}`, category);
});

t.test('a decline offers the one thing that helps', async (t) => {
  const help = (reason: string, detail?: string, now: Card | null = card) =>
    declineWords(declined(reason, detail), now).help?.path ?? null;
  t.equal(help('insufficient_funds'), '/accounts/acct_1');
  t.equal(help('card_inactive', undefined, { ...card, status: 'frozen' }), '/cards/card_1');
  t.equal(help('card_inactive'), null, 'it is active again');
  t.equal(help('limit_exceeded', 'card.daily.amount'), '/limits/cards/card_1');
  t.equal(help('limit_exceeded', 'account.monthly.count'), '/limits/accounts/acct_1');
  t.equal(help('limit_exceeded', 'user.weekly.amount'), '/limits/users/usr_1');
  t.equal(help('limit_exceeded', 'user.weekly.amount', null), null, 'whose limit it is, is not known');
  t.equal(help('mcc_blocked'), '/limits/cards/card_1');
  t.equal(help('overloaded'), null);
});

t.test('the limit is named while it still refuses the amount', async (t) => {
  const words = (limits: Card['limits']) =>
    declineWords(declined('limit_exceeded', 'card.perAuthorization'), { ...card, limits });
  t.match(words({ perAuthorization: 20_000 }), { why: 'decline.at_once', limitMinor: 20_000 });
  t.match(words({ perAuthorization: 50_000 }), { why: 'decline.too_much', limitMinor: null });
  t.match(words({}), { why: 'decline.too_much', limitMinor: null });
});

t.test('a category code is one of the kinds that people tell apart', async (t) => {
  for (const [mcc, category] of [
    ['5411', 'groceries'],
    ['5542', 'fuel'],
    ['3501', 'lodging'],
    ['4121', 'travel'],
    ['7995', 'gambling'],
    ['7832', 'entertainment'],
    ['9999', 'other'],
    [null, 'other'],
  ] as const) {
    t.equal(categoryOf(mcc), category, String(mcc));
  }
});
