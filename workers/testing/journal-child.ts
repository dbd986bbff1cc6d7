/** A process that appends for ever and says each last sequence once it is durable; for journal-kill.test.ts to kill. */
import { writeSync } from 'node:fs';
import { FileStorage } from '../journal/storage.js';
import { append, journalFixture, numbered } from './journal-fixture.js';

const root = process.argv[2];
if (root === undefined) throw new Error('which folder?');
const fixture = journalFixture(new FileStorage(), root, {
  sizes: { segmentBytes: 65_536, frameBytesMax: 16_384, segmentsMax: 1e6 },
});
const { writer, scan } = fixture.open();
for (let last = scan.lastSequence, batch = 0; ; batch++) {
  const records = Array.from({ length: 1 + (batch % 7) }, (_, index) =>
    numbered(last + index + 1, 60 + ((batch * 91) % 900)),
  );
  last = append(writer, records);
  // Synchronous: what the parent reads was said after the sync, not queued before a kill.
  writeSync(1, `${last}\n`);
}
