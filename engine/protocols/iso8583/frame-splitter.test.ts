import t from 'tap';
import { type FrameFault, FrameSplitter } from './frame-splitter.js';
import { Framing } from './framing.js';

interface Taken {
  readonly messages: string[];
  keepAlives: number;
  readonly fault: FrameFault | null;
}

/** Splits a stream that arrives in the given pieces. */
function take(framing: Framing, pieces: readonly Uint8Array[]): Taken {
  const messages: string[] = [];
  let keepAlives = 0;
  const splitter = new FrameSplitter(framing, {
    frame: (bytes, start, end, headerAt) => {
      const header = Buffer.from(bytes.subarray(headerAt, start)).toString('hex');
      messages.push(header + Buffer.from(bytes.subarray(start, end)).toString('latin1'));
    },
    keepAlive: () => keepAlives++,
  });
  let fault: FrameFault | null = null;
  for (const piece of pieces) fault ??= splitter.push(piece);
  return { messages, keepAlives, fault };
}

t.test('two bytes of length frame the worked message of 181 bytes as 00 B5', async (t) => {
  const framing = new Framing({ length: 'binary2' });
  const frame = Buffer.alloc(183, 'x');
  t.equal(framing.finish(frame, 0, 181, null, false), 183);
  t.equal(frame.toString('hex', 0, 2), '00b5');
  t.same(take(framing, [frame]).messages, ['x'.repeat(181)]);
});

t.test('glued and split frames come out one by one', async (t) => {
  const framing = new Framing({ length: 'binary2', keepAlive: 'ignore' });
  const stream = Buffer.from('\0\x03one\0\0\0\x05three', 'latin1');
  t.same(take(framing, [stream]), { messages: ['one', 'three'], keepAlives: 1, fault: null });
  t.same(
    take(
      framing,
      [...stream].map((byte) => Uint8Array.of(byte)),
    ),
    { messages: ['one', 'three'], keepAlives: 1, fault: null },
  );
});
