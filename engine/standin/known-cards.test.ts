import t from 'tap';
import { Status } from '../core/accounts.js';
import { CardType } from '../core/card-types.js';
import { packLetters } from '../core/codes.js';
import type { CardPayload, FeedEntry } from '../core/feed.js';
import type { PartitionRows } from '../core/partition-rows.js';
import { KnownCards } from './known-cards.js';

const nowMs = Date.UTC(2026, 10, 28, 3);

function rowsOf(token: string, number: number, version = 1): PartitionRows {
  return {
    accounts: [
      {
        ...{ number, version, status: Status.active, currency: 'USD', timeZone: 'America/New_York' },
        ...{ partialApproval: false, limits: null, funds: 0, held: 0, posted: 0 },
      },
    ],
    users: [{ number, version, status: Status.active, limits: null }],
    cards: [
      {
        ...{ token, number, version, status: Status.active, expiresDay: 30_000, limits: { perAuthorization: 5 } },
        ...{ accountNumber: number, userNumber: number },
      },
    ],
  };
}

const place = { sequence: 1, atMs: 0 };
const cardChange = (payload: Partial<CardPayload>): FeedEntry => ({
  ...place,
  topic: 'card',
  payload: {
    ...{ token: 'a', number: 1, version: 2, status: 'active', expiresDay: 30_000, limits: null },
    ...{ accountNumber: 1, userNumber: 1, ownerKey: 1, ...payload },
  },
});

t.test('a card is known with its user and account, on the day of the account', async (t) => {
  const cards = new KnownCards();
  cards.take(rowsOf('a', 1));
  t.match(cards.find('a', nowMs), {
    token: 'a',
    status: Status.active,
    type: CardType.virtual,
    currency: packLetters('USD'),
    day: Math.floor(nowMs / 86_400_000) - 1,
    ...{ cardRules: { perAuthorization: 5 }, userRules: null, accountRules: null },
    owner: { accountNumber: 1, cardNumber: 1, cardSpend: 1, userNumber: 1, profileVersion: 1 },
  });
  t.equal(cards.find('b', nowMs), null);
});

t.test('a change counts at once, an older one and an older row never', async (t) => {
  const cards = new KnownCards();
  cards.take(rowsOf('a', 1));
  cards.changed(cardChange({ status: 'frozen' }));
  t.match(cards.find('a', nowMs), { status: Status.frozen, cardRules: null });
  cards.take(rowsOf('a', 1));
  cards.changed(cardChange({ version: 1 }));
  t.equal(cards.find('a', nowMs)!.status, Status.frozen);
  cards.changed({
    ...place,
    topic: 'user',
    payload: { number: 1, version: 2, status: 'closed', limits: null, ownerKey: 1 },
  });
  t.equal(cards.find('a', nowMs)!.userStatus, Status.closed);
  const account = { number: 1, version: 2, timeZone: 'UTC', partialApproval: false, limits: null, ownerKey: 1 };
  cards.changed({ ...place, topic: 'account', payload: { ...account, status: 'frozen' } });
  t.match(cards.find('a', nowMs), { accountStatus: Status.frozen, currency: packLetters('USD') });
});

t.test('a change of a card that is not known makes it no known card', async (t) => {
  const cards = new KnownCards();
  cards.changed(cardChange({}));
  t.equal(cards.find('a', nowMs), null);
});

t.test('its memory is bounded, and what has left is not known', async (t) => {
  const cards = new KnownCards(2);
  for (const [index, token] of ['a', 'b', 'c'].entries()) cards.take(rowsOf(token, index + 1));
  t.equal(cards.size, 2);
  t.equal(cards.find('a', nowMs), null);
  t.not(cards.find('c', nowMs), null);
});
