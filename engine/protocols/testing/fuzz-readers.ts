/** Differential fuzzing of a protocol's two readers, which give the same verdict and request for any bytes. */
import t from 'tap';
import { Request } from '../../core/request.js';
import { runs, testSeed } from '../../testing/runs.js';
import type { Codec } from '../codec.js';
import type { Refusal } from '../refusal.js';
import { jsonText, Message, Random } from './mutate.js';
import { difference, sameRefusal } from './same-request.js';

type Read<T> = (request: Request, bytes: Uint8Array, start: number, end: number) => T;

export interface Readers extends Pick<Codec, 'read'> {
  readonly readSlow: Read<Refusal | null>;
}

/** Tests that at least that share of plain messages is read in place. */
export function testFastPath(
  count: number,
  share: number,
  message: (random: Random, round: number) => unknown,
  readFast: Read<boolean>,
): void {
  t.test('plain messages take the fast path', async (t) => {
    const random = new Random(7);
    const request = new Request();
    let fast = 0;
    for (let round = 0; round < count; round++) {
      const bytes = Uint8Array.from(Buffer.from(jsonText(random, message(random, round), random.oneIn(2))));
      if (readFast(request, bytes, 0, bytes.length)) fast++;
    }
    t.ok(fast >= count * share, `${fast} of ${count}`);
  });
}

export interface Mutations {
  readonly runs: number;
  readonly bytesMax: number;
  /** Texts that an edit may insert. */
  readonly pieces: readonly string[];
  readonly message: (random: Random) => unknown;
  /** One message of so many is written with unusual spellings. */
  readonly unusualOneIn: number;
  readonly readers: (random: Random) => Readers;
}

export function testMutations(mutations: Mutations): void {
  // FUZZ_RUNS decides how long this takes.
  t.setTimeout(0);
  t.test('both readers agree on every mutated message', async (t) => {
    const { numRuns } = runs(mutations.runs);
    const random = new Random(testSeed);
    const message = new Message(mutations.bytesMax, mutations.pieces);
    const slab = new Uint8Array(new SharedArrayBuffer(2 * mutations.bytesMax));
    const fast = new Request();
    const slow = new Request();
    let accepted = 0;
    let inPlace = 0;
    for (let run = 0; run < numRuns; run++) {
      // A few generations of edits on the same message reach deeper than one edit on a fresh one.
      if (run % 3 === 0) {
        message.set(jsonText(random, mutations.message(random), random.oneIn(mutations.unusualOneIn)));
      }
      for (let edits = random.oneIn(3) ? 1 : 0; edits >= 0; edits--) message.mutate(random);
      const start = random.below(64);
      const end = start + message.length;
      slab.set(message.bytes.subarray(0, message.length), start);
      // The byte behind a message must not matter.
      slab[end] = random.pick([0x7d, 0x22, 0x30, 0x2c, 0x20]);
      const readers = mutations.readers(random);
      const slowVerdict = readers.readSlow(slow, slab, start, end);
      const verdict = readers.read(fast, slab, start, end);
      const filled = verdict === null || 'unsupported' in verdict;
      const different = sameRefusal(verdict, slowVerdict) ? (filled ? difference(fast, slow) : null) : 'verdict';
      if (different !== null) {
        const text = Buffer.from(message.bytes.subarray(0, message.length)).toString('latin1');
        t.fail(`${different} differs`, { run, text, verdict, slowVerdict });
        break;
      }
      if (verdict === null) accepted++;
      if (verdict === null && fast.source === slab) inPlace++;
    }
    t.comment(`${numRuns} messages, ${accepted} accepted, ${inPlace} of them in place`);
    t.ok(accepted > numRuns / 20, 'enough messages survive their mutations to compare requests');
    t.ok(inPlace > accepted / 4, 'enough of them by the byte reader');
  });
}
