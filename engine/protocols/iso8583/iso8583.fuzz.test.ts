/**
 * Hostile bytes: random ones, messages with a few edits, and streams of frames that are glued, split and broken.
 * Nothing throws, memory stays within a frame, and what is accepted can be written again. FUZZ_RUNS decides how long
 * this takes.
 */
import t from 'tap';
import { runs, testSeed } from '../../testing/runs.js';
import { Random } from '../testing/mutate.js';
import { readAdditionalAmounts } from './additional-amounts.js';
import { type FrameHandler, FrameSplitter } from './frame-splitter.js';
import { Framing, type FramingSettings } from './framing.js';
import { IsoMessage, messageBytesLimit } from './message.js';
import { readOriginalDataElements } from './original-data-elements.js';
import { pack } from './pack.js';
import { acceptsPartial } from './partial-approval.js';
import { describeRefusal } from './refusal.js';
import { readOriginalAmounts, readReplacementAmounts } from './replacement-amounts.js';
import { type TestPackager, testPackagers } from './testing/packagers.js';
import { fillRandomly } from './testing/random-message.js';
import { workedMessages } from './testing/worked-messages.js';
import { unpack } from './unpack.js';

t.setTimeout(0);

const bytes = new Uint8Array(messageBytesLimit);
const written = new Uint8Array(4 * messageBytesLimit);
const message = new IsoMessage();
const again = new IsoMessage();

/** Edits the first `length` bytes. @returns the new length */
function mutate(random: Random, length: number): number {
  let end = length;
  for (let edits = random.below(4); edits > 0 && end > 0; edits--) {
    const at = random.below(end);
    const span = Math.min(1 + random.below(16), end - at);
    switch (random.below(6)) {
      case 0:
        bytes[at]! ^= 1 << random.below(8);
        break;
      case 1:
        bytes[at] = random.below(256);
        break;
      case 2:
        bytes.copyWithin(at, at + span, end);
        end -= span;
        break;
      case 3:
        if (end + span > bytes.length) break;
        bytes.copyWithin(at + span, at, end);
        for (let index = at; index < at + span; index++) bytes[index] = random.below(256);
        end += span;
        break;
      case 4:
        end = at;
        break;
      default:
        // In the bitmap, where one bit moves everything behind it.
        bytes[random.below(Math.min(end, 36))]! ^= 1 << random.below(8);
    }
  }
  return end;
}

/** Fields with fields inside are read or refused, whatever is in them. */
function readInside(): void {
  readOriginalDataElements(message, 1987);
  readOriginalDataElements(message, 1993);
  readReplacementAmounts(message);
  readOriginalAmounts(message);
  readAdditionalAmounts(message);
  acceptsPartial(message, { field: 48, subElement: 61, skip: 1, position: 1, value: '1' });
  acceptsPartial(message, { field: 60, position: 10, value: '1' });
}

/** What is wrong, or ''. */
function problemOf({ packager }: TestPackager, length: number): string {
  const refusal = unpack(packager, bytes, 0, length, message);
  if (refusal !== null) {
    const { field, offset } = refusal;
    if (field < 0 || field > 128 || offset < 0 || offset > length) return `refusal at ${field}, ${offset}`;
    return describeRefusal(refusal).includes('undefined') ? 'a refusal without words' : '';
  }
  readInside();
  const size = pack(packager, message, written, 0);
  if (typeof size !== 'number') return `accepted and not written: ${describeRefusal(size)}`;
  const second = unpack(packager, written, 0, size, again);
  if (second !== null) return `written and not accepted: ${describeRefusal(second)}`;
  if (again.mti !== message.mti) return 'another type';
  for (let field = 2; field <= 128; field++) {
    if (message.has(field) !== again.has(field)) return `presence of field ${field}`;
    if (message.has(field) && message.text(field) !== again.text(field)) return `field ${field}`;
  }
  return '';
}

/** A message of the common kinds, with the fields that have fields inside. */
function fillWorked(random: Random): void {
  const { mti, fields } = random.pick(workedMessages);
  message.clear();
  message.mti = mti;
  for (const [field, text] of Object.entries(fields)) message.setText(Number(field), text);
}

/** Makes the input of one run in `bytes`. @returns its length */
function nextInput(random: Random, run: number, valid: Uint8Array): number {
  if (run % 16 === 0) {
    const length = random.below(256);
    for (let index = 0; index < length; index++) bytes[index] = random.below(256);
    return length;
  }
  bytes.set(valid);
  return mutate(random, valid.length);
}

t.test('random and broken messages are read or refused, and what is read can be written', async (t) => {
  const { numRuns } = runs(200_000);
  const random = new Random(testSeed);
  let accepted = 0;
  let test = testPackagers[0]!;
  let valid = new Uint8Array(0);
  for (let run = 0; run < numRuns; run++) {
    // To make a message takes longer than to break it: each is broken in several ways.
    if (run % 24 === 0) {
      test = random.pick(testPackagers);
      if (test.packager.versionDigit === 0 && random.oneIn(2)) fillWorked(random);
      else fillRandomly(message, random, test, 16);
      const size = pack(test.packager, message, bytes, 0);
      if (typeof size !== 'number') throw new Error(`${test.name}: ${describeRefusal(size)}`);
      valid = bytes.slice(0, size);
    }
    const length = nextInput(random, run, valid);
    const problem = problemOf(test, length);
    if (problem !== '') {
      const hex = Buffer.from(bytes.subarray(0, length)).toString('hex');
      throw new Error(`run ${run}, ${test.name}: ${problem}: ${hex}`);
    }
    if (message.mti !== 0) accepted++;
  }
  t.ok(accepted > numRuns / 4, `${accepted} of ${numRuns} had at least a type`);
});

const framings: readonly FramingSettings[] = [
  { length: 'binary2', keepAlive: 'ignore' },
  { length: 'binary2', header: { kind: 'tpdu' } },
  { length: 'bcd2', lengthIncludesItself: true, keepAlive: 'echo' },
  { length: 'ascii4', header: { kind: 'plain', bytes: 12 } },
  { length: 'hex4', keepAlive: 'ignore' },
  { length: 'binary4', messageBytesMax: 600 },
  { length: 'binary2_zeros', keepAlive: 'echo' },
  { length: 'binary3', lengthIncludesHeader: false, header: { kind: 'plain', bytes: 1 } },
];

interface Seen {
  readonly frames: string[];
  fault: string | null;
}

/** Splits the stream as it comes in pieces of up to `pieceMax` bytes. */
function split(framing: Framing, stream: Uint8Array, random: Random, pieceMax: number): Seen {
  const seen: Seen = { frames: [], fault: null };
  const handler: FrameHandler = {
    frame: (from, start, end, headerAt) => {
      if (end - start > framing.messageBytesMax || start - headerAt !== framing.headerBytes)
        seen.fault = 'a wrong frame';
      seen.frames.push(Buffer.from(from.subarray(headerAt, end)).toString('latin1'));
    },
    keepAlive: () => seen.frames.push('keep-alive'),
  };
  const splitter = new FrameSplitter(framing, handler);
  for (let at = 0; at < stream.length && seen.fault === null; ) {
    const end = Math.min(stream.length, at + 1 + random.below(pieceMax));
    seen.fault ??= splitter.push(stream.subarray(at, end));
    if (splitter.pendingBytes > framing.frameBytesMax) seen.fault = 'more in memory than a frame';
    at = end;
  }
  return seen;
}

t.test('a stream gives the same frames in whatever pieces it comes, and broken ones end it alike', async (t) => {
  const { numRuns } = runs(6_000);
  const random = new Random(testSeed + 1);
  let frames = 0;
  for (let run = 0; run < numRuns; run++) {
    const framing = new Framing(framings[run % framings.length]!);
    let length = 0;
    for (let count = random.below(6); count > 0; count--) {
      const size = random.below(300);
      for (let index = 0; index < size; index++) bytes[length + framing.overheadBytes + index] = random.below(256);
      length += framing.finish(bytes, length, size, null, false);
    }
    if (random.oneIn(2)) length = mutate(random, length);
    const stream = bytes.slice(0, length);
    const whole = split(framing, stream, random, 1_000_000);
    const pieces = split(framing, stream, random, 1 + random.below(40));
    frames += whole.frames.length;
    if (JSON.stringify(whole) !== JSON.stringify(pieces)) {
      throw new Error(`run ${run}: ${whole.fault} and ${pieces.fault}: ${Buffer.from(stream).toString('hex')}`);
    }
    if (whole.fault?.includes(' ') === true) throw new Error(`run ${run}: ${whole.fault}`);
  }
  t.ok(frames > numRuns, `${frames} frames`);
});
