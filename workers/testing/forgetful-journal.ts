/** A journal for tests that look at one partition and no disk. */
import type { PartitionJournal } from '../partition/partition-journal.js';

/** Takes everything and forgets it: what is settled has left the journal. */
export class ForgetfulJournal implements PartitionJournal {
  readonly frame = new Uint8Array(65_536);
  readonly view = new DataView(this.frame.buffer);
  readonly recordsStart = 0;
  readonly frameLocation = 0;
  nextSequence = 1;
  reserve = () => true;
  append(_end: number, count: number): number {
    this.nextSequence += count;
    return this.nextSequence - 1;
  }
  release = () => undefined;
  read = () => 0;
}
