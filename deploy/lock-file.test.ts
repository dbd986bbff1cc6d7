/** The lock file: one holder, freed by release and by death. */
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { tryLockFile, withLockFile } from './lock-file.js';
import { folderFor } from './testing/for-test.js';

t.test('one of many concurrent callers gets the lock, and the others learn its holder', async (t) => {
  const folder = folderFor(t);
  const path = join(folder, 'lock');
  const tries = await Promise.all(Array.from({ length: 8 }, () => tryLockFile(path)));
  const held = tries.filter((one) => typeof one !== 'number');
  t.equal(held.length, 1);
  t.same(new Set(tries.filter((one) => typeof one === 'number')), new Set([process.pid]));
  await t.rejects(
    withLockFile(path, 0, async () => undefined),
    new RegExp(`process ${process.pid} holds`),
  );
  await held[0]!.release();
  t.equal(await withLockFile(path, 0, async () => 'mine'), 'mine');
  t.same(await readdir(folder), [], 'no file is left behind');
});

t.test('dead holders are removed by one of many callers', async (t) => {
  const folder = folderFor(t);
  const path = join(folder, 'lock');
  for (let round = 0; round < 20; round++) {
    // A process that never was, and one whose id is in use by another now.
    for (const name of ['4194304@1.ab', `${process.pid}@1.cd`]) {
      await writeFile(`${path}.${name}`, '');
      await writeFile(`${path}.${name}.held`, '');
    }
    const tries = await Promise.all(Array.from({ length: 8 }, () => tryLockFile(path)));
    const held = tries.filter((one) => typeof one !== 'number');
    t.equal(held.length, 1);
    await held[0]!.release();
    t.same(await readdir(folder), []);
  }
});

t.test('work under the lock never overlaps', async (t) => {
  const path = join(folderFor(t), 'lock');
  let inside = 0;
  let most = 0;
  const work = async (): Promise<void> => {
    most = Math.max(most, ++inside);
    await new Promise(setImmediate);
    inside--;
  };
  await Promise.all(Array.from({ length: 20 }, () => withLockFile(path, 60_000, work)));
  t.equal(most, 1);
});

t.test('locks whose names begin alike are independent', async (t) => {
  const folder = folderFor(t);
  const first = await tryLockFile(join(folder, 'run'));
  const second = await tryLockFile(join(folder, 'run2'));
  t.not(typeof first, 'number');
  t.not(typeof second, 'number');
});

t.test('the lock is free again after work that throws', async (t) => {
  const path = join(folderFor(t), 'lock');
  await t.rejects(
    withLockFile(path, 0, () => Promise.reject(new Error('work'))),
    /work/,
  );
  t.equal(await withLockFile(path, 0, async () => 1), 1);
});
