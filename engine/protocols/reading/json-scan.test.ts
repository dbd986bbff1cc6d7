import t from 'tap';
import { runs, testSeed } from '../../testing/runs.js';
import { Message, Random } from '../testing/mutate.js';
import { depthMax, integerValue, plainStringEnd, skipValue, skipWhitespace } from './json-scan.js';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What JSON.parse says of a strict decode. */
function isJson(bytes: Uint8Array): boolean {
  try {
    JSON.parse(decoder.decode(bytes));
    return true;
  } catch {
    return false;
  }
}

/** What skipValue says of a whole text. */
function isSkipped(bytes: Uint8Array): boolean {
  const end = bytes.length;
  const after = skipValue(bytes, skipWhitespace(bytes, 0, end), end);
  return after >= 0 && skipWhitespace(bytes, after, end) === end;
}

/** Most brackets open at once: an upper bound, as brackets in strings count. */
function depthOf(bytes: Uint8Array): number {
  let depth = 0;
  let most = 0;
  for (const byte of bytes) {
    if (byte === 0x5b || byte === 0x7b) most = Math.max(most, ++depth);
    else if (byte === 0x5d || byte === 0x7d) depth--;
  }
  return most;
}

const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));

/** Printable: a test's name with a line separator in it breaks the report. */
const shown = (text: string): string => text.replace(/[^ -~]/g, '?');

// FUZZ_RUNS decides how long this takes.
t.setTimeout(0);

t.test('values of every kind are skipped whole', async (t) => {
  const good = [
    '0',
    '-0',
    '1.5e-3',
    '1E+2',
    'true',
    'false',
    'null',
    '""',
    '"a\\n\\u00e9\\ud800\\/"',
    '"é😀\u007f\u2028"',
    '[]',
    '{}',
    '[1,[2,{"a":[]}]]',
    ' { "a" : [ 1 , 2 ] , "b" : { } } ',
    `${'['.repeat(depthMax)}1${']'.repeat(depthMax)}`,
  ];
  for (const text of good) {
    t.equal(isJson(bytesOf(text)), true, shown(text));
    t.equal(isSkipped(bytesOf(text)), true, shown(text));
  }
  const bad = [
    '',
    '01',
    '+1',
    '1.',
    '.5',
    '1e',
    '-',
    'tru',
    'nulll',
    '"',
    '"\\x"',
    '"\\u12g4"',
    '"\t"',
    '[1,]',
    '[,1]',
    '{"a"}',
    '{"a":}',
  ];
  const worse = [
    '{"a":1,}',
    '{a:1}',
    '{1:1}',
    '[1}',
    '{"a":1]',
    '[1 2]',
    '1 1',
    '\ufeff1',
    '\u00a01',
    '[',
    '{',
    '[}',
    '"\\',
    '"\\u00',
  ];
  for (const text of [...bad, ...worse]) {
    t.equal(isJson(bytesOf(text)), false, shown(text));
    t.equal(isSkipped(bytesOf(text)), false, shown(text));
  }
  // Deeper than the bound: not sure, although JSON.parse takes it.
  t.equal(isSkipped(bytesOf(`${'['.repeat(depthMax + 1)}${']'.repeat(depthMax + 1)}`)), false);
});

t.test('every two-byte and three-byte start of a character is judged as the decoder judges it', async (t) => {
  for (let first = 0x80; first < 0x100; first++) {
    for (let second = 0x7f; second < 0x100; second++) {
      for (const tail of [[], [0x80], [0xbf], [0x80, 0xbf], [0x41], [0x80, 0x41]]) {
        const bytes = Uint8Array.from([0x22, first, second, ...tail, 0x22]);
        if (isJson(bytes) !== isSkipped(bytes)) t.fail(`${[...bytes]}`);
      }
    }
  }
  t.pass();
});

t.test('on mutated JSON the scanner accepts exactly what JSON.parse accepts', async (t) => {
  const random = new Random(testSeed);
  const message = new Message(4096, []);
  const start = '{"a":[1,-2.5e3,true,null,"x\\n\\u00e9é"],"b":{"c":{},"d":[[],{"e":false}]},"f":"plain"}';
  let taken = 0;
  const { numRuns } = runs(100_000);
  for (let run = 0; run < numRuns; run++) {
    if (run % 3 === 0) message.set(start);
    message.mutate(random);
    const bytes = message.bytes.slice(0, message.length);
    const json = isJson(bytes);
    if (json) taken++;
    if (json === isSkipped(bytes)) continue;
    // Only the depth bound may tell them apart.
    if (json && depthOf(bytes) > depthMax) continue;
    t.fail('verdict differs', { run, text: Buffer.from(bytes).toString('latin1'), json });
    break;
  }
  t.ok(taken > numRuns / 50, `${taken} of ${numRuns} were JSON`);
});

t.test('integers and plain strings leave unusual spellings to the slow reader', async (t) => {
  const value = (text: string): number => integerValue(bytesOf(text), 0, text.length);
  t.equal(value('0'), 0);
  t.equal(value('999999999999999'), 999_999_999_999_999);
  t.equal(value('1000000000000000'), -1);
  t.equal(value('01'), -1);
  t.equal(value(''), -1);
  t.equal(plainStringEnd(bytesOf('abc"d'), 0, 5), 3);
  t.equal(plainStringEnd(bytesOf('abc"d'), 0, 3), -1);
  t.equal(plainStringEnd(bytesOf('a\\"'), 0, 3), -1);
  t.equal(plainStringEnd(bytesOf('é"'), 0, 3), -1);
  t.equal(plainStringEnd(bytesOf('\u007f"'), 0, 2), -1);
});
