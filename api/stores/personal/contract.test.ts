/** The contract of the personal store, held by both implementations on real servers. */
import t from 'tap';
import { createStoreBench, storeKinds } from '../../testing/personal-stores.js';
import type { PersonalCard, PersonalProfile } from './store.js';

const profile: PersonalProfile = {
  userId: 'usr_one',
  email: 'one@example.com',
  name: 'One',
  kycStatus: 'pending',
  createdAt: '2026-01-02T03:04:05.678Z',
};

function cardNumbered(number: number, changes: Partial<PersonalCard> = {}): PersonalCard {
  return {
    cardId: `crd_${number}`,
    userId: 'usr_one',
    accountId: 'acct_one',
    token: `card_token_${number}`,
    name: `Card ${number}`,
    status: 'active',
    expires: '2030-01-31',
    limits: {},
    version: 1,
    createdAt: new Date(Date.UTC(2026, 0, 1) + number).toISOString(),
    ...changes,
  };
}

for (const kind of storeKinds) {
  t.test(`${kind} store`, async (t) => {
    const bench = await createStoreBench(kind);
    t.teardown(() => bench.close());
    const { store } = bench;

    t.test('a profile is kept once, and the first one stays', async (t) => {
      t.equal(await store.profile('usr_one'), null);
      await store.addProfile(profile);
      await store.addProfile({ ...profile, name: 'Another name' });
      t.same(await store.profile('usr_one'), profile);
      t.equal(await store.profile('usr_two'), null);
    });

    t.test('a card is kept once: the second call with its id gets the first one', async (t) => {
      const first = cardNumbered(1, { limits: { perAuthorization: 500, mcc: { block: ['7995'] } } });
      t.same(await store.addCard(first), first);
      t.same(await store.addCard({ ...first, token: 'card_other' }), first);
      t.same(await store.card('usr_one', first.cardId), first);
    });

    t.test('two calls with one id at the same time keep one card', async (t) => {
      const made = await Promise.all(
        [1, 2, 3, 4, 5].map((n) => store.addCard(cardNumbered(90, { userId: 'usr_same', token: `card_race_${n}` }))),
      );
      t.equal(new Set(made.map((card) => card.token)).size, 1);
    });

    t.test("somebody else's card does not exist", async (t) => {
      t.equal(await store.card('usr_two', 'crd_1'), null);
      t.same(await store.changeCard('usr_two', 'crd_1', { status: 'frozen' }, null), { outcome: 'absent' });
      t.same(await store.cards('usr_two', { after: null, limit: 10 }), []);
      t.match(await store.card('usr_one', 'crd_1'), { status: 'active', version: 1 });
      await t.rejects(store.addCard(cardNumbered(1, { userId: 'usr_two' })), /another user/);
    });

    t.test('cards come newest first, a page at a time, each once, also those of one instant', async (t) => {
      const createdAt = '2026-03-01T00:00:00.000Z';
      for (let n = 10; n < 17; n++) await store.addCard(cardNumbered(n, { userId: 'usr_list', createdAt }));
      await store.addCard(cardNumbered(17, { userId: 'usr_list', createdAt: '2026-03-01T00:00:00.001Z' }));
      const seen: string[] = [];
      let after: readonly [string, string] | null = null;
      for (;;) {
        const page: PersonalCard[] = await store.cards('usr_list', { after, limit: 3 });
        seen.push(...page.map((card) => card.cardId));
        const last = page.at(-1);
        if (last === undefined) break;
        after = [last.createdAt, last.cardId];
      }
      t.same(seen, ['crd_17', 'crd_16', 'crd_15', 'crd_14', 'crd_13', 'crd_12', 'crd_11', 'crd_10']);
    });

    t.test('a change raises the version by one; the same again changes nothing', async (t) => {
      await store.addCard(cardNumbered(20));
      const frozen = await store.changeCard('usr_one', 'crd_20', { status: 'frozen' }, null);
      t.match(frozen, { outcome: 'changed', card: { status: 'frozen', version: 2 } });
      t.match(await store.changeCard('usr_one', 'crd_20', { status: 'frozen' }, null), {
        outcome: 'unchanged',
        card: { version: 2 },
      });
      const limits = { daily: { amount: 1000, count: 3 }, channels: { allow: ['chip', 'atm'] } };
      t.match(await store.changeCard('usr_one', 'crd_20', { limits }, 2), {
        outcome: 'changed',
        card: { status: 'frozen', version: 3, limits },
      });
      t.match(
        await store.changeCard(
          'usr_one',
          'crd_20',
          { limits: { channels: limits.channels, daily: limits.daily } },
          null,
        ),
        { outcome: 'unchanged' },
        'the order of fields means nothing',
      );
      t.same((await store.card('usr_one', 'crd_20'))?.limits, limits);
    });

    t.test('a change that names an older version is refused with the newer one', async (t) => {
      await store.addCard(cardNumbered(21));
      await store.changeCard('usr_one', 'crd_21', { name: 'New' }, 1);
      t.same(await store.changeCard('usr_one', 'crd_21', { name: 'Newer' }, 1), { outcome: 'stale', version: 2 });
      t.match(await store.card('usr_one', 'crd_21'), { name: 'New', version: 2 });
    });

    t.test('of many changes at the same time none is lost', async (t) => {
      await store.addCard(cardNumbered(22));
      const outcomes = await Promise.all(
        [1, 2, 3, 4, 5].map((n) => store.changeCard('usr_one', 'crd_22', { name: `Name ${n}` }, null)),
      );
      t.ok(outcomes.every(({ outcome }) => outcome === 'changed'));
      t.equal((await store.card('usr_one', 'crd_22'))?.version, 6);
      const versioned = await Promise.all(
        [1, 2, 3, 4, 5].map((n) => store.changeCard('usr_one', 'crd_22', { name: `Other ${n}` }, 6)),
      );
      t.equal(versioned.filter(({ outcome }) => outcome === 'changed').length, 1, 'one of those that named version 6');
    });

    t.test('closed is for ever', async (t) => {
      await store.addCard(cardNumbered(23));
      await store.changeCard('usr_one', 'crd_23', { status: 'closed' }, null);
      t.match(await store.changeCard('usr_one', 'crd_23', { status: 'active' }, null), {
        outcome: 'closed',
        card: { status: 'closed', version: 2 },
      });
      t.match(await store.changeCard('usr_one', 'crd_23', { status: 'closed' }, null), { outcome: 'unchanged' });
    });

    t.test('what is not published waits, oldest first, until its newest version is', async (t) => {
      for (const card of await store.pendingCards(1000)) await store.clearPending(card.cardId, card.version);
      t.same(await store.pendingCards(10), []);
      await store.addCard(cardNumbered(30));
      await store.addCard(cardNumbered(31), true);
      await store.changeCard('usr_one', 'crd_31', { status: 'frozen' }, null);
      t.same(
        (await store.pendingCards(10)).map((card) => [card.cardId, card.version]),
        [
          ['crd_30', 1],
          ['crd_31', 2],
        ],
      );
      await store.changeCard('usr_one', 'crd_30', { name: 'Changed meanwhile' }, null);
      await store.clearPending('crd_30', 1);
      await store.clearPending('crd_31', 2);
      t.same(
        (await store.pendingCards(10)).map((card) => [card.cardId, card.version]),
        [['crd_30', 2]],
        'the mark of a newer version stays',
      );
    });

    t.test('says that it is there', async (t) => {
      t.match(store.health(), { isUp: true });
      t.equal(store.kind, kind);
    });
  });
}
