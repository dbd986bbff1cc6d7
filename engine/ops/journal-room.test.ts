/** The journal's disk is looked at, and not another one. */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { folderFor } from '../../deploy/testing/for-test.js';
import { createProgress } from '../exchange/progress.js';
import { JournalRoom } from './journal-room.js';

t.test('the free space is that of the disk with the journal, the fullest when there are several', async (t) => {
  const dataDir = folderFor(t);
  const small = join(dataDir, 'journal', 'p1');
  mkdirSync(join(dataDir, 'journal', 'p0'), { recursive: true });
  mkdirSync(small);
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', small]).status === 0;
  t.teardown(() => {
    if (isMounted) spawnSync('umount', [small]);
  });
  const owners = createProgress(2).partitions.map((progress, partition) => ({ partition, progress }));
  const sizes = { segmentBytes: 1, frameBytesMax: 1, segmentsMax: 4 };
  const room = new JournalRoom({ journalSizes: sizes }, join(dataDir, 'journal'), owners);
  t.equal(room.freeBytes, null, 'the space is unknown before the first look');
  await room.look();
  if (isMounted) t.equal(room.freeBytes, 4 * 1024 * 1024);
  else t.equal(typeof room.freeBytes, 'number', 'this system permits no small disk here');
});
