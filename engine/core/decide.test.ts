import t from 'tap';
import { testTables } from '../testing/table.js';
import {
  type AccountConfig,
  accountName,
  type CardConfig,
  dayMs,
  type Message,
  policyDefault,
  type UserConfig,
  World,
} from '../testing/world.js';
import { Status } from './accounts.js';
import { CardType } from './card-types.js';
import { checkOrder } from './checks.js';
import { channelNames, unpackLetters } from './codes.js';
import { declineOutright } from './decide.js';
import { levelNames, levels, windowNames } from './limit-names.js';
import { Outcome } from './outcome.js';
import { Reason, reasonEntry, reasonTable } from './reasons.js';
import { amountMinorMax, fundsMinorMax, Request, windowMinorMax } from './request.js';
import { decideRevocation } from './revoke-and-expire.js';

testTables(`
# the life of each message
= an authorization holds money and a final clearing posts it
account A funds=10000
card C of A U
a1 authorization C 1250 currency=USD   -> approved 00 1250 8750/1250/0
transaction a1                         -> open 1250/0 refunded=0
c1 clearing C 1250 original=a1         -> approved 00 1250 8750/0/1250
transaction a1                         -> completed 0/1250 refunded=0

= an authorization for all available money is approved, and one unit more is declined
a1 authorization C 1001  -> insufficient_funds 51 0 1000/0/0
transaction a1           -> none
a2 authorization C 1000  -> approved 00 1000 0/1000/0
a3 authorization C 1     -> insufficient_funds 51 0 0/1000/0

= an increment adds to the hold, and its id names the same transaction
a1 authorization C 500              -> approved 00 500 500/500/0
i1 incremental C 300 original=a1    -> approved 00 300 200/800/0
i2 incremental C 201 original=a1    -> insufficient_funds 51 0 200/800/0
i3 incremental C 200 original=i1    -> approved 00 200 0/1000/0
transaction a1                      -> open 1000/0 refunded=0
c1 clearing C 900 original=i3       -> approved 00 900 100/0/900
i4 incremental C 10 original=a1     -> original_closed 84 0 100/0/900
i5 incremental C 10 original=zz     -> original_not_found 25 0 100/0/900

= an increment must come from the card that was authorized
card D of A U
a1 authorization C 500              -> approved 00 500 500/500/0
i1 incremental D 100 original=a1    -> original_not_found 25 0 500/500/0

= a reversal releases part or all of a hold, and repeating it changes nothing
a1 authorization C 500           -> approved 00 500 500/500/0
r1 reversal C 200 original=a1    -> approved 00 200 700/300/0
transaction a1                   -> open 300/0 refunded=0
r2 reversal C original=a1        -> approved 00 300 1000/0/0
transaction a1                   -> reversed 0/0 refunded=0
r3 reversal C original=a1        -> approved 00 0 1000/0/0
r4 reversal C 200 original=a1    -> approved 00 0 1000/0/0
transaction a1                   -> reversed 0/0 refunded=0

= a reversal of more than is held releases what is held
a1 authorization C 500           -> approved 00 500 500/500/0
r1 reversal C 900 original=a1    -> approved 00 500 1000/0/0
transaction a1                   -> reversed 0/0 refunded=0

= a reversal after a partial clearing completes the transaction, and only a refund returns the posted money
a1 authorization C 500              -> approved 00 500 500/500/0
c1 clearing C 100 original=a1 more  -> approved 00 100 500/400/100
r1 reversal C original=a1           -> approved 00 400 900/0/100
transaction a1                      -> completed 0/100 refunded=0
r2 reversal C original=a1           -> original_closed 84 0 900/0/100
f1 refund C 100 original=a1         -> approved 00 100 1000/0/0

= a reversal that arrives before its authorization spends the id
r1 reversal C original=a1    -> original_not_found 25 0 1000/0/0
transaction a1               -> tombstone 0/0 refunded=0
a1 authorization C 500       -> original_closed 84 0 1000/0/0
transaction a1               -> tombstone 0/0 refunded=0
r2 reversal C original=a2    -> original_not_found 25 0 1000/0/0
a2 advice C 500              -> original_closed 84 0 1000/0/0
i1 incremental C 1 original=a2 -> original_closed 84 0 1000/0/0

= a reversal of a declined authorization finds no original and leaves no tombstone
a1 authorization C 5000      -> insufficient_funds 51 0 1000/0/0
r1 reversal C original=a1    -> original_not_found 25 0 1000/0/0
transaction a1               -> none

= a reversal that arrives before its increment spends the id of the increment
a1 authorization C 500            -> approved 00 500 500/500/0
r1 reversal C 50 original=i1      -> original_not_found 25 0 500/500/0
i1 incremental C 50 original=a1   -> original_closed 84 0 500/500/0
i2 incremental C 50 original=a1   -> approved 00 50 450/550/0
transaction a1                    -> open 550/0 refunded=0

= a final clearing for less than the hold releases the rest
a1 authorization C 500              -> approved 00 500 500/500/0
c1 clearing C 100 original=a1 more  -> approved 00 100 500/400/100
c2 clearing C 150 original=a1 more  -> approved 00 150 500/250/250
transaction a1                      -> open 250/250 refunded=0
c3 clearing C 50 original=a1        -> approved 00 50 700/0/300
transaction a1                      -> completed 0/300 refunded=0
c4 clearing C 20 original=a1        -> approved(force_post) 00 20 680/0/320

= a clearing for more than the hold posts all of it, from the hold first
a1 authorization C 500              -> approved 00 500 500/500/0
c1 clearing C 620 original=a1 more  -> approved 00 620 380/0/620
transaction a1                      -> open 0/620 refunded=0
used card C daily                   -> 620/1
i1 incremental C 100 original=a1    -> approved 00 100 280/100/620
c2 clearing C 100 original=a1       -> approved 00 100 280/0/720
transaction a1                      -> completed 0/720 refunded=0
used card C daily                   -> 720/1

= a final clearing of zero releases the hold as a reversal does
a1 authorization C 500              -> approved 00 500 500/500/0
c1 clearing C 0 original=a1         -> approved 00 0 1000/0/0
transaction a1                      -> reversed 0/0 refunded=0
used card C daily                   -> 0/0
a2 authorization C 500              -> approved 00 500 500/500/0
c2 clearing C 0 original=a2 more    -> approved 00 0 500/500/0
transaction a2                      -> open 500/0 refunded=0

= a clearing without an authorization is posted even below zero, and later authorizations find less money
c1 clearing C 1500                  -> approved(force_post) 00 1500 -500/0/1500
transaction c1                      -> completed 0/1500 refunded=0
used card C daily                   -> 1500/1
a1 authorization C 1                -> insufficient_funds 51 0 -500/0/1500
a2 authorization C 1 partial        -> insufficient_funds 51 0 -500/0/1500
c2 clearing C 10 original=absent    -> approved(force_post) 00 10 -510/0/1510
f1 refund C 600 original=c1         -> approved 00 600 90/0/910
a3 authorization C 90               -> approved 00 90 0/90/910

= a clearing of a declined authorization opens a transaction of its own
a1 authorization C 5000             -> insufficient_funds 51 0 1000/0/0
c1 clearing C 300 original=a1       -> approved(force_post) 00 300 700/0/300
transaction c1                      -> completed 0/300 refunded=0

= a message that follows a tombstone opens a transaction of its own, because a tombstone carries no money
account A funds=1000
account B funds=1000
card C of A U
card D of B V
r1 reversal C original=a1           -> original_not_found 25 0 1000/0/0
c1 clearing C 300 original=a1       -> approved(force_post) 00 300 700/0/300
transaction c1                      -> completed 0/300 refunded=0
f1 refund C 100 original=a1         -> approved(force_post) 00 100 800/0/200
transaction f1                      -> completed 0/-100 refunded=100
transaction a1                      -> tombstone 0/0 refunded=0
a1 authorization D 50               -> original_closed 84 0 1000/0/0
f2 refund C 100 original=a1         -> approved(force_post) 00 100 900/0/100
transaction a1                      -> tombstone 0/0 refunded=0

= a clearing of zero is valid, and a clearing without an amount is not
c1 clearing C 0                     -> approved(force_post) 00 0 1000/0/0
c2 clearing C                       -> amount_invalid 13 0 1000/0/0

= a hold lapses after seven days, and a clearing that comes later is still posted
at 2026-11-02T10:00:00Z
a1 authorization C 400              -> approved 00 400 600/400/0
at 2026-11-09T09:59:59.999Z
expire a1                           -> nothing
at 2026-11-09T10:00:00Z
expire a1                           -> approved 00 400 1000/0/0
transaction a1                      -> expired 0/0 refunded=0
expire a1                           -> nothing
used card C lifetime                -> 0/0
r1 reversal C original=a1           -> approved 00 0 1000/0/0
c1 clearing C 400 original=a1       -> approved(force_post) 00 400 600/0/400
transaction a1                      -> completed 0/400 refunded=0
used card C lifetime                -> 400/1
c2 clearing C 5 original=a1         -> approved(force_post) 00 5 595/0/405
used card C lifetime                -> 405/1

= the rest of a partly cleared hold lapses too, and completes the transaction
at 2026-11-02T10:00:00Z
a1 authorization C 400              -> approved 00 400 600/400/0
c1 clearing C 100 original=a1 more  -> approved 00 100 600/300/100
at +7d
expire a1                           -> approved 00 300 900/0/100
transaction a1                      -> completed 0/100 refunded=0
used card C lifetime                -> 100/1

= a transaction that holds nothing and is never cleared closes at the end of its lifetime
at 2026-11-02T10:00:00Z
a1 authorization C 400              -> approved 00 400 600/400/0
c1 clearing C 400 original=a1 more  -> approved 00 400 600/0/400
a2 authorization C 100              -> approved 00 100 500/100/400
c2 clearing C 100 original=a2 more  -> approved 00 100 500/0/500
f2 refund C 100 original=a2         -> approved 00 100 600/0/400
expire a1                           -> nothing
at +7d
expire a1                           -> approved 00 0 600/0/400
transaction a1                      -> completed 0/400 refunded=0
expire a1                           -> nothing
expire a2                           -> approved 00 0 600/0/400
transaction a2                      -> completed 0/0 refunded=100
used card C lifetime                -> 500/2

= an increment extends the lifetime of the whole hold and never shortens it
account A funds=10000
card C of A U
at 2026-11-02T10:00:00Z
a1 authorization C 5000                 -> approved 00 5000 5000/5000/0
c1 clearing C 5000 original=a1 more     -> approved 00 5000 5000/0/5000
a2 authorization C 100                  -> approved 00 100 4900/100/5000
a3 authorization C 10 mcc=7011          -> approved 00 10 4890/110/5000
at +6d
i2 incremental C 100 original=a2        -> approved 00 100 4790/210/5000
i3 incremental C 1 original=a3          -> approved 00 1 4789/211/5000
at +2d
i1 incremental C 4000 original=a1       -> approved 00 4000 789/4211/5000
expire a1                               -> nothing
expire a2                               -> nothing
at +5d
expire a2                               -> approved 00 200 989/4011/5000
expire a3                               -> nothing
expire a1                               -> nothing
at +2d
expire a1                               -> approved 00 4000 4989/11/5000
at +15d
expire a3                               -> approved 00 11 5000/0/5000

= a hold for lodging or a rented car lives thirty days
account A funds=10000
card C of A U
at 2026-11-01T00:00:00Z
a1 authorization C 100 mcc=7011     -> approved 00 100 9900/100/0
a2 authorization C 100 mcc=3501     -> approved 00 100 9800/200/0
a3 authorization C 100 mcc=3999     -> approved 00 100 9700/300/0
a4 authorization C 100 mcc=3351     -> approved 00 100 9600/400/0
a5 authorization C 100 mcc=7512     -> approved 00 100 9500/500/0
a6 advice C 100 mcc=7519            -> approved 00 100 9400/600/0
a7 authorization C 100 mcc=3350     -> approved 00 100 9300/700/0
a8 authorization C 100 mcc=4000     -> approved 00 100 9200/800/0
at +7d
expire a7                           -> approved 00 100 9300/700/0
expire a8                           -> approved 00 100 9400/600/0
expire a1                           -> nothing
expire a2                           -> nothing
expire a3                           -> nothing
expire a4                           -> nothing
expire a5                           -> nothing
expire a6                           -> nothing
at +23d
expire a1                           -> approved 00 100 9500/500/0
expire a2                           -> approved 00 100 9600/400/0
expire a3                           -> approved 00 100 9700/300/0
expire a4                           -> approved 00 100 9800/200/0
expire a5                           -> approved 00 100 9900/100/0
expire a6                           -> approved 00 100 10000/0/0

= a refund credits with and without an original, closes no transaction, and is flagged above what was posted
a1 authorization C 400              -> approved 00 400 600/400/0
f1 refund C 50 original=a1          -> approved(force_post) 00 50 650/400/-50
transaction a1                      -> open 400/-50 refunded=50
c1 clearing C 400 original=a1       -> approved 00 400 650/0/350
f2 refund C 30 original=a1          -> approved 00 30 680/0/320
transaction a1                      -> completed 0/320 refunded=80
f3 refund C 20                      -> approved 00 20 700/0/300
transaction f3                      -> completed 0/-20 refunded=20
f4 refund C 5 original=absent       -> approved(force_post) 00 5 705/0/295
transaction f4                      -> completed 0/-5 refunded=5
f5 refund C 320 original=a1         -> approved 00 320 1025/0/-25
f6 refund C 1 original=a1           -> approved(force_post) 00 1 1026/0/-26

= a verification and a balance inquiry hold no money
v1 verification C 0                 -> approved 85 0 1000/0/0
v2 verification C                   -> approved 85 0 1000/0/0
b1 balance_inquiry C                -> approved 00 0 1000/0/0
transaction v1                      -> none
transaction b1                      -> none
used card C lifetime                -> 0/0
v3 verification C 1                 -> amount_invalid 13 0 1000/0/0
b2 balance_inquiry C 1              -> amount_invalid 13 0 1000/0/0
r1 reversal C original=v1           -> original_not_found 25 0 1000/0/0

= an advice holds what was approved elsewhere, on a frozen card, beyond the limits and below zero
account A funds=1000 status=frozen daily=10/1
user U status=closed
card C of A U status=frozen expires=2020-01-01 mcc.block=5411 perAuthorization=1
a1 authorization C 100 mcc=5411     -> card_inactive 62 0 1000/0/0
v1 advice C 1200 mcc=5411           -> approved 00 1200 -200/1200/0
transaction v1                      -> open 1200/0 refunded=0
used account A daily                -> 1200/1
c1 clearing C 1200 original=v1      -> approved 00 1200 -200/0/1200
f1 refund C 300 original=v1         -> approved 00 300 100/0/900
v2 advice C 50 currency=EUR         -> currency_mismatch 12 0 100/0/900
v3 advice C 0                       -> amount_invalid 13 0 100/0/900
v4 advice X 50                      -> card_not_found 14 0 -

= an advice replaces the hold of its original by the dispensed amount, and its clearing leaves nothing held
account A funds=10000
card C of A U
a1 authorization C 100              -> approved 00 100 9900/100/0
v1 advice C 4500 original=a1        -> approved 00 4500 5500/4500/0
transaction a1                      -> open 4500/0 refunded=0
transaction v1                      -> none
used card C daily                   -> 4500/1
v2 advice C 4000 original=v1        -> approved 00 4000 6000/4000/0
used card C daily                   -> 4000/1
v3 advice C 4000 original=a1        -> approved 00 4000 6000/4000/0
c1 clearing C 4000 original=v1      -> approved 00 4000 6000/0/4000
transaction a1                      -> completed 0/4000 refunded=0
v4 advice C 4000 original=a1        -> approved 00 4000 6000/0/4000

= an advice replaces only the part that is still held, not the cleared part
a1 authorization C 300                      -> approved 00 300 700/300/0
c1 clearing C 100 original=a1 more          -> approved 00 100 700/200/100
v1 advice C 250 original=a1                 -> approved 00 250 650/250/100
r1 reversal C original=a1                   -> approved 00 250 900/0/100

= an advice without an open transaction opens one of its own
account A funds=1000
account B funds=1000
card C of A U
card D of B V
a1 authorization C 100              -> approved 00 100 900/100/0
v1 advice C 10 original=absent      -> approved 00 10 890/110/0
transaction v1                      -> open 10/0 refunded=0
v2 advice D 20 original=a1          -> approved 00 20 980/20/0
transaction v2                      -> open 20/0 refunded=0
r1 reversal C original=a1           -> approved 00 100 990/10/0
v3 advice C 30 original=a1          -> approved 00 30 960/40/0
transaction v3                      -> open 30/0 refunded=0
r2 reversal C original=a9           -> original_not_found 25 0 960/40/0
v4 advice C 40 original=a9          -> approved 00 40 920/80/0
r3 reversal C original=v9           -> original_not_found 25 0 920/80/0
v9 advice C 50 original=v1          -> original_closed 84 0 920/80/0
v5 advice C 5 original=v1 currency=EUR -> currency_mismatch 12 0 920/80/0
transaction v5                      -> none

= an advice of an authorization that was approved here keeps its hold, and of one that was not opens its own
account A funds=1000
card C of A U
a1 authorization C 300                             -> approved 00 300 700/300/0
v1 advice C 100 original=a1 answers=authorization  -> approved 00 100 700/300/0
c1 clearing C 300 original=v1                      -> approved 00 300 700/0/300
v2 advice C 100 original=a1 answers=authorization  -> approved 00 100 700/0/300
v3 advice C 900 original=a2 answers=authorization  -> approved 00 900 -200/900/300
transaction v3                                     -> open 900/0 refunded=0
a3 authorization C 5000                            -> insufficient_funds 51 0 -200/900/300
v4 advice C 5000 original=a3 answers=authorization -> approved 00 5000 -5200/5900/300
transaction v4                                     -> open 5000/0 refunded=0
used card C daily                                  -> 6200/3

= an advice of an increment adds to an open hold, beyond what is available, and to no other one
account A funds=1000
card C of A U
a1 authorization C 300                           -> approved 00 300 700/300/0
v1 advice C 900 original=a1 answers=incremental  -> approved 00 900 -200/1200/0
transaction a1                                   -> open 1200/0 refunded=0
used card C daily                                -> 1200/1
v2 advice C 10 original=a9 answers=incremental   -> approved 00 0 -200/1200/0
transaction v2                                   -> none
v3 advice C 0 original=a1 answers=incremental    -> amount_invalid 13 0 -200/1200/0
r1 reversal C original=v1                        -> approved 00 1200 1000/0/0
v4 advice C 10 original=a1 answers=incremental   -> approved 00 0 1000/0/0
transaction v4                                   -> none
a2 authorization C 100                           -> approved 00 100 900/100/0
c1 clearing C 100 original=a2                    -> approved 00 100 900/0/100
v5 advice C 10 original=a2 answers=incremental   -> approved 00 0 900/0/100

= a single-message purchase is authorized and posted at once
account A funds=1000 partial
card C of A U
a1 authorization C 400 capture         -> approved 00 400 600/0/400
transaction a1                         -> completed 0/400 refunded=0
used card C daily                      -> 400/1
expire a1                              -> nothing
r1 reversal C original=a1              -> original_closed 84 0 600/0/400
f1 refund C 400 original=a1            -> approved 00 400 1000/0/0
a2 authorization C 1500 capture partial -> approved 10 1000 0/0/1000
v1 advice C 30 capture                 -> approved 00 30 -30/0/1030

= an authorization is approved for less only when the terminal permits it and the account does too
account A funds=300
account B funds=300 partial
card C of A U
card D of B U
a1 authorization C 500 partial      -> insufficient_funds 51 0 300/0/0
a2 authorization D 500              -> insufficient_funds 51 0 300/0/0
a3 authorization D 100 partial      -> approved 00 100 200/100/0
i1 incremental D 500 original=a3 partial -> insufficient_funds 51 0 200/100/0
a4 authorization D 500 partial      -> approved 10 200 0/300/0
transaction a4                      -> open 200/0 refunded=0
used card D daily                   -> 300/2
a5 authorization D 500 partial      -> insufficient_funds 51 0 0/300/0
c1 clearing D 200 original=a4       -> approved 00 200 0/100/200

= an authorization is never approved for less in order to stay within a limit
account A funds=300 partial
card C of A U perAuthorization=400
a1 authorization C 500 partial      -> limit_exceeded(card.perAuthorization) 61 0 300/0/0
a2 authorization C 400 partial      -> approved 10 300 0/300/0

= a card cannot find the transaction of another account, and cannot use its id
account A funds=1000
account B funds=1000
card C of A U
card D of B V
a1 authorization C 400              -> approved 00 400 600/400/0
r1 reversal D original=a1           -> original_not_found 25 0 1000/0/0
i1 incremental D 10 original=a1     -> original_not_found 25 0 1000/0/0
c1 clearing D 10 original=a1        -> approved(force_post) 00 10 990/0/10
f1 refund D 10 original=a1          -> approved(force_post) 00 10 1000/0/0
transaction a1                      -> open 400/0 refunded=0
transaction c1                      -> completed 0/10 refunded=0

= a replacement card reverses and clears holds of the old card, in the windows of the old card
card D of A V
a1 authorization C 400              -> approved 00 400 600/400/0
r1 reversal D 100 original=a1       -> approved 00 100 700/300/0
used card C daily                   -> 300/1
used user U daily                   -> 300/1
used card D daily                   -> 0/0
c1 clearing D 350 original=a1       -> approved 00 350 650/0/350
used card C daily                   -> 350/1
used card D daily                   -> 0/0

# a user with several currencies
= the windows of a user count separately in each currency
account J funds=50000 currency=JPY
account D funds=50000
account E funds=50000
user U daily=10000/2
card CJ of J U
card CD of D U
card CE of E U
j1 authorization CJ 9900            -> approved 00 9900 40100/9900/0
d1 authorization CD 10000           -> approved 00 10000 40000/10000/0
used user U daily JPY               -> 9900/1
used user U daily USD               -> 10000/1
d2 authorization CE 1               -> limit_exceeded(user.daily.amount) 61 0 50000/0/0
j2 authorization CJ 101             -> limit_exceeded(user.daily.amount) 61 0 40100/9900/0
r1 reversal CD 4000 original=d1     -> approved 00 4000 44000/6000/0
e1 authorization CE 4000            -> approved 00 4000 46000/4000/0
j3 authorization CJ 100             -> approved 00 100 40000/10000/0
j4 authorization CJ 1               -> limit_exceeded(user.daily.amount) 61 0 40000/10000/0
revoke j3                           -> system_error 96 0 40100/9900/0
used user U daily JPY               -> 9900/1
at +8d
expire j1                           -> approved 00 9900 50000/0/0
used user U lifetime JPY            -> 0/0
used user U lifetime USD            -> 10000/2

# revocation
= revoking an approval undoes all of it
a1 authorization C 400              -> approved 00 400 600/400/0
revoke a1                           -> system_error 96 0 1000/0/0
transaction a1                      -> declined 0/0 refunded=0
used card C daily                   -> 0/0
i1 incremental C 5 original=a1      -> original_not_found 25 0 1000/0/0
c1 clearing C 70 original=a1        -> approved(force_post) 00 70 930/0/70
transaction c1                      -> completed 0/70 refunded=0
f1 refund C 20 original=a1          -> approved(force_post) 00 20 950/0/50
transaction f1                      -> completed 0/-20 refunded=20
transaction a1                      -> declined 0/0 refunded=0

= a revoked authorization is decided again under the same id, with the funds of that moment
account A funds=1000
card C of A U daily=1000/2
a1 authorization C 400              -> approved 00 400 600/400/0
revoke a1                           -> system_error 96 0 1000/0/0
a2 authorization C 700              -> approved 00 700 300/700/0
a1 authorization C 400              -> limit_exceeded(card.daily.amount) 61 0 300/700/0
a3 authorization C 100              -> approved 00 100 200/800/0
revoke a3                           -> system_error 96 0 300/700/0
a3 authorization C 100              -> approved 00 100 200/800/0
transaction a3                      -> open 100/0 refunded=0
used card C daily                   -> 800/2
c3 clearing C 100 original=a3       -> approved 00 100 200/700/100

= a reversal of a revoked authorization spends its id
a1 authorization C 400              -> approved 00 400 600/400/0
revoke a1                           -> system_error 96 0 1000/0/0
r1 reversal C original=a1           -> original_not_found 25 0 1000/0/0
transaction a1                      -> tombstone 0/0 refunded=0
a1 authorization C 400              -> original_closed 84 0 1000/0/0
a2 authorization C 400              -> approved 00 400 600/400/0
r2 reversal C original=a2           -> approved 00 400 1000/0/0
revoke a2                           -> system_error 96 0 1000/0/0
a2 authorization C 400              -> original_closed 84 0 1000/0/0
used card C daily                   -> 0/0

= a revoked authorization that comes again joins its surviving increment, once, and only for the same card
account A funds=1000
card C of A U perAuthorization=500
card D of A U
a1 authorization C 400              -> approved 00 400 600/400/0
i1 incremental C 50 original=a1     -> approved 00 50 550/450/0
revoke a1                           -> system_error 96 0 950/50/0
a1 authorization D 400              -> duplicate_conflict 94 0 950/50/0
a2 authorization C 100              -> approved 00 100 850/150/0
i2 incremental C 50 original=a2     -> approved 00 50 800/200/0
revoke a2                           -> system_error 96 0 900/100/0
a2 authorization C 451              -> limit_exceeded(card.perAuthorization) 61 0 900/100/0
a3 authorization C 100              -> approved 00 100 800/200/0
i3 incremental C 50 original=a3     -> approved 00 50 750/250/0
revoke a3                           -> system_error 96 0 850/150/0
a3 authorization C 100              -> approved 00 100 750/250/0
transaction a3                      -> open 150/0 refunded=0
used card C daily                   -> 250/3
revoke a3                           -> system_error 96 0 850/150/0
revoke i3                           -> system_error 96 0 900/100/0
transaction a3                      -> declined 0/0 refunded=0
used card C daily                   -> 100/2

= revoking an increment undoes only the part of that increment
a1 authorization C 400              -> approved 00 400 600/400/0
i1 incremental C 50 original=a1     -> approved 00 50 550/450/0
revoke i1                           -> system_error 96 0 600/400/0
transaction a1                      -> open 400/0 refunded=0
used card C daily                   -> 400/1

= revoking an authorization leaves its increment, with a transaction that holds it
a1 authorization C 400              -> approved 00 400 600/400/0
i1 incremental C 50 original=a1     -> approved 00 50 550/450/0
revoke a1                           -> system_error 96 0 950/50/0
transaction a1                      -> open 50/0 refunded=0
used card C daily                   -> 50/1
revoke i1                           -> system_error 96 0 1000/0/0
transaction a1                      -> declined 0/0 refunded=0
used card C daily                   -> 0/0
a2 authorization C 400              -> approved 00 400 600/400/0
i2 incremental C 50 original=a2     -> approved 00 50 550/450/0
revoke i2                           -> system_error 96 0 600/400/0
revoke a2                           -> system_error 96 0 1000/0/0
transaction a2                      -> declined 0/0 refunded=0
used card C daily                   -> 0/0

= revoking the last increment of a reversed authorization closes it and gives the count back once
a1 authorization C 400              -> approved 00 400 600/400/0
i1 incremental C 50 original=a1     -> approved 00 50 550/450/0
r1 reversal C 400 original=a1       -> approved 00 400 950/50/0
revoke i1                           -> system_error 96 0 1000/0/0
transaction a1                      -> reversed 0/0 refunded=0
used card C daily                   -> 0/0
i2 incremental C 5 original=a1      -> original_closed 84 0 1000/0/0

= revoking an authorization releases what a clearing in between left of it
a1 authorization C 400              -> approved 00 400 600/400/0
c1 clearing C 150 original=a1 more  -> approved 00 150 600/250/150
revoke a1                           -> system_error 96 0 850/0/150
transaction a1                      -> open 0/150 refunded=0
used card C daily                   -> 150/1
a2 authorization C 400              -> approved 00 400 450/400/150
c2 clearing C 400 original=a2       -> approved 00 400 450/0/550
revoke a2                           -> system_error 96 0 450/0/550
transaction a2                      -> completed 0/400 refunded=0
used card C daily                   -> 550/2

= revoking an authorization releases what a reversal in between left of it, and its count once
a1 authorization C 400              -> approved 00 400 600/400/0
r1 reversal C 100 original=a1       -> approved 00 100 700/300/0
revoke a1                           -> system_error 96 0 1000/0/0
transaction a1                      -> declined 0/0 refunded=0
used card C daily                   -> 0/0
a2 authorization C 400              -> approved 00 400 600/400/0
a3 authorization C 10               -> approved 00 10 590/410/0
r2 reversal C original=a2           -> approved 00 400 990/10/0
revoke a2                           -> system_error 96 0 990/10/0
transaction a2                      -> reversed 0/0 refunded=0
used card C daily                   -> 10/1

= a reversal may say what remains of a hold, and takes no more of it when it comes again
account A funds=1000
card C of A U
a1 authorization C 800                             -> approved 00 800 200/800/0
r1 reversal C 300 original=a1 answers=reversal     -> approved 00 500 700/300/0
r2 reversal C 300 original=a1 answers=reversal     -> approved 00 0 700/300/0
r3 reversal C 100 original=a1 answers=reversal     -> approved 00 200 900/100/0
r4 reversal C 0 original=a1 answers=reversal       -> amount_invalid 13 0 900/100/0
used card C daily                                  -> 100/1
r5 reversal C original=a1                          -> approved 00 100 1000/0/0
r6 reversal C 50 original=a1 answers=reversal      -> approved 00 0 1000/0/0
a2 authorization C 400                             -> approved 00 400 600/400/0
c2 clearing C 400 original=a2                      -> approved 00 400 600/0/400
r7 reversal C 50 original=a2 answers=reversal      -> original_closed 84 0 600/0/400
used card C daily                                  -> 400/1

= a reversal takes a purchase that was posted at once back, whole or but for what remains
account A funds=1000
card C of A U
a1 authorization C 800 capture                     -> approved 00 800 200/0/800
r1 reversal C 300 original=a1 answers=clearing     -> approved 00 500 700/0/300
r2 reversal C 300 original=a1 answers=clearing     -> approved 00 0 700/0/300
transaction a1                                     -> completed 0/300 refunded=0
used card C daily                                  -> 300/1
r3 reversal C original=a1 answers=authorization    -> approved 00 300 1000/0/0
r4 reversal C 10 original=a1 answers=clearing      -> approved 00 0 1000/0/0
transaction a1                                     -> reversed 0/0 refunded=0
used card C daily                                  -> 0/0

= a reversal that does not say what its original was takes back what was posted at once, and no cleared hold
account A funds=1000
card C of A U
a1 authorization C 800 capture                     -> approved 00 800 200/0/800
r1 reversal C 300 original=a1 answers=reversal     -> approved 00 500 700/0/300
r2 reversal C 300 original=a1 answers=reversal     -> approved 00 0 700/0/300
r3 reversal C original=a1 answers=reversal         -> approved 00 300 1000/0/0
r4 reversal C original=a1 answers=reversal         -> approved 00 0 1000/0/0
transaction a1                                     -> reversed 0/0 refunded=0
used card C daily                                  -> 0/0
a2 authorization C 400                             -> approved 00 400 600/400/0
r5 reversal C original=a2 answers=reversal         -> approved 00 400 1000/0/0
a3 authorization C 400                             -> approved 00 400 600/400/0
c3 clearing C 400 original=a3                      -> approved 00 400 600/0/400
r6 reversal C original=a3 answers=reversal         -> original_closed 84 0 600/0/400
c4 clearing C 100                                  -> approved(force_post) 00 100 500/0/500
r7 reversal C original=c4 answers=reversal         -> approved 00 100 600/0/400
f5 refund C 50                                     -> approved 00 50 650/0/350
r8 reversal C original=f5 answers=reversal         -> original_closed 84 0 650/0/350
transaction f5                                     -> completed 0/-50 refunded=50

= a clearing posts nothing of a purchase that was posted at once and taken back, before or behind it
account A funds=1000
card C of A U
a1 authorization C 800 capture                     -> approved 00 800 200/0/800
c1 clearing C 800 original=a1 answers=clearing     -> approved 00 800 200/0/800
r1 reversal C original=a1 answers=clearing         -> approved 00 800 1000/0/0
c2 clearing C 800 original=a1 answers=clearing     -> approved 00 800 1000/0/0
c3 clearing C 800 original=a1 answers=reversal     -> approved 00 800 1000/0/0
transaction a1                                     -> reversed 0/0 refunded=0
r4 reversal C original=a4 answers=reversal         -> original_not_found 25 0 1000/0/0
c4 clearing C 800 original=a4 answers=clearing     -> approved 00 800 1000/0/0
a5 authorization C 100                             -> approved 00 100 900/100/0
r5 reversal C original=a5                          -> approved 00 100 1000/0/0
c5 clearing C 90 original=a5 answers=reversal      -> approved(force_post) 00 90 910/0/90

= a reversal takes a refund back once
account A funds=1000
card C of A U
f1 refund C 300                                    -> approved 00 300 1300/0/-300
r1 reversal C original=f1 answers=refund           -> approved 00 300 1000/0/0
r2 reversal C original=f1 answers=refund           -> approved 00 0 1000/0/0
a1 authorization C 800 capture                     -> approved 00 800 200/0/800
r3 reversal C original=a1 answers=refund           -> approved 00 0 200/0/800
transaction a1                                     -> completed 0/800 refunded=0

= a reversal takes back a refund of a purchase, and what it had given back to the windows
policy refundRestoresWindows
account A funds=1000
card C of A U
a1 authorization C 800 capture                     -> approved 00 800 200/0/800
f1 refund C 300 original=a1                        -> approved 00 300 500/0/500
used card C daily                                  -> 500/1
r1 reversal C 100 original=f1 answers=refund       -> approved 00 200 300/0/700
transaction a1                                     -> completed 0/700 refunded=100
used card C daily                                  -> 700/1
r2 reversal C original=f1 answers=refund           -> approved 00 100 200/0/800
transaction a1                                     -> completed 0/800 refunded=0
f2 refund C 200 original=a1                        -> approved 00 200 400/0/600
f3 refund C 300 original=a1                        -> approved 00 300 700/0/300
r3 reversal C original=f2 answers=refund whole=200 -> approved 00 200 500/0/500
transaction a1                                     -> completed 0/500 refunded=300
used card C daily                                  -> 500/1
a4 authorization C 100                             -> approved 00 100 400/100/500
f4 refund C 40 original=a4                         -> approved(force_post) 00 40 440/100/460
r4 reversal C original=f4 answers=refund whole=40  -> approved 00 40 400/100/500
transaction a4                                     -> open 100/0 refunded=0

= a single-message purchase can be revoked too
account A funds=1000 partial
card C of A U
a1 authorization C 1400 capture partial -> approved 10 1000 0/0/1000
revoke a1                           -> system_error 96 0 1000/0/0
transaction a1                      -> declined 0/0 refunded=0
used card C daily                   -> 0/0

# limits
= an exceeded count limit answers 65, an exceeded amount limit 61, and a reversal gives both back
account A funds=10000
card C of A U daily=1000/2
a1 authorization C 600              -> approved 00 600 9400/600/0
a2 authorization C 401              -> limit_exceeded(card.daily.amount) 61 0 9400/600/0
a3 authorization C 400              -> approved 00 400 9000/1000/0
r1 reversal C 100 original=a1       -> approved 00 100 9100/900/0
used card C daily                   -> 900/2
a4 authorization C 100              -> limit_exceeded(card.daily.count) 65 0 9100/900/0
i1 incremental C 100 original=a3    -> approved 00 100 9000/1000/0
r2 reversal C original=a1           -> approved 00 500 9500/500/0
used card C daily                   -> 500/1
a5 authorization C 500              -> approved 00 500 9000/1000/0
used card C daily                   -> 1000/2

= an expired hold gives back its windows, and a refund does not
account A funds=10000
card C of A U yearly=1000
at 2026-03-01T12:00:00Z
a1 authorization C 700              -> approved 00 700 9300/700/0
a2 authorization C 300              -> approved 00 300 9000/1000/0
c1 clearing C 300 original=a2       -> approved 00 300 9000/700/300
f1 refund C 300 original=a2         -> approved 00 300 9300/700/0
used card C yearly                  -> 1000/2
at +8d
expire a1                           -> approved 00 700 10000/0/0
used card C yearly                  -> 300/1
a3 authorization C 701              -> limit_exceeded(card.yearly.amount) 61 0 10000/0/0
a4 authorization C 700              -> approved 00 700 9300/700/0

= a refund gives windows back where the program says so, and never more than was posted
policy refundRestoresWindows
account A funds=10000
card C of A U
a1 authorization C 700              -> approved 00 700 9300/700/0
a2 authorization C 300 capture      -> approved 00 300 9000/700/300
f1 refund C 100 original=a2         -> approved 00 100 9100/700/200
used card C daily                   -> 900/2
f2 refund C 500 original=a2         -> approved(force_post) 00 500 9600/700/-300
used card C daily                   -> 700/2
f3 refund C 50                      -> approved 00 50 9650/700/-350
f4 refund C 50 original=a1          -> approved(force_post) 00 50 9700/700/-400
used card C daily                   -> 700/2
r1 reversal C original=a1           -> approved 00 700 10400/0/-400
used card C daily                   -> 0/1

= an amount is given back to the window that it was taken from
account A funds=10000
card C of A U daily=1000 weekly=2000
at 2026-11-23T23:59:00Z               # a Monday
a1 authorization C 900              -> approved 00 900 9100/900/0
at 2026-11-24T00:01:00Z
used card C daily                   -> 0/0
used card C weekly                  -> 900/1
i1 incremental C 600 original=a1    -> approved 00 600 8500/1500/0
used card C daily                   -> 600/0
r1 reversal C 700 original=a1       -> approved 00 700 9200/800/0
used card C daily                   -> 0/0
used card C weekly                  -> 800/1
a2 authorization C 1000             -> approved 00 1000 8200/1800/0
r2 reversal C original=a1           -> approved 00 800 9000/1000/0
used card C daily                   -> 1000/1
used card C weekly                  -> 1000/1
at 2026-11-30T00:00:00Z
used card C weekly                  -> 0/0
used card C monthly                 -> 1000/1
at 2026-12-01T00:00:00Z
used card C monthly                 -> 0/0
used card C yearly                  -> 1000/1
at 2027-01-01T00:00:00Z
used card C yearly                  -> 0/0
used card C lifetime                -> 1000/1

= windows change at midnight of the account's zone
account A funds=10000 zone=America/New_York
card C of A U daily=100
at 2026-11-24T04:59:59.999Z
a1 authorization C 100              -> approved 00 100 9900/100/0
a2 authorization C 1                -> limit_exceeded(card.daily.amount) 61 0 9900/100/0
at 2026-11-24T05:00:00Z
a3 authorization C 100              -> approved 00 100 9800/200/0

= a user with cards in two time zones has one daily limit, not one for each midnight
account A funds=10000 zone=Asia/Kolkata
account B funds=10000 zone=America/New_York
user U daily=1000
card C of A U
card D of B U
at 2026-11-23T20:00:00Z               # the 24th in Kolkata, the 23rd in New York
a1 authorization C 300              -> approved 00 300 9700/300/0
a2 authorization D 700              -> approved 00 700 9300/700/0
a3 authorization D 1                -> limit_exceeded(user.daily.amount) 61 0 9300/700/0
r1 reversal D original=a2           -> approved 00 700 10000/0/0
a4 authorization D 701              -> limit_exceeded(user.daily.amount) 61 0 10000/0/0
a5 authorization D 700              -> approved 00 700 9300/700/0

= an account that moves to a western time zone does not spend a day twice
account A funds=10000 zone=Asia/Kolkata daily=1000
card C of A U
at 2026-11-23T20:00:00Z
a1 authorization C 600              -> approved 00 600 9400/600/0
account A zone=America/New_York daily=1000
a2 authorization C 400              -> approved 00 400 9000/1000/0
a3 authorization C 1                -> limit_exceeded(account.daily.amount) 61 0 9000/1000/0
at 2026-11-24T05:00:00Z               # midnight in New York: the 24th goes on
a4 authorization C 1                -> limit_exceeded(account.daily.amount) 61 0 9000/1000/0
at 2026-11-25T05:00:00Z
a5 authorization C 1                -> approved 00 1 8999/1001/0

= a limit counts all cards of its level, and the decline names card before user before account
account A funds=10000 daily=1000
user U daily=500 weekly=/3
card C of A U daily=300
card D of A U
card E of A V
a1 authorization C 301              -> limit_exceeded(card.daily.amount) 61 0 10000/0/0
a2 authorization C 300              -> approved 00 300 9700/300/0
a3 authorization D 201              -> limit_exceeded(user.daily.amount) 61 0 9700/300/0
a4 authorization D 200              -> approved 00 200 9500/500/0
a5 authorization E 501              -> limit_exceeded(account.daily.amount) 61 0 9500/500/0
a6 authorization E 500              -> approved 00 500 9000/1000/0
a7 authorization C 9999             -> limit_exceeded(card.daily.amount) 61 0 9000/1000/0
at +1d
a8 authorization C 1                -> approved 00 1 8999/1001/0
a9 authorization C 1                -> limit_exceeded(user.weekly.count) 65 0 8999/1001/0

= the limit per authorization applies to the whole amount that an increment reaches
account A funds=10000 perAuthorization=900
user U perAuthorization=800
card C of A U perAuthorization=500
card D of A U
card E of A V
a1 authorization C 501              -> limit_exceeded(card.perAuthorization) 61 0 10000/0/0
a2 authorization D 801              -> limit_exceeded(user.perAuthorization) 61 0 10000/0/0
a3 authorization E 901              -> limit_exceeded(account.perAuthorization) 61 0 10000/0/0
a4 authorization C 400              -> approved 00 400 9600/400/0
c1 clearing C 300 original=a4 more  -> approved 00 300 9600/100/300
i1 incremental C 101 original=a4    -> limit_exceeded(card.perAuthorization) 61 0 9600/100/300
i2 incremental C 100 original=a4    -> approved 00 100 9500/200/300
# A refund makes no room for more.
f1 refund C 300 original=a4         -> approved 00 300 9800/200/0
i3 incremental C 1 original=a4      -> limit_exceeded(card.perAuthorization) 61 0 9800/200/0
`);

t.test('every window limit of every level has its own name and declines just above its value', async (t) => {
  for (const level of levels) {
    for (const window of windowNames) {
      for (const what of ['amount', 'count'] as const) {
        const world = new World();
        const limits = { [window]: what === 'amount' ? { amount: 100 } : { count: 1 } };
        world.setAccount({ number: 1, currency: 'USD', funds: 1000, ...(level === 2 ? { limits } : {}) });
        world.setUser({ number: 2, ...(level === 1 ? { limits } : {}) });
        world.setCard({ token: 'C', number: 3, account: 1, user: 2, ...(level === 0 ? { limits } : {}) });
        const ask = (id: string): Message => ({ id, type: 'authorization', card: 'C', amount: id === 'a1' ? 100 : 1 });
        t.equal(world.send(ask('a1')).reason, 'approved');
        const refused = world.send(ask('a2'));
        t.equal(refused.detail, `${levelNames[level]}.${window}.${what}`);
        t.equal(refused.responseCode, what === 'count' ? '65' : '61');
      }
    }
  }
});

testTables(`
# lists
= a block list declines what is on it, and an allow list declines what is not
account A funds=10000
card B of A U mcc.block=5411,0742 merchants.block=m-1 countries.block=FR channels.block=atm
card C of A U mcc.allow=5411,0742 merchants.allow=m-1 countries.allow=FR channels.allow=atm
b1 authorization B 1 mcc=5411               -> mcc_blocked 57 0 10000/0/0
b2 authorization B 1 mcc=742                -> mcc_blocked 57 0 10000/0/0
b3 authorization B 1 merchant=m-1           -> merchant_blocked 57 0 10000/0/0
b4 authorization B 1 country=FR             -> country_blocked 57 0 10000/0/0
b5 authorization B 1 channel=atm            -> channel_blocked 57 0 10000/0/0
b6 authorization B 1 mcc=5412 merchant=m-12 country=DE channel=chip -> approved 00 1 9999/1/0
b7 authorization B 1                        -> approved 00 1 9998/2/0       # what is not named is not on a list
c1 authorization C 1 mcc=5411 merchant=m-1 country=FR channel=atm -> approved 00 1 9997/3/0
c2 authorization C 1 mcc=0 merchant=m-1 country=FR channel=atm -> mcc_blocked 57 0 9997/3/0
c3 authorization C 1 mcc=742 merchant=m-2 country=FR channel=atm -> merchant_blocked 57 0 9997/3/0
c4 authorization C 1 mcc=742 merchant=m-1 country=DE channel=atm -> country_blocked 57 0 9997/3/0
c5 authorization C 1 mcc=742 merchant=m-1 country=FR channel=chip -> channel_blocked 57 0 9997/3/0
c6 authorization C 1                        -> mcc_blocked 57 0 9997/3/0
c7 authorization C 1 mcc=742                -> merchant_blocked 57 0 9997/3/0
c8 authorization C 1 mcc=742 merchant=m-1   -> country_blocked 57 0 9997/3/0
c9 authorization C 1 mcc=742 merchant=m-1 country=FR -> channel_blocked 57 0 9997/3/0
v1 verification C                           -> mcc_blocked 57 0 9997/3/0
v2 verification B channel=atm               -> channel_blocked 57 0 9997/3/0
q1 balance_inquiry C                        -> approved 00 0 9997/3/0
i1 incremental C 1 original=c1              -> approved 00 1 9996/4/0       # says nothing new
i2 incremental C 1 original=c1 channel=chip -> channel_blocked 57 0 9996/4/0

= a rolling window counts the last hours, and gives back what did not come about
account A funds=10000
card C of A U rolling=2/100/3,48/250/
at 2026-01-01T20:00:00Z
a1 authorization C 60                       -> approved 00 60 9940/60/0
a2 authorization C 41                       -> limit_exceeded(card.rolling.0.amount) 61 0 9940/60/0
a3 authorization C 40                       -> approved 00 40 9900/100/0
at 2026-01-01T22:09:59Z
b1 authorization C 1                        -> limit_exceeded(card.rolling.0.amount) 61 0 9900/100/0   # of its cell
at 2026-01-01T22:10:00Z
b2 authorization C 30                       -> approved 00 30 9870/130/0
b3 authorization C 30                       -> approved 00 30 9840/160/0
b4 authorization C 30                       -> approved 00 30 9810/190/0
b5 authorization C 1                        -> limit_exceeded(card.rolling.0.count) 65 0 9810/190/0
b6 incremental C 10 original=b4             -> approved 00 10 9800/200/0    # counts once, and all of its amount
at 2026-01-02T09:00:00Z
c1 authorization C 51                       -> limit_exceeded(card.rolling.1.amount) 61 0 9800/200/0
c2 authorization C 50                       -> approved 00 50 9750/250/0
c3 reversal C 20 original=c2                -> approved 00 20 9770/230/0
c4 authorization C 20                       -> approved 00 20 9750/250/0
at 2026-01-03T23:59:00Z
d1 authorization C 1                        -> limit_exceeded(card.rolling.1.amount) 61 0 9750/250/0   # of its cell
at 2026-01-04T00:00:00Z
d2 authorization C 100                      -> approved 00 100 9650/350/0

= what is given back on the day on which counting began may be older, and stays counted
account A funds=10000
card C of A U
at 2026-01-01T10:00:00Z
a1 authorization C 60                       -> approved 00 60 9940/60/0
card C of A U rolling=24/100/
a2 authorization C 90                       -> approved 00 90 9850/150/0
r1 reversal C original=a1                   -> approved 00 60 9910/90/0
a3 authorization C 11                       -> limit_exceeded(card.rolling.0.amount) 61 0 9910/90/0

= verification: require takes a match only, block declines a mismatch only, allow asks nothing
account A funds=10000
card R of A U avs.is=require cvv.is=require threeDS.is=require
card B of A U avs.is=block cvv.is=block threeDS.is=block
card N of A U avs.is=allow
r1 authorization R 1 avs=match cvv=match threeDS=match -> approved 00 1 9999/1/0
r2 authorization R 1 avs=partial cvv=match threeDS=match -> verification_failed(card.verification.avs) 63 0 9999/1/0
r3 authorization R 1 avs=match cvv=mismatch threeDS=match -> verification_failed(card.verification.cvv) 63 0 9999/1/0
r4 authorization R 1 avs=match cvv=match threeDS=partial -> verification_failed(card.verification.threeDS) 63 0 9999/1/0
r5 authorization R 1                        -> verification_failed(card.verification.avs) 63 0 9999/1/0
r6 incremental R 1 original=r1              -> approved 00 1 9998/2/0       # says nothing new
r7 incremental R 1 original=r1 cvv=mismatch -> verification_failed(card.verification.cvv) 63 0 9998/2/0
r8 verification R avs=match cvv=mismatch threeDS=match -> verification_failed(card.verification.cvv) 63 0 9998/2/0
b1 authorization B 1                        -> approved 00 1 9997/3/0
b2 authorization B 1 avs=partial cvv=not_checked threeDS=match -> approved 00 1 9996/4/0
b3 authorization B 1 threeDS=mismatch       -> verification_failed(card.verification.threeDS) 63 0 9996/4/0
n1 authorization N 1 avs=mismatch           -> approved 00 1 9995/5/0

= wallets are listed as channels are, and a purchase recurs where it says so
account A funds=10000
card A of A U wallets.allow=apple_pay,other
card B of A U wallets.block=google_pay recurring=block
a1 authorization A 1 wallet=apple_pay       -> approved 00 1 9999/1/0
a2 authorization A 1 wallet=google_pay      -> wallet_blocked 57 0 9999/1/0
a3 authorization A 1                        -> wallet_blocked 57 0 9999/1/0
b1 authorization B 1 wallet=google_pay      -> wallet_blocked 57 0 9999/1/0
b2 authorization B 1 recurring=no           -> approved 00 1 9998/2/0
b3 authorization B 1 recurring=yes          -> recurring_blocked 57 0 9998/2/0
b4 authorization B 1                        -> approved 00 1 9997/3/0

= a purchase must pass the lists of the card, of the user and of the account
account A funds=10000 mcc.block=1
user U mcc.block=2
card C of A U mcc.block=3
a1 authorization C 1 mcc=1          -> mcc_blocked 57 0 10000/0/0
a2 authorization C 1 mcc=2          -> mcc_blocked 57 0 10000/0/0
a3 authorization C 1 mcc=3          -> mcc_blocked 57 0 10000/0/0
a4 authorization C 1 mcc=4          -> approved 00 1 9999/1/0

# who may ask
= a frozen or closed state declines only authorizations, and facts are always applied
a1 authorization C 100              -> approved 00 100 900/100/0
a2 authorization C 100              -> approved 00 100 800/200/0
card C of A U status=frozen
a3 authorization C 1                -> card_inactive 62 0 800/200/0
i1 incremental C 1 original=a1      -> card_inactive 62 0 800/200/0
v1 verification C                   -> card_inactive 62 0 800/200/0
q1 balance_inquiry C                -> card_inactive 62 0 800/200/0
r1 reversal C original=a1           -> approved 00 100 900/100/0
c1 clearing C 100 original=a2       -> approved 00 100 900/0/100
f1 refund C 10 original=a2          -> approved 00 10 910/0/90
card C of A U
user U status=frozen
a4 authorization C 1                -> user_inactive 62 0 910/0/90
r2 reversal C original=a1           -> approved 00 0 910/0/90
user U
account A status=closed
a5 authorization C 1                -> account_inactive 62 0 910/0/90
f2 refund C 10 original=a2          -> approved 00 10 920/0/80
account A
a6 authorization C 1                -> approved 00 1 919/1/80

= a card is valid through its last day in the account's zone
account A funds=1000 zone=Asia/Kolkata
card C of A U expires=2026-12-31
at 2026-12-31T18:29:59.999Z
a1 authorization C 1                -> approved 00 1 999/1/0
at 2026-12-31T18:30:00Z
a2 authorization C 1                -> card_expired 54 0 999/1/0
r1 reversal C original=a1           -> approved 00 1 1000/0/0

= a foreign currency is declined, and a missing currency is that of the account
account A funds=1000 currency=EUR
card C of A U
a1 authorization C 10 currency=EUR            -> approved 00 10 990/10/0
a2 authorization C 10                         -> approved 00 10 980/20/0
a3 authorization C 10 currency=USD            -> currency_mismatch 12 0 980/20/0
r1 reversal C original=a1 currency=USD        -> currency_mismatch 12 0 980/20/0
c1 clearing C 10 original=a1 currency=USD     -> currency_mismatch 12 0 980/20/0

= every message type declines amounts out of bounds
a1 authorization C                        -> amount_invalid 13 0 1000/0/0
a2 authorization C 0                      -> amount_invalid 13 0 1000/0/0
a3 authorization C ${amountMinorMax + 1}  -> amount_invalid 13 0 1000/0/0
a4 authorization C ${amountMinorMax}      -> insufficient_funds 51 0 1000/0/0
a5 authorization C 5                      -> approved 00 5 995/5/0
i1 incremental C original=a5              -> amount_invalid 13 0 995/5/0
i2 incremental C 0 original=a5            -> amount_invalid 13 0 995/5/0
r1 reversal C 0 original=a5               -> amount_invalid 13 0 995/5/0
c1 clearing C ${amountMinorMax + 1} original=a5 -> amount_invalid 13 0 995/5/0
f1 refund C 0                             -> amount_invalid 13 0 995/5/0
f2 refund C                               -> amount_invalid 13 0 995/5/0
v1 advice C                               -> amount_invalid 13 0 995/5/0

= a message for an unknown card changes nothing
a1 authorization X 10               -> card_not_found 14 0 -
r1 reversal X original=a1           -> card_not_found 14 0 -
c1 clearing X 10                    -> card_not_found 14 0 -
v1 verification X                   -> card_not_found 14 0 -
transaction a1                      -> none
`);

// --- precedence
// -------------------------------------------------------------------------------------------------------

interface Scenario {
  account: AccountConfig;
  user: UserConfig;
  card: CardConfig;
  message: Message;
}

interface Fault {
  readonly reason: Reason;
  readonly detail?: string;
  /** Makes the scenario refuse for that reason. */
  readonly cause: (scenario: Scenario) => void;
  /** Fault that cannot be there at the same time: a transaction cannot be missing and closed. */
  readonly excludes?: readonly Reason[];
}

/**
 * One way to be refused per row of the table, in its order. `open` and `grave` are transactions that the scenario
 * finds.
 */
const faults: readonly Fault[] = [
  { reason: Reason.cardNotFound, cause: (s) => (s.message = { ...s.message, card: 'missing' }) },
  { reason: Reason.cardInactive, cause: (s) => (s.card = { ...s.card, status: Status.frozen }) },
  { reason: Reason.cardExpired, cause: (s) => (s.card = { ...s.card, expiresDay: 0 }) },
  { reason: Reason.userInactive, cause: (s) => (s.user = { ...s.user, status: Status.frozen }) },
  { reason: Reason.accountInactive, cause: (s) => (s.account = { ...s.account, status: Status.closed }) },
  { reason: Reason.currencyMismatch, cause: (s) => (s.message = { ...s.message, currency: 'EUR' }) },
  { reason: Reason.amountInvalid, cause: (s) => (s.message = { ...s.message, amount: amountMinorMax + 1 }) },
  {
    reason: Reason.originalNotFound,
    cause: (s) => (s.message = { ...s.message, type: 'incremental', original: 'missing' }),
    excludes: [Reason.originalClosed, Reason.duplicateConflict],
  },
  {
    reason: Reason.originalClosed,
    // An authorization under a tombstone: both this row and the next one refuse it.
    cause: (s) => (s.message = { ...s.message, id: 'grave' }),
  },
  {
    reason: Reason.duplicateConflict,
    cause: (s) => (s.message = { ...s.message, id: s.message.id === 'grave' ? 'grave' : 'open' }),
  },
  { reason: Reason.mccBlocked, cause: (s) => limit(s, { mcc: { allow: [] } }) },
  { reason: Reason.merchantBlocked, cause: (s) => limit(s, { merchants: { block: ['m-1'] } }) },
  { reason: Reason.countryBlocked, cause: (s) => limit(s, { countries: { allow: ['DE'] } }) },
  { reason: Reason.channelBlocked, cause: (s) => limit(s, { channels: { block: ['chip'] } }) },
  {
    reason: Reason.verificationFailed,
    detail: 'card.verification.cvv',
    cause: (s) => limit(s, { verification: { cvv: 'require' } }),
  },
  { reason: Reason.walletBlocked, cause: (s) => limit(s, { wallets: { allow: ['apple_pay'] } }) },
  { reason: Reason.recurringBlocked, cause: (s) => limit(s, { recurring: 'block' }) },
  {
    reason: Reason.limitExceeded,
    detail: 'card.lifetime.count',
    // In the place of a card that has made its purchase.
    cause: (s) => (s.card = { ...s.card, type: CardType.singleUse, spendNumber: 4 }),
  },
  {
    reason: Reason.limitExceeded,
    detail: 'card.perAuthorization',
    cause: (s) => limit(s, { perAuthorization: 4 }),
  },
  { reason: Reason.limitExceeded, detail: 'card.daily.amount', cause: (s) => limit(s, { daily: { amount: 4 } }) },
  {
    reason: Reason.limitExceeded,
    detail: 'card.rolling.1.count',
    cause: (s) =>
      limit(s, {
        rolling: [
          { hours: 1, amount: 5 },
          { hours: 2160, count: 0 },
        ],
      }),
  },
  { reason: Reason.insufficientFunds, cause: (s) => (s.account = { ...s.account, funds: 2 }) },
];

function limit(scenario: Scenario, limits: NonNullable<CardConfig['limits']>): void {
  scenario.card = { ...scenario.card, limits: { ...scenario.card.limits, ...limits } };
}

/** Decides the scenario in a world with an open transaction `open`, a tombstone `grave`, and the faults given. */
function decideWith(...active: readonly Fault[]): { reason: string; detail: string } {
  const scenario: Scenario = {
    account: { number: 1, currency: 'USD', funds: 1000 },
    user: { number: 2 },
    card: { token: 'C', number: 3, account: 1, user: 2 },
    message: {
      id: 'new',
      type: 'authorization',
      card: 'C',
      amount: 5,
      currency: 'USD',
      mcc: 5411,
      merchantId: 'm-1',
      country: 'US',
      channel: channelNames[1],
      recurring: true,
    },
  };
  for (const fault of active) fault.cause(scenario);
  const world = new World();
  world.setAccount(scenario.account);
  world.setUser(scenario.user);
  world.setCard({ token: 'C', number: 3, account: 1, user: 2 });
  world.send({ id: 'open', type: 'authorization', card: 'C', amount: 1 });
  world.send({ id: 'r1', type: 'reversal', card: 'C', original: 'grave' });
  world.setCard({ token: 'used', number: 4, account: 1, user: 2, type: CardType.singleUse });
  world.send({ id: 'purchase', type: 'authorization', card: 'used', amount: 1 });
  world.setUser(scenario.user);
  world.setAccount(scenario.account);
  world.setCard(scenario.card);
  return world.decide(scenario.message);
}

t.test('each check alone declines with the reason of its row in the table', async (t) => {
  t.same(
    faults.map((fault) => reasonEntry(fault.reason).name),
    checkOrder.map((reason) => reasonEntry(reason).name),
  );
  t.equal(decideWith().reason, 'approved');
  for (const fault of faults) {
    const name = reasonEntry(fault.reason).name;
    // A tombstone and a taken id are two sides of one coin: on its own, the conflict is about a living transaction.
    const { reason, detail } = decideWith(fault);
    t.equal(reason, name);
    t.equal(detail, fault.detail ?? '', name);
  }
});

t.test('a message that fails two checks is declined for the earlier one', async (t) => {
  for (const [index, first] of faults.entries()) {
    for (const second of faults.slice(index + 1)) {
      if (first.excludes?.includes(second.reason)) continue;
      const { reason, detail } = decideWith(first, second);
      const pair = `${reasonEntry(first.reason).name} before ${reasonEntry(second.reason).name}`;
      t.equal(reason, reasonEntry(first.reason).name, pair);
      t.equal(detail, first.detail ?? '', pair);
    }
  }
});

t.test('every reason has a test, either a row of the table or one outside it', async (t) => {
  const elsewhere = [Reason.approved, Reason.systemError, Reason.overloaded];
  const covered = new Set<number>([...checkOrder, ...elsewhere]);
  t.same(
    reasonTable.filter((entry) => !covered.has(entry.number)),
    [],
  );
});

// --- names that are taken
// ---------------------------------------------------------------------------------------------

t.test(
  'an authorization with the id of an older transaction is a conflict and never declines that transaction',
  async (t) => {
    const world = new World();
    world.setAccount({ number: 1, currency: 'USD', funds: 1000 });
    world.setAccount({ number: 2, currency: 'USD', funds: 1000 });
    world.setUser({ number: 1 });
    world.setCard({ token: 'C', number: 1, account: 1, user: 1 });
    world.setCard({ token: 'D', number: 2, account: 2, user: 1 });
    world.send({ id: 'a1', type: 'authorization', card: 'C', amount: 100 });
    for (const card of ['C', 'D', 'missing']) {
      for (const type of ['authorization', 'advice'] as const) {
        const answer = world.decide({ id: 'a1', type, card, amount: 100 });
        t.equal(answer.reason, card === 'missing' ? 'card_not_found' : 'duplicate_conflict');
        t.equal(world.outcome.opensTransaction, false, 'the id opens no second transaction');
        t.equal(world.outcome.transactionStatus, 0, 'the older transaction keeps its status');
      }
    }
    world.setCard({ token: 'C', number: 1, account: 1, user: 1, status: Status.frozen });
    t.equal(world.decide({ id: 'a1', type: 'authorization', card: 'C', amount: 100 }).reason, 'card_inactive');
    t.equal(world.outcome.opensTransaction, false);
  },
);

t.test('a decline without a look at the books holds nothing and opens a transaction of its own', async (t) => {
  const outcome = new Outcome();
  const request = new Request();
  request.amountMinor = 500;
  declineOutright(request, outcome, Reason.overloaded);
  t.equal(outcome.approved, false);
  t.equal(outcome.reason, Reason.overloaded);
  t.equal(outcome.amountMinor, 500);
  t.equal(outcome.heldDelta, 0);
  t.equal(outcome.opensTransaction, true);
});

t.test('facts are booked whatever the funds are, up to what the books can count exactly', async (t) => {
  const times = fundsMinorMax / amountMinorMax;
  for (const type of ['refund', 'clearing', 'advice'] as const) {
    const world = World.withCard(0);
    const ask = (id: number, amount: number) => world.send({ id: `m${id}`, type, card: 'C', amount }).reason;
    for (let count = 0; count < times; count++) t.equal(ask(count, amountMinorMax), 'approved');
    t.equal(ask(1000, 1), 'amount_invalid', `${type} beyond the bound`);
  }
});

t.test('purchases and refunds in turn never take a window beyond what it counts exactly', async (t) => {
  const world = new World();
  world.setAccount({ number: 1, currency: 'USD', funds: 0 });
  world.setUser({ number: 1 });
  for (const number of [1, 2]) world.setCard({ token: `C${number}`, number, account: 1, user: 1 });
  let id = 0;
  const ask = (type: Message['type'], card: string, amount: number) =>
    world.send({ id: `m${++id}`, type, card, amount }).reason;
  let counted = 0;
  for (let round = 0; round < 110; round++) {
    t.equal(ask('refund', 'C1', amountMinorMax), 'approved');
    if (ask('clearing', 'C1', amountMinorMax) === 'approved') counted += amountMinorMax;
  }
  t.equal(counted, windowMinorMax);
  const day = Math.floor(world.nowMs / dayMs);
  for (const window of [0, 1, 2, 3, 4]) {
    for (const level of levels) t.equal(world.spent(level, 1, 'USD', window, day).amount, windowMinorMax);
  }
  t.equal(ask('advice', 'C2', 1), 'amount_invalid', 'the account’s window is full for every card');
  t.equal(ask('authorization', 'C2', 1), 'amount_invalid');
});

t.test('a full window still accepts the clearing of a hold, which it has counted already', async (t) => {
  const world = World.withCard(0);
  let id = 0;
  const ask = (type: Message['type'], amount: number, original?: string) =>
    world.send({ id: `m${++id}`, type, card: 'C', amount, ...(original === undefined ? {} : { original }) }).reason;
  for (let round = 1; round < windowMinorMax / amountMinorMax; round++) {
    ask('refund', amountMinorMax);
    ask('clearing', amountMinorMax);
  }
  ask('refund', amountMinorMax);
  const hold = `m${id + 1}`;
  t.equal(ask('authorization', amountMinorMax), 'approved');
  t.equal(ask('incremental', 1, hold), 'amount_invalid');
  t.equal(ask('clearing', amountMinorMax, hold), 'approved');
  t.equal(ask('clearing', 1, hold), 'amount_invalid', 'a clearing beyond the hold is declined');
});

t.test('a debt stays exact when funds, holds and posted money are all at their bounds', async (t) => {
  const world = World.withCard(0);
  const times = fundsMinorMax / amountMinorMax;
  let id = 0;
  const ask = (type: Message['type'], card = 'C') =>
    world.send({ id: `m${++id}`, type, card, amount: amountMinorMax }).reason;
  for (let count = 0; count < times; count++) ask('refund');
  for (let count = 0; count < times; count++) t.equal(ask('withdrawal', accountName(1)), 'approved');
  for (let count = 0; count < 2 * times; count++) t.equal(ask('clearing'), 'approved');
  for (let count = 0; count < times; count++) t.equal(ask('advice'), 'amount_invalid');
  t.equal(world.books.accounts.available(0), -2 * fundsMinorMax);
});

t.test('a declined message changes no balance', async (t) => {
  const world = World.withCard(10);
  world.decide({ id: 'a1', type: 'authorization', card: 'C', amount: 100 });
  const { outcome } = world;
  const deltas = Object.entries(outcome).filter(([name]) => name.endsWith('Delta'));
  t.equal(deltas.length, 7);
  for (const [name, delta] of deltas) t.equal(delta, 0, name);
});

t.test('revoking an approval twice moves nothing the second time', async (t) => {
  const world = World.withCard(1000);
  world.send({ id: 'a1', type: 'authorization', card: 'C', amount: 100 });
  world.revoke('a1');
  const first = Object.assign(new Outcome(), world.outcome);
  const second = new Outcome();
  decideRevocation(world.books, world.books.accounts.find(1), world.transaction('a1'), first, false, second);
  t.equal(second.heldDelta, 0);
  t.equal(second.spendAmountDelta, 0);
  t.equal(second.availableMinor, 1000);
  t.equal(second.reason, Reason.systemError);
});

t.test('the policy sets the lifetime of holds', async (t) => {
  const world = World.withCard(10, { ...policyDefault, holdMs: 5, holdLongMs: 50 });
  world.decide({ id: 'a1', type: 'authorization', card: 'C', amount: 1, mcc: 5411 });
  t.equal(world.outcome.expiresAtMs, world.nowMs + 5);
  world.decide({ id: 'a1', type: 'authorization', card: 'C', amount: 1, mcc: 7011 });
  t.equal(world.outcome.expiresAtMs, world.nowMs + 50);
});

t.test('a decline for its currency shows the amount and currency of the message', async (t) => {
  const world = new World();
  world.setAccount({ number: 1, currency: 'USD', funds: 1000 });
  world.setUser({ number: 1 });
  world.setCard({ token: 'c', number: 1, account: 1, user: 1, status: Status.active });
  const shown = (message: Partial<Message>): [string, string, number] => {
    const { reason } = world.decide({ id: 'a', type: 'authorization', card: 'c', amount: 100, ...message });
    return [reason, unpackLetters(world.outcome.currency), world.outcome.amountMinor];
  };
  t.same(shown({ currency: 'EUR' }), ['currency_mismatch', 'EUR', 100]);
  t.same(shown({}), ['approved', 'USD', 100]);
  world.setCard({ token: 'c', number: 1, account: 1, user: 1, status: Status.frozen });
  t.same(shown({ currency: 'EUR' }), ['card_inactive', 'EUR', 100]);
  t.same(shown({}), ['card_inactive', 'USD', 100]);
});
