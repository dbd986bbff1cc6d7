/** The way of slabs to a real thread and back: each gets its own outcome, whatever tasks come between. */
import t, { type Test } from 'tap';
import { folderFor } from '../../deploy/testing/for-test.js';
import { journalSizesDefault } from '../../workers/journal/journal.js';
import { slabTask } from '../exchange/partition-task.js';
import { createProgress } from '../exchange/progress.js';
import { policyDefault } from '../testing/world.js';
import { type HostedPlace, PartitionThread } from './partition-thread.js';

const partitionCount = 12;

function threadFor(t: Test): { readonly thread: PartitionThread; readonly place: HostedPlace } {
  const rows = { accounts: 64, users: 64, cards: 64, spendRows: 64, transactions: 64, seenIds: 64 };
  const thread = new PartitionThread(
    {
      threadNumber: 0,
      partitionCount,
      journalDirectory: folderFor(t),
      journalSizes: journalSizesDefault,
      progress: createProgress(partitionCount).buffer,
      storageModule: null,
      storageControl: null,
      slabSize: { entries: 16, requestBytes: 4096 },
      frontKnowsIds: false,
      bell: null,
      size: rows,
      policy: policyDefault,
      wire: { panKeys: ['a key of the test'], strictFields: true },
    },
    2,
  );
  const place = {
    partition: 0,
    died: (error: Error) => t.fail(error.message),
    journalFailed: (message: string) => t.fail(message),
  };
  thread.join(place);
  t.teardown(() => thread.leave(place));
  return { thread, place };
}

/** No partition is on the thread, so each slab throws with the number of its own. */
const outcomeOf = (slab: Promise<boolean>) => slab.then(String, (error: Error) => error.message);
const expected = (partition: number) => `partition ${partition} is not on this thread: the one before it ended`;

t.test('slabs get their own outcomes, with control tasks before, between and behind them', async (t) => {
  const { thread } = threadFor(t);
  const outcomes: Promise<string>[] = [];
  const partitions: number[] = [];
  const tasks: Promise<unknown>[] = [];
  // Many more than the queue has places, in waves as lanes send them.
  for (let wave = 0; wave < 120; wave++) {
    for (let slab = 0; slab <= wave % 4; slab++) {
      const partition = (wave + slab) % partitionCount;
      partitions.push(partition);
      outcomes.push(outcomeOf(thread.runSlab(slabTask(partition, slab))));
    }
    if (wave % 5 === 1) tasks.push(thread.run({ kind: 'drop', partition: 11 }));
    thread.flush();
    if (wave % 5 === 2) tasks.push(thread.run({ kind: 'drop', partition: 10 }));
    if (wave % 3 === 0) await Promise.all(outcomes);
  }
  t.same(await Promise.all(outcomes), partitions.map(expected));
  t.same(await Promise.all(tasks), new Array(tasks.length).fill(false));
});

t.test(
  'slabs that are with a thread when it ends are rejected, and those of the next thread are its own',
  async (t) => {
    const { thread, place } = threadFor(t);
    const given = [1, 2, 3].map((partition) => outcomeOf(thread.runSlab(slabTask(partition, 0))));
    thread.flush();
    await thread.leave(place);
    for (const outcome of await Promise.all(given)) t.not(outcome, 'true');
    t.equal(await outcomeOf(thread.run({ kind: 'warmUp' }) as Promise<boolean>), 'there is no thread');
    thread.join(place);
    const next = [4, 5].map((partition) => outcomeOf(thread.runSlab(slabTask(partition, 0))));
    thread.flush();
    t.same(await Promise.all(next), [4, 5].map(expected));
  },
);
