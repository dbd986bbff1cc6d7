/**
 * Proves that the audit trail is what was sealed. Every entry has its place, and the hash of itself and of the entry
 * before. The first follows the newest anchor, and the last is the head. One consistent snapshot.
 */
import type postgres from 'postgres';

export interface TrailReport {
  readonly sealed: number;
  /** Entries that wait for their seal: no hash protects them yet. */
  readonly fresh: number;
  /** Place and hash (hexadecimal) of the newest sealed entry. Compare it with copies that were kept elsewhere. */
  readonly head: { readonly place: number; readonly hash: string };
  /** One line per finding, at most `findingsMax`. Empty: the trail is whole. */
  readonly findings: readonly string[];
}

const findingsMax = 20;

interface Broken {
  readonly place: string;
  readonly id: string;
  readonly at: string;
  readonly follows: string;
  readonly isHashWrong: boolean;
}

/** Reads the whole trail; changes nothing. */
export async function auditTrail(sql: postgres.Sql): Promise<TrailReport> {
  return sql.begin('isolation level repeatable read read only', async (snapshot) => {
    const broken = await snapshot<Broken[]>`
      with anchor as (
        select place, hash from audit_anchors union all select 0, sha256('') order by place desc limit 1
      ), chain as (
        select t as entry, lag(t.place, 1, anchor.place) over ordered as follows,
          lag(t.hash, 1, anchor.hash) over ordered as previous
        from audit_trail t, anchor window ordered as (order by t.place)
      )
      select (entry).place::text, (entry).id::text, ((entry).at at time zone 'UTC')::text as at, follows::text,
        (entry).hash <> audit_digest(previous, entry) as "isHashWrong"
      from chain where (entry).hash <> audit_digest(previous, entry) or (entry).place <> follows + 1
      order by (entry).place limit ${findingsMax}`;
    const [end] = await snapshot<
      { sealed: string; fresh: string; last: string; isLast: boolean; place: string; hash: string }[]
    >`
      select (select count(*) from audit_trail) as sealed, (select count(*) from audit_fresh) as fresh,
        last.place as last, last.hash = head.hash as "isLast", head.place, encode(head.hash, 'hex') as hash
      from audit_head head, (
        (select place, hash from audit_trail order by place desc limit 1)
        union all select place, hash from audit_anchors union all select 0, sha256('') order by place desc limit 1
      ) last`;
    const findings = broken.flatMap(findingsOf);
    const { sealed, fresh, last, isLast, place, hash } = end!;
    if (BigInt(last) < BigInt(place)) {
      findings.push(`audit trail: entries ${BigInt(last) + 1n} to ${place} are missing: the end was cut`);
    } else if (last !== place || !isLast) {
      findings.push(`audit trail: the head is place ${place}, and not the last entry, place ${last}`);
    }
    return { sealed: Number(sealed), fresh: Number(fresh), head: { place: Number(place), hash }, findings };
  });
}

function findingsOf({ place, id, at, follows, isHashWrong }: Broken): string[] {
  const before = BigInt(place) - 1n;
  if (BigInt(follows) < before) {
    return [`audit trail: entries ${BigInt(follows) + 1n} to ${before} are missing`];
  }
  if (BigInt(follows) > before) return [`audit trail: entry ${place} (id ${id}) stands at a place that was dropped`];
  return isHashWrong ? [`audit trail: entry ${place} (id ${id}, ${at} UTC) was changed after it was sealed`] : [];
}
