import t from 'tap';
import { type FrameFault, FrameSplitter } from './frame-splitter.js';
import { Framing, type FramingSettings } from './framing.js';

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

t.test('each kind of length is written and read as its channel does', async (t) => {
  const message = 'm'.repeat(181);
  const kinds: readonly (readonly [settings: FramingSettings, head: string])[] = [
    [{ length: 'binary2' }, '00b5'],
    [{ length: 'bcd2' }, '0181'],
    [{ length: 'ascii4' }, '30313831'],
    [{ length: 'hex4' }, '30304235'],
    [{ length: 'binary4' }, '000000b5'],
    [{ length: 'binary2_zeros' }, '00b50000'],
    [{ length: 'binary3' }, '0000b5'],
    [{ length: 'binary2', lengthIncludesItself: true }, '00b7'],
    [{ length: 'ascii4', lengthIncludesItself: true }, '30313835'],
    [{ length: 'binary2', header: { kind: 'tpdu' } }, '00ba6000010002'],
    [{ length: 'binary2', header: { kind: 'tpdu' }, lengthIncludesHeader: false }, '00b56000010002'],
    [{ length: 'bcd2', header: { kind: 'plain', bytes: 2 }, lengthIncludesItself: true }, '01856000'],
  ];
  const header = Buffer.from('6000010002', 'hex');
  for (const [settings, head] of kinds) {
    const framing = new Framing(settings);
    const frame = Buffer.alloc(framing.overheadBytes + message.length);
    frame.write(message, framing.overheadBytes);
    t.equal(framing.finish(frame, 0, message.length, header, false), frame.length, head);
    t.equal(frame.toString('hex', 0, framing.overheadBytes), head);
    const expected = header.toString('hex', 0, framing.headerBytes) + message;
    const halves = [frame.subarray(0, 90), frame.subarray(90)];
    for (const pieces of [[frame], halves, [...frame].map((byte) => Uint8Array.of(byte))]) {
      t.same(take(framing, pieces), { messages: [expected], keepAlives: 0, fault: null }, head);
    }
  }
});

t.test('an answer swaps source and destination of a TPDU, and gives a plain header back', async (t) => {
  const header = Buffer.from('6000010002', 'hex');
  const into = Buffer.alloc(64);
  new Framing({ length: 'binary2', header: { kind: 'tpdu' } }).finish(into, 0, 4, header, true);
  t.equal(into.toString('hex', 0, 7), '00096000020001');
  new Framing({ length: 'binary2', header: { kind: 'plain', bytes: 5 } }).finish(into, 0, 4, header, true);
  t.equal(into.toString('hex', 0, 7), '00096000010002');
  new Framing({ length: 'binary2', header: { kind: 'tpdu' } }).finish(into, 0, 4, null, false);
  t.equal(into.toString('hex', 0, 7), '00090000000000', 'a message of the engine has no header of a request');
  t.throws(() => new Framing({ length: 'binary2', header: { kind: 'plain' } }), RangeError);
});

t.test('a frame of length zero is a keep-alive where the link has them', async (t) => {
  const frames = Buffer.from('\0\0\0\x01x', 'latin1');
  for (const keepAlive of ['ignore', 'echo'] as const) {
    const taken = take(new Framing({ length: 'binary2', keepAlive }), [frames]);
    t.same(taken, { messages: ['x'], keepAlives: 1, fault: null });
  }
  t.equal(take(new Framing({ length: 'binary2' }), [frames]).fault, 'keep_alive_not_permitted');
  const counted = new Framing({ length: 'ascii4', lengthIncludesItself: true, keepAlive: 'echo' });
  t.equal(take(counted, [Buffer.from('00000004')]).keepAlives, 2, 'zero, or nothing but itself');
  const into = Buffer.alloc(8);
  t.equal(counted.writeKeepAlive(into, 2), 4);
  t.equal(into.toString('latin1', 2, 6), '0000');
});

t.test('a length that is none, or longer than the link permits, ends the connection', async (t) => {
  const cases: readonly (readonly [settings: FramingSettings, bytes: string, fault: string])[] = [
    [{ length: 'ascii4' }, '01x1', 'wrong_length'],
    [{ length: 'hex4' }, '00G1', 'wrong_length'],
    [{ length: 'bcd2' }, '\x0a\x01', 'wrong_length'],
    [{ length: 'binary2_zeros' }, '\0\x05\0\x01', 'wrong_length'],
    [{ length: 'binary2', lengthIncludesItself: true }, '\0\x01', 'wrong_length'],
    [{ length: 'binary2', header: { kind: 'tpdu' } }, '\0\x04', 'wrong_length'],
    [{ length: 'binary2' }, '\x20\x01', 'frame_too_long'],
    [{ length: 'binary4' }, '\xff\xff\xff\xff', 'frame_too_long'],
    [{ length: 'binary3' }, '\xff\xff\xff', 'frame_too_long'],
    [{ length: 'ascii4', messageBytesMax: 100 }, '0101', 'frame_too_long'],
  ];
  for (const [settings, text, fault] of cases) {
    const bytes = Buffer.from(text, 'latin1');
    t.equal(take(new Framing(settings), [bytes]).fault, fault, fault);
    t.equal(take(new Framing(settings), [bytes.subarray(0, 1), bytes.subarray(1)]).fault, fault, `${fault}, split`);
  }
});

t.test('a splitter keeps what has come of a frame, and no more than a frame', async (t) => {
  const framing = new Framing({ length: 'binary2' });
  const messages: number[] = [];
  const splitter = new FrameSplitter(framing, {
    frame: (_, start, end) => messages.push(end - start),
    keepAlive: () => undefined,
  });
  t.equal(splitter.pendingBytes, 0);
  splitter.push(Uint8Array.of(0x20));
  splitter.push(Uint8Array.of(0x00));
  t.equal(splitter.pendingBytes, 2);
  for (let sent = 0; sent < 8191; sent++) splitter.push(Uint8Array.of(0));
  t.equal(splitter.pendingBytes, 8193);
  splitter.push(Uint8Array.of(0, 0));
  t.same(messages, [8192]);
  t.equal(splitter.pendingBytes, 1);
  splitter.stop();
  t.equal(splitter.pendingBytes, 0);
});

t.test('a handler that stops the splitter gets no later frame of the same bytes', async (t) => {
  const messages: string[] = [];
  const splitter: FrameSplitter = new FrameSplitter(new Framing({ length: 'binary2' }), {
    frame: (bytes, start, end) => {
      messages.push(Buffer.from(bytes.subarray(start, end)).toString('latin1'));
      splitter.stop();
    },
    keepAlive: () => undefined,
  });
  t.equal(splitter.push(Buffer.from('\0\x03one\0\x03two', 'latin1')), null);
  t.equal(splitter.push(Buffer.from('\0\x03six', 'latin1')), null);
  t.same(messages, ['one']);
});
