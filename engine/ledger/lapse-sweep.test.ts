/** A sweep against a Postgres and a lane that the test plays. */
import t from 'tap';
import type { LapsedPage, LapsePlace } from '../lookups/lapsed.js';
import { LapseClock } from './lapse-clock.js';
import { LapseSweep } from './lapse-sweep.js';

const clock = new LapseClock(
  () => 1000,
  () => 0,
  { info: () => undefined, warn: () => undefined } as never,
);

function stage(due: number) {
  const state = { isReady: true, room: Number.MAX_SAFE_INTEGER, pauses: 0, looks: 0, databaseMs: 2000 };
  const progress = { durableSequence: 0, settledSequence: 0 };
  const sent: string[] = [];
  const times = new Set<number>();
  const logged: object[] = [];
  const names = Array.from({ length: due }, (_, index) => `t-${index}`);
  const lapsed = async (_partition: number, _nowMs: number, after: LapsePlace | null, limit: number) => {
    state.looks++;
    const from = after === null ? 0 : Number(after.id);
    const page = names.slice(from, from + limit);
    const last = page.length < limit ? null : { expires: '', id: String(from + limit), occurrence: '0' };
    return { databaseMs: state.databaseMs, names: page, last } satisfies LapsedPage;
  };
  const sweep = new LapseSweep({
    partition: 0,
    database: { lapsed },
    lane: {
      get isReady() {
        return state.isReady;
      },
      claim: (_kind, _flags, atMs, bytes) => {
        if (state.room === 0) return false;
        state.room--;
        sent.push(Buffer.from(bytes).toString());
        times.add(atMs);
        return true;
      },
    },
    progress,
    log: { info: (fields: object) => logged.push(fields) } as never,
    pause: async () => {
      state.pauses++;
      if (state.room === 0) state.room = 50;
    },
  });
  return { state, progress, sent, times, logged, names, sweep };
}

t.test('one sweep sends any number of transactions, page by page, and returns their count', async (t) => {
  const { state, sent, logged, names, times, sweep } = stage(12_345);
  await sweep.run(clock);
  t.same(sent, names);
  t.equal(state.pauses, Math.floor(12_345 / 200), 'the sweep rests between two pages');
  t.match(logged, [{ transactions: 12_345 }]);
  t.same([...times], [1000], 'the sweep uses the slower clock');
});

t.test('the next sweep waits until Postgres has settled the last one', async (t) => {
  const { state, progress, sweep } = stage(3);
  await sweep.run(clock);
  progress.durableSequence = 3;
  await sweep.run(clock);
  progress.settledSequence = 2;
  await sweep.run(clock);
  t.equal(state.looks, 1);
  progress.settledSequence = 3;
  await sweep.run(clock);
  t.equal(state.looks, 2);
});

t.test('a full lane is tried again, and a closed lane ends the sweep', async (t) => {
  const full = stage(500);
  full.state.room = 100;
  await full.sweep.run(clock);
  t.equal(full.sent.length, 500);
  const closed = stage(500);
  closed.state.isReady = false;
  await closed.sweep.run(clock);
  t.equal(closed.sent.length, 0);
  closed.state.isReady = true;
  await closed.sweep.run(clock);
  t.equal(closed.sent.length, 500);
});

t.test('a failed sweep lets the next one run', async (t) => {
  const { state, sent, sweep } = stage(5);
  const looked = sweep.run(clock);
  await sweep.run(clock);
  t.equal(state.looks, 1, 'one sweep runs at a time');
  await looked;
  t.equal(sent.length, 5);
});
