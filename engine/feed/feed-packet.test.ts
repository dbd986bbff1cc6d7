/** Packets of the feed: what is written is read, and nothing else is. */
import fc from 'fast-check';
import t from 'tap';
import type { FeedEntry } from '../core/feed.js';
import { longestLimits } from '../testing/longest-limits.js';
import { runs } from '../testing/runs.js';
import { packetBytesMax, packetEntriesMax, readPacket, writePacket, writePackets } from './feed-packet.js';

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

t.test('a packet is read as it was written', async (t) => {
  t.same(readPacket(writePacket({ newest: 3, entries: [entry] })), { newest: 3, entries: [entry] });
  t.same(readPacket(writePacket({ newest: 0, entries: [] })), { newest: 0, entries: [] });
});

t.test('600 entries with the longest limits are split into packets that can all be read', async (t) => {
  const limits = longestLimits();
  const entries = Array.from({ length: 600 }, (_, index) => {
    return { ...entry, sequence: index + 1, payload: { ...entry.payload, limits } } as FeedEntry;
  });
  const packets = writePackets(600, entries);
  for (const packet of packets) t.ok(packet.length <= packetBytesMax, `${packet.length} bytes`);
  const read = packets.map((packet) => readPacket(packet)!);
  t.same(
    read.flatMap((packet) => packet.entries.map(({ sequence }) => sequence)),
    entries.map(({ sequence }) => sequence),
  );
  t.ok(read.every(({ newest, entries }) => newest === 600 && entries.length <= packetEntriesMax));
  t.same(writePackets(7, []).map(readPacket), [{ newest: 7, entries: [] }], 'a packet without entries is a heartbeat');
});

t.test('an entry that fits no packet is left out, and its neighbours are kept', async (t) => {
  const long = { ...entry, sequence: 2, payload: { ...entry.payload, token: 'x'.repeat(packetBytesMax) } } as FeedEntry;
  const packets = writePackets(3, [{ ...entry, sequence: 1 }, long, { ...entry, sequence: 3 }]);
  t.same(
    packets.flatMap((packet) => readPacket(packet)!.entries.map(({ sequence }) => sequence)),
    [1, 3],
  );
});

t.test('bytes that are no packet are dropped', async (t) => {
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
  for (const packet of wrong) t.equal(readPacket(writePacket(packet as never)), null, JSON.stringify(packet));
  t.equal(readPacket(Buffer.alloc(packetBytesMax + 1)), null);
});

t.test('reading any bytes never throws', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      readPacket(bytes);
    }),
    runs(2000),
  );
  const packet = writePacket({ newest: 3, entries: [entry] });
  for (let end = 0; end < packet.length; end++) readPacket(packet.subarray(0, end));
  t.pass('every packet was read');
});
