/** The plan of partitions, over engines that come, go and leave while it is carried out. */
import fc from 'fast-check';
import t from 'tap';
import { runs } from '../testing/runs.js';
import { planPartitions } from './plan.js';
import type { LeaseEntry, View } from './view.js';

const partitionsMax = 40;
const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];

function engine(id: string, isLeaving: boolean) {
  return { id, authUrl: '', opsUrl: '', peerHost: '', peerPort: 1, isLeaving, leaseMsLeft: 1 };
}

/** Engines in any order, of which some leave; holders may be dead, and partitions free or on their way. */
const views = fc
  .record({
    present: fc.shuffledSubarray(ids, { minLength: 1 }),
    leaving: fc.subarray(ids),
    leases: fc.array(
      fc.record({
        holder: fc.option(fc.constantFrom(...ids, 'dead'), { freq: 3 }),
        reservedFor: fc.option(fc.constantFrom(...ids, 'dead')),
      }),
      { minLength: 1, maxLength: partitionsMax },
    ),
  })
  .map<View>(({ present, leaving, leases }) => ({
    engines: present.map((id) => engine(id, leaving.includes(id))),
    leases: leases.map((lease, partition) => ({ ...lease, partition, epoch: 1 })),
  }));

const stayersOf = ({ engines }: View) => engines.filter(({ isLeaving }) => !isLeaving).map(({ id }) => id);
const ownerOf = ({ holder, reservedFor }: LeaseEntry) => holder ?? reservedFor;
const countsOf = (owners: readonly (string | null)[], stayers: readonly string[]) =>
  stayers.map((id) => owners.filter((owner) => owner === id).length);

t.test('every partition goes to an engine that stays, and their counts differ by one at most', async (t) => {
  fc.assert(
    fc.property(views, (view) => {
      const plan = planPartitions(view, view.leases.length);
      const stayers = stayersOf(view);
      if (stayers.length === 0) return plan.every((id) => id === null);
      const counts = countsOf(plan, stayers);
      return plan.every((id) => stayers.includes(id!)) && Math.max(...counts) - Math.min(...counts) <= 1;
    }),
    runs(2000),
  );
  t.pass();
});

t.test('every engine computes the same plan, in whatever order it has read the engines', async (t) => {
  fc.assert(
    fc.property(views, fc.integer(), ({ engines, leases }, seed) => {
      const other = [...engines].sort((a, b) => ((a.id.charCodeAt(0) * seed) % 7) - ((b.id.charCodeAt(0) * seed) % 7));
      const plans = [engines, other.map((entry) => ({ ...entry, leaseMsLeft: seed }))].map((order) =>
        planPartitions({ engines: order, leases }, leases.length).join(),
      );
      return plans[0] === plans[1];
    }),
    runs(1000),
  );
  t.pass();
});

t.test('no even spread takes fewer moves', async (t) => {
  fc.assert(
    fc.property(views, (view) => {
      const stayers = stayersOf(view);
      if (stayers.length === 0) return true;
      const { leases } = view;
      const plan = planPartitions(view, leases.length);
      const moves = leases.filter(
        (lease) => stayers.includes(ownerOf(lease)!) && plan[lease.partition] !== ownerOf(lease),
      );
      // What exceeds the quotas has to move; it is least where the largest holders have the larger quotas.
      const counts = countsOf(leases.map(ownerOf), stayers).sort((a, b) => b - a);
      const [least, larger] = [Math.floor(leases.length / stayers.length), leases.length % stayers.length];
      const fewest = counts.reduce((sum, count, rank) => sum + Math.max(0, count - least - (rank < larger ? 1 : 0)), 0);
      return moves.length === fewest;
    }),
    runs(2000),
  );
  t.pass();
});

t.test('carried out in any order, a plan stays as it is until it is complete', async (t) => {
  fc.assert(
    fc.property(views, fc.infiniteStream(fc.nat()), (view, choices) => {
      const first = planPartitions(view, view.leases.length);
      if (stayersOf(view).length === 0) return true;
      let { leases } = view;
      for (;;) {
        const open = leases.filter(({ partition, holder }) => holder !== first[partition]);
        if (open.length === 0) return true;
        const { partition } = open[choices.next().value! % open.length]!;
        const to = first[partition]!;
        leases = leases.map((lease) => {
          if (lease.partition !== partition) return lease;
          // A release first, then the claim.
          if (lease.holder !== null) return { ...lease, holder: null, reservedFor: to };
          return { ...lease, holder: to, reservedFor: null };
        });
        if (planPartitions({ ...view, leases }, leases.length).join() !== first.join()) return false;
      }
    }),
    runs(1000),
  );
  t.pass();
});
