import t from 'tap';
import { samplesMax } from '../../platform/live/engine-line.js';
import { Protocol } from '../core/codes.js';
import { Reason } from '../core/reasons.js';
import { AnswerFlag, EntryStatus, Slab } from '../exchange/slab.js';
import { createCodecs } from '../protocols/registry.js';
import { LiveSample } from './live-sample.js';

const lineMs = 250;
const slab = new Slab({ entries: samplesMax, requestBytes: samplesMax * 256 });

/** Batches of approvals, each returned at an instant. @returns the instants of the decisions that are shown */
function shownOf(batches: readonly { readonly atMs: number; readonly count: number }[]): readonly number[] {
  const codecs = createCodecs({ panKeys: [], strictFields: false });
  const sample = new LiveSample({ codecs, deadlineMs: 100, isStale: () => false });
  sample.isWatched = true;
  sample.take(lineMs);
  for (const { atMs, count } of batches) {
    slab.clear();
    slab.seal(atMs - 1, 100);
    slab.returnedAtMs = atMs;
    for (let index = 0; index < count; index++) {
      const id = `a-${atMs}-${index}`;
      const message = { id, type: 'authorization', card: 'card_1', amount: 5, currency: 'USD' };
      const entry = slab.add(Protocol.native, 0, atMs - 2, Buffer.from(JSON.stringify(message)));
      const answer = Buffer.from(JSON.stringify({ authorizationId: id, amount: 5, currency: 'USD' }));
      slab.answerStart[entry] = entry * 128;
      slab.answerEnd[entry] = entry * 128 + answer.length;
      slab.answer.set(answer, entry * 128);
      slab.status[entry] = EntryStatus.decided;
      slab.answerFlags[entry] = AnswerFlag.approved;
      slab.reason[entry] = Reason.approved;
    }
    sample.see(slab);
  }
  return sample.take(2 * lineMs).map(({ atMs }) => atMs + 1);
}

const everyMs = (count: number, until: number) =>
  Array.from({ length: until }, (_, index) => ({ atMs: index + 1, count }));

t.test('all decisions of a line are shown where it has room for them', async (t) => {
  t.same(shownOf(everyMs(1, 7)), [1, 2, 3, 4, 5, 6, 7]);
});

t.test('of more decisions than a line has room for, those of its last milliseconds are shown', async (t) => {
  t.same(
    shownOf(everyMs(2, 250)),
    Array.from({ length: samplesMax }, (_, index) => 241 + (index >> 1)),
  );
});

t.test('where nothing is answered in the last moment, what is shown is hardly older', async (t) => {
  const shown = shownOf(everyMs(samplesMax, 200));
  t.equal(shown.length, samplesMax);
  t.ok(Math.min(...shown) > 200 - 25, `decisions of ${shown}`);
});
