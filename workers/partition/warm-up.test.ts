/** What a thread runs before it has a partition. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { folderFor } from '../../deploy/testing/for-test.js';
import type { PartitionThreadData } from '../../engine/exchange/partition-task.js';
import { createCodecs } from '../../engine/protocols/registry.js';
import { policyDefault } from '../../engine/testing/world.js';
import { journalSizesDefault } from '../journal/journal.js';
import { WarmUp } from './warm-up.js';

t.test('a warm-up decides its messages in many steps, and leaves no file', async (t) => {
  const journalDirectory = folderFor(t);
  const data = { partitionCount: 12, journalDirectory, journalSizes: journalSizesDefault, policy: policyDefault };
  const codecs = createCodecs({ panKeys: ['a key of the test'], strictFields: true });
  const warmUp = new WarmUp(data as PartitionThreadData, codecs);
  let steps = 1;
  while (!warmUp.step()) steps++;
  t.ok(steps > 1, 'messages of other partitions of the thread come between');
  t.equal(warmUp.approvals, 400 * 3, 'authorizations, their clearings and repeats are all approved');
  t.same(readdirSync(join(journalDirectory, 'warm-up')), []);
});
