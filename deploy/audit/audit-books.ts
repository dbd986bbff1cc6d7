/**
 * Proves that the books balance, from the rows alone. Every posting sums to zero, every account is the sum of its
 * postings, and its held amount is what its open transactions hold. One consistent snapshot.
 */
import type postgres from 'postgres';

export interface AuditReport {
  readonly accounts: number;
  readonly postings: number;
  readonly funds: bigint;
  readonly held: bigint;
  readonly posted: bigint;
  /** One line per finding, at most `findingsMax`. Empty: the books balance. */
  readonly findings: readonly string[];
  /** How many there are, listed or not. */
  readonly findingCount: number;
}

const findingsMax = 20;

interface Finding {
  readonly finding: string;
  readonly total: string;
}

/** Every check: a query that returns a line per thing that is wrong, and how many there are in all. */
const checks: readonly string[] = [
  // Their effect on accounts is kept, so the sums below count them in; but no transaction shows them yet. The id stands
  // behind the record's fixed part, its length at offset 160.
  `select format('record %s/%s (%s) is quarantined: %s%s; see npm run quarantine', partition, sequence,
     encode(substring(record from 177 for get_byte(record, 160) + 256 * get_byte(record, 161)), 'escape'), error,
     case when books_kept then '' else '; its account does not have what it moved' end) as finding
   from quarantined_records`,
  // The constraints say so too; an audit does not trust them (they can be dropped, rows can be restored from a backup).
  `select format('event %s/%s does not sum to zero', partition, sequence) as finding from transaction_events
   where available_delta + held_delta + posted_delta + external_delta <> 0`,
  `select format('adjustment %s does not sum to zero', id) as finding from ledger_adjustments
   where available_delta + external_delta <> 0 or funds_delta <> available_delta`,
  `select format('account %s: funds %s are not available %s + held %s + posted %s',
     public_id, funds, available, held, posted) as finding from accounts
   where funds <> available + held + posted`,
  `select format('account %s: funds %s available %s held %s posted %s, but its postings give %s %s %s %s', a.public_id,
     a.funds, a.available, a.held, a.posted, coalesce(l.funds, 0), coalesce(l.available, 0), coalesce(l.held, 0),
     coalesce(l.posted, 0)) as finding
   from accounts a left join (
     select account_id, sum(-external) as funds, sum(available) as available, sum(held) as held, sum(posted) as posted
     from (
       select account_id, external_delta as external, available_delta as available, held_delta as held,
         posted_delta as posted from transaction_events
       union all
       select account_id, external_delta, available_delta, 0, 0 from ledger_adjustments
       union all
       select account_id, -funds_delta, funds_delta - held_delta - posted_delta, held_delta, posted_delta
       from quarantined_records where books_kept
     ) as legs group by account_id
   ) as l on l.account_id = a.id
   where a.funds <> coalesce(l.funds, 0) or a.available <> coalesce(l.available, 0)
     or a.held <> coalesce(l.held, 0) or a.posted <> coalesce(l.posted, 0)`,
  `select format('account %s: held %s and posted %s, but its transactions hold %s and posted %s', a.public_id, a.held,
     a.posted, coalesce(t.held, 0), coalesce(t.posted, 0)) as finding
   from accounts a left join (
     select account_id, sum(held) as held, sum(posted) as posted from (
       select account_id, held_amount as held, posted_amount as posted from transactions
       union all select account_id, held_delta, posted_delta from quarantined_records where books_kept
     ) as parts group by account_id
   ) as t on t.account_id = a.id
   where a.held <> coalesce(t.held, 0) or a.posted <> coalesce(t.posted, 0)`,
  `select format('transaction %s of partition %s: holds %s and posted %s, but its events give %s and %s',
     name_id(coalesce(t.name, e.name)), coalesce(t.partition, e.partition), t.held_amount, t.posted_amount, e.held,
     e.posted) as finding
   from (
     select transaction_name(id, occurrence) as name, partition, held_amount, posted_amount from transactions
   ) as t full join (
     select transaction_id as name, partition, sum(held_delta) as held, sum(posted_delta) as posted
     from transaction_events group by transaction_id, partition
   ) as e on e.name = t.name and e.partition = t.partition
   where coalesce(t.held_amount, 0) <> coalesce(e.held, 0) or coalesce(t.posted_amount, 0) <> coalesce(e.posted, 0)`,
  `select format('money of an account that does not exist: number %s', l.account_id) as finding
   from (
     select account_id from transaction_events where available_delta <> 0 or held_delta <> 0 or posted_delta <> 0
       or external_delta <> 0
     union select account_id from ledger_adjustments
   ) as l where l.account_id is null or not exists (select from accounts where id = l.account_id)`,
  // An account has one writer: its partition alone may write of it.
  `select format('account %s is written by partitions %s', a.public_id, string_agg(w.partition::text, ' and '))
     as finding
   from (
     select account_id, partition from transactions where account_id is not null
     union select account_id, partition from transaction_events where account_id is not null
   ) as w join accounts a on a.id = w.account_id group by a.id having count(*) > 1`,
  `select format('transaction %s holds %s although it is closed', id, held_amount) as finding from transactions
   where held_amount <> 0 and status <> 1`,
  // What a card that is not virtual has bought decides what it may buy. A purchase that holds or has lapsed was never
  // revoked; one that was reversed may have been.
  `select format('card %s: %s purchases are counted, its transactions give %s to %s', c.public_id, coalesce(u.uses, 0),
     coalesce(t.fewest, 0), coalesce(t.most, 0)) as finding
   from (
     select coalesce(c.spend_of, c.id) as card, count(*) filter (where p.status in (1, 4)) as fewest, count(*) as most
     from cards c join transactions p on p.card_id = c.id
     -- Authorizations, force posts and advice that were approved.
     where c.type <> 'virtual' and p.type in (1, 4, 8) and p.status <> 5
     group by coalesce(c.spend_of, c.id)
   ) as t full join card_uses as u on u.card_id = t.card left join cards c on c.id = coalesce(t.card, u.card_id)
   where coalesce(u.uses, 0) not between coalesce(t.fewest, 0) and coalesce(t.most, 0)
     and not exists (select from quarantined_records q where q.account_id = c.account_id)`,
  `select format('the outside gave %s, the accounts have %s', -outside, funds) as finding
   from (select
     (select coalesce(sum(external_delta), 0) from transaction_events)
       + (select coalesce(sum(external_delta), 0) from ledger_adjustments)
       - (select coalesce(sum(funds_delta), 0) from quarantined_records where books_kept) as outside,
     (select coalesce(sum(funds), 0) from accounts) as funds) as totals
   where outside <> -funds`,
];

/** Reads the whole ledger; changes nothing. */
export async function auditBooks(sql: postgres.Sql): Promise<AuditReport> {
  // A read-only transaction: a broken connection can spoil the answer, never the books.
  return sql.begin('isolation level repeatable read read only', async (snapshot) => {
    const findings: string[] = [];
    let findingCount = 0;
    for (const check of checks) {
      const rows = await snapshot.unsafe<Finding[]>(
        `select finding, count(*) over () as total from (${check}) as found limit ${findingsMax}`,
      );
      findingCount += Number(rows[0]?.total ?? 0);
      for (const row of rows) if (findings.length < findingsMax) findings.push(row.finding);
    }
    const [totals] = await snapshot<Record<'accounts' | 'postings' | 'funds' | 'held' | 'posted', string>[]>`
      select count(*) as accounts, coalesce(sum(funds), 0) as funds, coalesce(sum(held), 0) as held,
        coalesce(sum(posted), 0) as posted,
        (select count(*) from transaction_events) + (select count(*) from ledger_adjustments) as postings
      from accounts`;
    return {
      accounts: Number(totals!.accounts),
      postings: Number(totals!.postings),
      funds: BigInt(totals!.funds),
      held: BigInt(totals!.held),
      posted: BigInt(totals!.posted),
      findings,
      findingCount,
    };
  });
}
