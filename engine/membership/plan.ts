/**
 * Which engine should have which partition. Every engine computes the plan by itself from what the database says, so
 * the answer depends on nothing else. An engine asks for what the plan gives it, and a holder releases what the plan
 * takes.
 */
import type { LeaseEntry, View } from './view.js';

interface Member {
  readonly id: string;
  /** What it has, by partition. */
  readonly held: number[];
}

/**
 * Spreads the partitions evenly over the engines that stay: their counts differ by at most one. As few as possible
 * move, and a plan that is half carried out does not change.
 * @returns the id of an engine for each partition; null where no engine stays
 */
export function planPartitions(view: View, partitionCount: number): readonly (string | null)[] {
  const plan = Array.from<string | null>({ length: partitionCount }).fill(null);
  const members = view.engines
    .filter(({ isLeaving }) => !isLeaving)
    .map<Member>(({ id }) => ({ id, held: [] }))
    .sort(byId);
  if (members.length === 0) return plan;
  const byMember = new Map(members.map((member) => [member.id, member]));
  for (const lease of view.leases) byMember.get(ownerOf(lease))?.held.push(lease.partition);

  const [least, larger] = [Math.floor(partitionCount / members.length), partitionCount % members.length];
  // Engines that have more already keep one more: that saves a move.
  const hasMore = ({ held }: Member): number => (held.length > least ? 1 : 0);
  const ranked = [...members].sort((a, b) => hasMore(b) - hasMore(a) || byId(a, b));
  const quotas = new Map(ranked.map(({ id }, rank) => [id, least + (rank < larger ? 1 : 0)]));
  const places: string[] = [];
  for (const { id, held } of members) {
    const quota = quotas.get(id)!;
    for (const partition of held.sort((a, b) => a - b).slice(0, quota)) plan[partition] = id;
    for (let missing = quota - held.length; missing > 0; missing--) places.push(id);
  }
  // Both lists keep their order while the moves are made, one after the other: no pair changes.
  return plan.map((id) => id ?? places.shift()!);
}

/** A partition on its way counts as arrived. */
function ownerOf({ holder, reservedFor }: LeaseEntry): string {
  return holder ?? reservedFor ?? '';
}

function byId(a: { readonly id: string }, b: { readonly id: string }): number {
  return a.id < b.id ? -1 : 1;
}
