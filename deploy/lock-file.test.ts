/** The lock file: one holder, freed by release and by death. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { tryLockFile, withLockFile } from './lock-file.js';

t.test('one holds it, the others learn who', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'lock-'));
  t.teardown(() => rm(folder, { recursive: true }));
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
  t.same(await readdir(folder), [], 'nothing is left lying about');
});

t.test('a dead holder is replaced, by one of many', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'lock-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const path = join(folder, 'lock');
  for (const content of [
    '{"pid":4194304,"identity":"4194304@1"}',
    `{"pid":${process.pid},"identity":"other"}`,
    '',
    '?',
  ]) {
    await writeFile(path, content);
    const tries = await Promise.all(Array.from({ length: 8 }, () => tryLockFile(path)));
    const held = tries.filter((one) => typeof one !== 'number');
    t.equal(held.length, 1, `after ${content}`);
    await held[0]!.release();
  }
});

t.test('it is free again after work that throws', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'lock-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const path = join(folder, 'lock');
  await t.rejects(
    withLockFile(path, 0, () => Promise.reject(new Error('work'))),
    /work/,
  );
  t.equal(await withLockFile(path, 0, async () => 1), 1);
});
