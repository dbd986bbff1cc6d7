/** Frames of the feed: what is written is read, and nothing else is. */
import fc from 'fast-check';
import t from 'tap';
import { runs } from '../testing/runs.js';
import type { FeedEntry } from './feed.js';
import { frameBytesMax, packFrame, readFrame } from './feed-frame.js';

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
