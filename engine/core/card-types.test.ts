/**
 * What cards of each type may buy, and what a replacement takes over. The language is described in testing/table.ts.
 */
import t from 'tap';
import { testTables } from '../testing/table.js';
import { CardType, cardTypeNamed, usedAgain } from './card-types.js';
import { faultOf } from './profile-shape.js';

testTables(`
= a single-use card makes one purchase, and its increments, clearing and refund are accepted
account A funds=10000
card C of A U type=single_use
v1 verification C                            -> approved 85 0 10000/0/0
d1 authorization C 20000                     -> insufficient_funds 51 0 10000/0/0
a1 authorization C 1000                      -> approved 00 1000 9000/1000/0
a2 authorization C 1                         -> limit_exceeded(card.lifetime.count) 65 0 9000/1000/0
v2 verification C                            -> limit_exceeded(card.lifetime.count) 65 0 9000/1000/0
b1 balance_inquiry C                         -> approved 00 0 9000/1000/0
i1 incremental C 500 original=a1             -> approved 00 500 8500/1500/0
c1 clearing C 1500 original=a1               -> approved 00 1500 8500/0/1500
f1 refund C 1500 original=a1                 -> approved 00 1500 10000/0/0
a3 authorization C 1                         -> limit_exceeded(card.lifetime.count) 65 0 10000/0/0

= a single-use card stays used when its purchase is reversed or lapses
account A funds=10000
card C of A U type=single_use
card D of A U type=single_use
a1 authorization C 1000                      -> approved 00 1000 9000/1000/0
r1 reversal C original=a1                    -> approved 00 1000 10000/0/0
a2 authorization C 1000                      -> limit_exceeded(card.lifetime.count) 65 0 10000/0/0
used card C lifetime                         -> 0/0
a3 authorization D 1000                      -> approved 00 1000 9000/1000/0
at +8d
expire a3                                    -> approved 00 1000 10000/0/0
a4 authorization D 1000                      -> limit_exceeded(card.lifetime.count) 65 0 10000/0/0

= a revoked approval counts as no purchase, even when its reversal came first
account A funds=10000
card C of A U type=single_use
a1 authorization C 1000                      -> approved 00 1000 9000/1000/0
revoke a1                                    -> system_error 96 0 10000/0/0
a2 authorization C 1000                      -> approved 00 1000 9000/1000/0
r2 reversal C original=a2                    -> approved 00 1000 10000/0/0
revoke a2                                    -> system_error 96 0 10000/0/0
a3 authorization C 1000                      -> approved 00 1000 9000/1000/0
revoke a3                                    -> system_error 96 0 10000/0/0
revoke a3                                    -> nothing
a3 authorization C 1000                      -> approved 00 1000 9000/1000/0
a4 authorization C 1                         -> limit_exceeded(card.lifetime.count) 65 0 9000/1000/0

= a purchase with an increment keeps counting while its authorization is revoked and repeated
account A funds=10000
card C of A U type=single_use
a1 authorization C 1000                      -> approved 00 1000 9000/1000/0
i1 incremental C 200 original=a1             -> approved 00 200 8800/1200/0
revoke a1                                    -> system_error 96 0 9800/200/0
a2 authorization C 1                         -> limit_exceeded(card.lifetime.count) 65 0 9800/200/0
a1 authorization C 1000                      -> approved 00 1000 8800/1200/0
revoke a1                                    -> system_error 96 0 9800/200/0
revoke i1                                    -> system_error 96 0 10000/0/0
a3 authorization C 1                         -> approved 00 1 9999/1/0

= a fact is never declined for the card type, and counts as a purchase
account A funds=10000
card C of A U type=single_use
card D of A U type=merchant_locked
c1 clearing C 100 merchant=m-1               -> approved(force_post) 00 100 9900/0/100
a1 authorization C 1                         -> limit_exceeded(card.lifetime.count) 65 0 9900/0/100
c2 clearing C 100 merchant=m-2               -> approved(force_post) 00 100 9800/0/200
s1 advice C 100 merchant=m-2                 -> approved 00 100 9700/100/200
s2 advice D 100 merchant=m-3                 -> approved 00 100 9600/200/200
a2 authorization D 1 merchant=m-4            -> merchant_blocked 57 0 9600/200/200
c3 clearing D 100 merchant=m-4               -> approved(force_post) 00 100 9500/200/300
a3 authorization D 1 merchant=m-3            -> approved 00 1 9499/201/300

= a merchant-locked card buys from the merchant of its first purchase only
account A funds=10000
card C of A U type=merchant_locked
v1 verification C merchant=m-9               -> approved 85 0 10000/0/0
v2 verification C                            -> approved 85 0 10000/0/0
a1 authorization C 100                       -> merchant_blocked 57 0 10000/0/0     # locked to which one then?
d1 authorization C 20000 merchant=m-9        -> insufficient_funds 51 0 10000/0/0
a2 authorization C 100 merchant=m-1          -> approved 00 100 9900/100/0
a3 authorization C 100 merchant=m-2          -> merchant_blocked 57 0 9900/100/0
a4 authorization C 100 merchant=M-1          -> merchant_blocked 57 0 9900/100/0
a5 authorization C 100                       -> merchant_blocked 57 0 9900/100/0
v3 verification C merchant=m-2               -> merchant_blocked 57 0 9900/100/0
v4 verification C                            -> merchant_blocked 57 0 9900/100/0
v5 verification C merchant=m-1               -> approved 85 0 9900/100/0
i1 incremental C 50 original=a2              -> approved 00 50 9850/150/0
i2 incremental C 50 original=a2 merchant=m-2 -> merchant_blocked 57 0 9850/150/0
b1 balance_inquiry C                         -> approved 00 0 9850/150/0
r1 reversal C original=a2                    -> approved 00 150 10000/0/0
a6 authorization C 100 merchant=m-2          -> merchant_blocked 57 0 10000/0/0
a7 authorization C 100 merchant=m-1          -> approved 00 100 9900/100/0

= a merchant-locked card stays locked after a revocation while another purchase counts
account A funds=10000
card C of A U type=merchant_locked
a1 authorization C 100 merchant=m-1          -> approved 00 100 9900/100/0
a2 authorization C 100 merchant=m-1          -> approved 00 100 9800/200/0
revoke a1                                    -> system_error 96 0 9900/100/0
a3 authorization C 100 merchant=m-2          -> merchant_blocked 57 0 9900/100/0
revoke a2                                    -> system_error 96 0 10000/0/0
a4 authorization C 100 merchant=m-2          -> approved 00 100 9900/100/0
a5 authorization C 100 merchant=m-1          -> merchant_blocked 57 0 9900/100/0

= a replacement card keeps the spend windows, purchases and merchant of the old card
account A funds=10000
card C of A U daily=1000/3
a1 authorization C 600                       -> approved 00 600 9400/600/0
card C of A U status=closed
card D of A U daily=1000/3 replaces=C
a2 authorization D 401                       -> limit_exceeded(card.daily.amount) 61 0 9400/600/0
a3 authorization C 1                         -> card_inactive 62 0 9400/600/0
# Open holds of the old card go on, with either card.
i1 incremental D 100 original=a1             -> approved 00 100 9300/700/0
r1 reversal C original=a1                    -> approved 00 700 10000/0/0
used card C daily                            -> 0/0
a4 authorization D 1000                      -> approved 00 1000 9000/1000/0
used card C daily                            -> 1000/1
card S of A U type=single_use
a5 authorization S 1                         -> approved 00 1 8999/1001/0
card T of A U type=single_use replaces=S
a6 authorization T 1                         -> limit_exceeded(card.lifetime.count) 65 0 8999/1001/0
card L of A U type=merchant_locked
a7 authorization L 1 merchant=m-1            -> approved 00 1 8998/1002/0
card M of A U type=merchant_locked replaces=L
a8 authorization M 1 merchant=m-2            -> merchant_blocked 57 0 8998/1002/0
a9 authorization M 1 merchant=m-1            -> approved 00 1 8997/1003/0

= an increment with an unrelated card finds no original
account A funds=10000
card C of A U
card D of A U
a1 authorization C 600                       -> approved 00 600 9400/600/0
i1 incremental D 100 original=a1             -> original_not_found 25 0 9400/600/0
`);

t.test('a profile without a type counts as virtual, and an unknown type name matches no type', async (t) => {
  t.equal(cardTypeNamed(undefined), CardType.virtual);
  t.equal(cardTypeNamed('single_use'), CardType.singleUse);
  t.notOk((Object.values(CardType) as number[]).includes(cardTypeNamed('gift')));
});

t.test('a card whose type this release does not know is set apart', async (t) => {
  const profile = { limits: null, expiresDay: 30_000 };
  for (const type of [undefined, 'virtual', 'merchant_locked', CardType.singleUse]) {
    t.equal(faultOf('card', { ...profile, ...(type === undefined ? {} : { type }) } as never), '', String(type));
  }
  for (const type of ['gift', null, cardTypeNamed('gift')]) {
    t.equal(faultOf('card', { ...profile, type } as never), 'its type is unknown', String(type));
  }
  t.equal(faultOf('card', { ...profile, spendNumber: -1 } as never), 'it spends as no card');
});

t.test('the count of purchases rises and falls, and the merchant is forgotten with the last purchase', async (t) => {
  const first = usedAgain(null, 1, '');
  t.same(first, { count: 1, merchant: '' });
  const second = usedAgain(first, 1, 'm-1');
  t.same(second, { count: 2, merchant: 'm-1' });
  t.same(usedAgain(second, 1, 'm-2'), { count: 3, merchant: 'm-1' });
  t.same(usedAgain(second, -1, 'm-1'), { count: 1, merchant: 'm-1' });
  t.equal(usedAgain(first, -1, ''), null);
  t.equal(usedAgain(null, -1, ''), null);
});
