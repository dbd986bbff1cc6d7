/** Frames of the feed: what is written is read, and nothing else is. */
import fc from 'fast-check';
import t from 'tap';
import type { FeedEntry } from '../core/feed.js';
import { longestLimits } from '../testing/longest-limits.js';
import { runs } from '../testing/runs.js';
import { frameBytesMax, frameEntriesMax, packFrame, packFrames, readFrame } from './feed-packet.js';

const entry: FeedEntry = {
  sequence: 3,
  atMs: 1.5,
  topic: 'card',
  payload: {
    token: 'card_1',
    number: 1,
    version: 2,
    status: 'frozen',
    expiresDay: 20_000,
    limits: { perAuthorization: 5, mcc: { block: ['7995'] } },
    accountNumber: 1,
    userNumber: 1,
    ownerKey: 2,
  },
};

t.test('a frame is read as it was written', async (t) => {
  t.same(readFrame(packFrame({ newest: 3, entries: [entry] })), { newest: 3, entries: [entry] });
  t.same(readFrame(packFrame({ newest: 0, entries: [] })), { newest: 0, entries: [] });
});

t.test('600 entries with the longest limits come in frames that can all be read', async (t) => {
  const limits = longestLimits();
  const entries = Array.from({ length: 600 }, (_, index) => {
    return { ...entry, sequence: index + 1, payload: { ...entry.payload, limits } } as FeedEntry;
  });
  const frames = packFrames(600, entries);
  for (const frame of frames) t.ok(frame.length <= frameBytesMax, `${frame.length} bytes`);
  const read = frames.map((frame) => readFrame(frame)!);
  t.same(
    read.flatMap((frame) => frame.entries.map(({ sequence }) => sequence)),
    entries.map(({ sequence }) => sequence),
  );
  t.ok(read.every(({ newest, entries }) => newest === 600 && entries.length <= frameEntriesMax));
  t.same(packFrames(7, []).map(readFrame), [{ newest: 7, entries: [] }], 'no entries are a heartbeat');
});

t.test('an entry that no frame can hold is left out, and its neighbours are not', async (t) => {
  const long = { ...entry, sequence: 2, payload: { ...entry.payload, token: 'x'.repeat(frameBytesMax) } } as FeedEntry;
  const frames = packFrames(3, [{ ...entry, sequence: 1 }, long, { ...entry, sequence: 3 }]);
  t.same(
    frames.flatMap((frame) => readFrame(frame)!.entries.map(({ sequence }) => sequence)),
    [1, 3],
  );
});

t.test('what is no frame is dropped', async (t) => {
  const wrong: unknown[] = [
    null,
    1,
    {},
    { newest: -1, entries: [] },
    { newest: 1.5, entries: [] },
    { newest: 1 },
    { newest: 1, entries: [null] },
    { newest: 1, entries: [{ ...entry, sequence: '3' }] },
    { newest: 1, entries: [{ ...entry, topic: 'company' }] },
    { newest: 1, entries: [{ ...entry, payload: { ...entry.payload, token: 5 } }] },
    { newest: 1, entries: [{ ...entry, payload: { ...entry.payload, ownerKey: undefined } }] },
  ];
  for (const frame of wrong) t.equal(readFrame(packFrame(frame as never)), null, JSON.stringify(frame));
  t.equal(readFrame(Buffer.alloc(frameBytesMax + 1)), null);
});

t.test('any bytes at all are no reason to throw', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      readFrame(bytes);
    }),
    runs(2000),
  );
  const frame = packFrame({ newest: 3, entries: [entry] });
  for (let end = 0; end < frame.length; end++) readFrame(frame.subarray(0, end));
  t.pass('read');
});
