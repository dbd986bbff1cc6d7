/** kill -9 in the middle of appending, again and again: no acknowledged record is lost, and the log goes on. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { folderFor } from '../../deploy/testing/for-test.js';
import { replayJournal } from './journal-reader.js';
import { scanJournal } from './journal-recovery.js';
import { partitionDirectory } from './segment-files.js';
import { FileStorage } from './storage.js';

const child = fileURLToPath(new URL('../testing/journal-child.js', import.meta.url));

t.test('no acknowledged sequence is lost when the process is killed', async (t) => {
  const root = folderFor(t);
  const place = { storage: new FileStorage(), directory: partitionDirectory(root, 0), partition: 0, partitionCount: 1 };
  let before = 0;
  for (let round = 0; round < 6; round++) {
    const appender = spawn(process.execPath, [child, root], { stdio: ['ignore', 'pipe', 'inherit'] });
    const acknowledged = await killAfter(appender, 100 + round * 77);
    const scan = scanJournal(place)!;
    t.ok(acknowledged > before, 'the journal continues');
    t.ok(scan.lastSequence >= acknowledged, `acknowledged ${acknowledged}, found ${scan.lastSequence}`);
    let wrong = 0;
    const count = replayJournal(place, 1, scan.lastSequence, (_bytes, view, offset, sequence) => {
      if (view.getFloat64(offset + 2, true) !== sequence) wrong++;
    });
    t.equal(count, scan.lastSequence);
    t.equal(wrong, 0);
    before = acknowledged;
  }
});

/** Kills the child once it has said `lines` lines. @returns the last sequence that it said in full */
async function killAfter(appender: ChildProcess, lines: number): Promise<number> {
  let text = '';
  let seen = 0;
  appender.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    seen += chunk.split('\n').length - 1;
    if (seen >= lines) appender.kill('SIGKILL');
  });
  await once(appender, 'close');
  return Number(text.slice(0, text.lastIndexOf('\n')).split('\n').at(-1));
}
