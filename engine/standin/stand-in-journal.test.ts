import { appendFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { folderFor } from '../../deploy/testing/for-test.js';
import { type JournalLine, StandInJournal } from './stand-in-journal.js';

const line = (id: string): JournalLine => ({ kind: 'booked', id });
const day = { kind: 'day', day: 1, count: 0, cards: [] } as const;

function journalOf(t: Test) {
  const directory = folderFor(t);
  const path = join(directory, 'approvals');
  let journal: StandInJournal | null = null;
  t.teardown(() => journal?.close());
  return {
    path,
    async open(kept: readonly JournalLine[] | null = null): Promise<{ journal: StandInJournal; lines: JournalLine[] }> {
      await journal?.close();
      journal = null;
      const lines: JournalLine[] = [];
      journal = await StandInJournal.open(
        directory,
        (read) => lines.push(...read),
        () => kept ?? lines,
      );
      return { journal, lines };
    },
  };
}

t.test('what was appended is read again, in order', async (t) => {
  const { open } = journalOf(t);
  const { journal } = await open();
  await Promise.all(['a', 'b', 'c'].map((id) => journal.append(line(id))));
  await journal.append(line('d "\n 𝄞'));
  t.same((await open()).lines, ['a', 'b', 'c', 'd "\n 𝄞'].map(line));
});

t.test('a last batch that was cut anywhere is cut off, and what was synced before stays', async (t) => {
  const { open, path } = journalOf(t);
  const { journal } = await open();
  await journal.append(line('synced'));
  const { size } = statSync(path);
  await Promise.all(['torn-1', 'torn-2', 'torn-3'].map((id) => journal.append(line(id))));
  const whole = readFileSync(path);
  for (let length = size; length < whole.length; length++) {
    writeFileSync(path, whole.subarray(0, length));
    t.match((await open([])).lines[0], line('synced'), `cut at ${length}`);
  }
  // A sector of the middle never reached the disk.
  const hole = Buffer.from(whole);
  hole.fill(0, size + 40, size + 60);
  writeFileSync(path, hole);
  t.match((await open([])).lines.at(0), line('synced'));
});

t.test('a line that changed after its sync stops the start, with its place', async (t) => {
  const { open, path } = journalOf(t);
  const { journal } = await open();
  for (const id of ['a', 'b', 'c']) await journal.append(line(id));
  const bytes = readFileSync(path);
  bytes[bytes.indexOf('"b"') + 1] = 0x78;
  writeFileSync(path, bytes);
  await t.rejects(open(), { message: /approvals is damaged in line 2: restore it/ });
});

t.test('it is rewritten with what still counts when it has grown', async (t) => {
  const { open, path } = journalOf(t);
  const { journal } = await open([day]);
  const long = 'x'.repeat(100_000);
  for (let index = 0; index < 60; index++) await journal.append(line(`${index}${long}`));
  t.ok(statSync(path).size < 4_000_000, 'smaller than what was appended');
  t.same((await open([day])).lines[0], day);
});

t.test('after a write that failed nothing more is taken', async (t) => {
  const { open, path } = journalOf(t);
  const { journal } = await open();
  await journal.append(line('kept'));
  await journal.close();
  await t.rejects(journal.append(line('late')), { message: /closed/ });
  t.not(journal.failure, '');
  t.equal(journal.hasRoom, false);
  appendFileSync(path, 'half a li');
  truncateSync(path, statSync(path).size - 2);
  t.same((await open()).lines, [line('kept')]);
});
