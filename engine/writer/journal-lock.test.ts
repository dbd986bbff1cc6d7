/** The lock on a journal folder: one holder, whatever becomes of it, and a second start that can name it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { folderFor } from '../../deploy/testing/for-test.js';
import { JournalLock, journalInUse } from './journal-lock.js';

const child = fileURLToPath(new URL('../testing/lock-child.js', import.meta.url));

const take = (directory: string, lease = 'ours') =>
  JournalLock.take({ directory, authPort: 1234, opsPort: 1235, lease });

function taken(directory: string, lease = 'ours'): JournalLock {
  const lock = take(directory, lease);
  if (!(lock instanceof JournalLock)) throw new Error('the lock is not free');
  return lock;
}

t.test('a killed process releases the lock although its threads and children inherited the file', async (t) => {
  const directory = join(folderFor(t), 'journal');
  const holder = spawn(process.execPath, [child, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(holder.stdout, 'data')) as [Buffer];
  const grandchild = Number(line.toString());
  t.teardown(() => process.kill(grandchild, 'SIGKILL'));
  const refused = take(directory);
  t.match(refused, { pid: holder.pid, host: hostname(), authPort: 8080, opsPort: 8081 });
  t.match(
    journalInUse(directory, refused as never),
    new RegExp(
      `in use by the engine with process ${holder.pid} on .*AUTH_PORT 8080.*: stop that engine, or set another`,
    ),
  );
  holder.kill('SIGSTOP');
  t.notOk(take(directory) instanceof JournalLock, 'a stopped process still holds the lock');
  holder.kill('SIGKILL');
  await once(holder, 'close');
  const lock = taken(directory);
  t.same(lock.earlierLeases, [`lease-of-${holder.pid}`], 'the next holder knows that the lease lost its holder');
  lock.release();
});

t.test('two locks in one process exclude each other, and the next holder knows every earlier lease', async (t) => {
  const directory = join(folderFor(t), 'journal');
  const first = taken(directory, 'first');
  t.notOk(take(directory, 'second') instanceof JournalLock);
  first.release();
  const third = taken(directory, 'third');
  t.same(third.earlierLeases, ['first'], 'a refused attempt leaves no lease');
  third.release();
  for (let start = 0; start < 30; start++) taken(directory, `start ${start}`).release();
  const last = taken(directory);
  t.equal(last.earlierLeases.length, 16, 'the list of earlier leases is bounded');
  t.equal(last.earlierLeases.at(-1), 'start 29');
  last.release();
});

t.test('a copied folder counts as another place', async (t) => {
  const directory = join(folderFor(t), 'journal');
  const lock = taken(directory);
  const copy = `${directory}-copy`;
  mkdirSync(copy);
  copyFileSync(join(directory, 'engine.lock'), join(copy, 'engine.lock'));
  const other = taken(copy);
  t.not(other.place, lock.place);
  other.release();
  lock.release();
  const again = taken(directory);
  t.equal(again.place, lock.place, 'the same file is the same place');
  again.release();
});

t.test('a lock file with any content can be locked, and names no process', async (t) => {
  const directory = join(folderFor(t), 'journal');
  mkdirSync(directory);
  for (const content of ['', 'null', '{"pid":1}', '{', '\0'.repeat(100)]) {
    writeFileSync(join(directory, 'engine.lock'), content);
    const lock = taken(directory);
    t.same(lock.earlierLeases, []);
    lock.release();
  }
  t.match(journalInUse('/data/journal', null), /in use by another engine: stop that engine/);
});

t.test('without flock the engine locks with perl, and without both the start error says what to install', async (t) => {
  const directory = join(folderFor(t), 'journal');
  const { PATH } = process.env;
  t.teardown(() => {
    process.env['PATH'] = PATH;
  });
  const bin = folderFor(t);
  process.env['PATH'] = bin;
  t.throws(() => take(directory), { message: /install flock .* or perl/ });
  writeFileSync(join(bin, 'perl'), '#!/bin/sh\nexec /usr/bin/perl "$@"\n', { mode: 0o755 });
  const lock = taken(directory);
  t.notOk(take(directory) instanceof JournalLock);
  process.env['PATH'] = PATH;
  t.notOk(take(directory) instanceof JournalLock, 'flock and perl exclude each other');
  lock.release();
});
