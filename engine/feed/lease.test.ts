/** Until when an engine may approve. */
import t from 'tap';
import { Lease } from './lease.js';

function stage(staleMs = 1000) {
  const now = { steadyMs: 0, wallMs: 1_000_000 };
  const instant = () => ({ ...now });
  const pass = (ms: number) => {
    now.steadyMs += ms;
    now.wallMs += ms;
  };
  return { now, instant, pass, lease: new Lease(staleMs, instant(), 10, instant) };
}

t.test('the engine may approve until STALE_MS after the start of its last renewal', async (t) => {
  const { lease, instant, pass } = stage();
  pass(900);
  const began = instant();
  pass(50);
  lease.renewed(began, 10);
  pass(900);
  t.equal(lease.isStale, false);
  pass(51);
  t.equal(lease.isStale, true);
  lease.renewed(instant(), 10);
  t.equal(lease.isStale, false);
});

t.test('a renewal counts once every change up to its newest place is in force', async (t) => {
  const { lease, instant, pass } = stage();
  pass(900);
  lease.renewed(instant(), 12);
  pass(200);
  t.equal(lease.isStale, true, 'changes 11 and 12 are not in force');
  lease.applied(11);
  t.equal(lease.isStale, true);
  lease.applied(12);
  t.equal(lease.isStale, false);
  pass(801);
  t.equal(lease.isStale, true, 'the renewal counts from its start, not from when it came into force');
});

t.test('renewals that never come into force do not pile up', async (t) => {
  const { lease, instant, pass } = stage();
  for (let newest = 11; newest < 10_000; newest++) {
    pass(1);
    lease.renewed(instant(), newest);
  }
  t.equal(lease.isStale, true);
  lease.applied(10_000);
  lease.renewed(instant(), 10_000);
  t.equal(lease.isStale, false);
});

t.test('a lease is stale after a suspension in which only the wall clock moved', async (t) => {
  const { lease, now } = stage();
  now.wallMs += 5000;
  t.equal(lease.isStale, true);
});

t.test('a wall clock that is set back changes nothing', async (t) => {
  const { lease, now, pass } = stage();
  now.wallMs -= 60_000;
  pass(999);
  t.equal(lease.isStale, false);
  pass(2);
  t.equal(lease.isStale, true);
});
