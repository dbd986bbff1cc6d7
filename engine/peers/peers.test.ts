/** The connection between two engines: real sockets, real TLS. */
import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { createLog } from '../../platform/log.js';
import type { TraceParent } from '../../platform/tracing/traces.js';
import { Protocol } from '../core/codes.js';
import { bodyBytesMax } from '../core/limits.js';
import { Reason } from '../core/reasons.js';
import type { Answers } from '../exchange/answers.js';
import { AnswerFlag, EntryStatus, markBytes } from '../exchange/slab.js';
import { until } from '../testing/engine-process.js';
import { runs } from '../testing/runs.js';
import { TcpProxy } from '../testing/tcp-proxy.js';
import { queueBytesMax } from './peer-connection.js';
import { FrameReader, FrameWriter, PeerFrame, type PeerVersions, peerVersions } from './peer-frames.js';
import { PeerKeys, peerTls } from './peer-keys.js';
import { PeerLinks, type PeerOutcome } from './peer-links.js';
import { type HopTraces, type PeerHandlers, PeerServer, type PeerWaiter } from './peer-server.js';

const log = createLog('silent', 'test');
const nowMs = () => performance.timeOrigin + performance.now();
/** Looks so often that a test notices a dead connection at once. */
const lookMs = 25;

function answersOf(text: string, flags = 0): Answers {
  return {
    status: Uint8Array.of(EntryStatus.decided),
    answerFlags: Uint8Array.of(flags),
    reason: Uint8Array.of(Reason.approved),
    answerStart: Int32Array.of(0),
    answerEnd: Int32Array.of(Buffer.byteLength(text)),
    answer: Buffer.from(text),
    sealedAtMs: 0,
    returnedAtMs: 0,
  };
}

/** A body and its mark. */
function marked(body: string | Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(body), Buffer.alloc(markBytes)]);
}

/** The body without its mark. */
function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, -markBytes)).toString();
}

/** Handlers that refuse all, but for those that a test gives. */
function handlersOf(given: Partial<PeerHandlers> = {}): PeerHandlers {
  return {
    submit: (_partition, _protocol, _body, waiter) => waiter.refuse(Reason.systemError),
    withdraw: async () => false,
    connected: () => undefined,
    learn: () => undefined,
    call: async () => null,
    ...given,
  };
}

async function serve(
  t: Test,
  given: Partial<PeerHandlers> = {},
  keys: readonly string[] = ['key'],
  versions: PeerVersions = peerVersions,
  traces?: HopTraces,
) {
  const server = new PeerServer({
    versions,
    ...(traces === undefined ? {} : { traces }),
    keys,
    selfId: 'b',
    partitionCount: 12,
    handlers: handlersOf(given),
    nowMs,
    log,
    lookMs,
  });
  const port = await server.listen('127.0.0.1', 0);
  t.teardown(() => server.close());
  return { server, port };
}

function linksTo(t: Test, port: number, keys: readonly string[] = ['key'], versions: PeerVersions = peerVersions) {
  const waiting = new Set<() => void>();
  const changed = () => {
    for (const look of waiting) look();
  };
  const links = new PeerLinks({ keys, selfId: 'a', nowMs, log, changed, lookMs, versions });
  t.teardown(() => links.close());
  links.setPeers([
    { id: 'a', host: '127.0.0.1', port: 1 },
    { id: 'b', host: '127.0.0.1', port },
  ]);
  const until = (isConnected: boolean) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (links.isConnected('b') !== isConnected) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  return { links, connected: () => until(true), lost: () => until(false) };
}

/** Resolves with what became of the message. */
function asked(
  links: PeerLinks,
  body: string | Uint8Array,
  partition = 3,
  arrivalMs = nowMs(),
  trace?: TraceParent,
): Promise<string> {
  return new Promise((resolve) => {
    const outcome: PeerOutcome = {
      askedAtMs: nowMs(),
      hopTrace: () => trace,
      answered: ({ answer, answerStart, answerEnd, answerFlags, status }, index) => {
        const said = answer.toString('utf8', answerStart[index], answerEnd[index]);
        resolve(`answered ${status[index]} ${answerFlags[index]} ${said}`);
      },
      refused: (reason) => resolve(`refused ${reason}`),
      notOwner: () => resolve('not owner'),
      lost: () => resolve('lost'),
    };
    if (!links.ask('b', partition, Protocol.native, marked(body), arrivalMs, outcome)) resolve('not sent');
  });
}

t.test('an answer comes back with its bytes, flags and status', async (t) => {
  const { port } = await serve(t, {
    submit: (partition, protocol, body, waiter) => {
      t.same([partition, protocol, waiter.kind], [3, Protocol.native, Protocol.native]);
      const said = body.length > 100 ? `${body.length - markBytes} bytes` : `${textOf(body)}!`;
      waiter.answer(answersOf(said, AnswerFlag.approved | AnswerFlag.revocable), 0);
      t.equal(waiter.isSettled, true);
    },
  });
  const { links, connected } = linksTo(t, port);
  await connected();
  t.equal(await asked(links, 'hello'), 'answered 8 3 hello!');
  t.equal(await asked(links, Buffer.alloc(bodyBytesMax, 'x')), `answered 8 3 ${bodyBytesMax} bytes`);
});

t.test('answers come back in the order in which they are decided', async (t) => {
  const waiters: PeerWaiter[] = [];
  const { port } = await serve(t, {
    submit: (_partition, _protocol, _body, waiter) => {
      waiters.push(waiter);
      if (waiters.length < 3) return;
      waiters[2]!.answer(answersOf('third'), 0);
      waiters[0]!.refuse(Reason.overloaded);
      waiters[1]!.notOwner();
    },
  });
  const { links, connected } = linksTo(t, port);
  await connected();
  const order: string[] = [];
  const note = async (name: string, outcome: Promise<string>) => order.push(`${name} ${await outcome}`);
  await Promise.all([note('1', asked(links, 'a')), note('2', asked(links, 'b')), note('3', asked(links, 'c'))]);
  t.same(order, ['3 answered 8 0 third', `1 refused ${Reason.overloaded}`, '2 not owner']);
});

t.test('10,000 messages are answered, each once', async (t) => {
  const { server, port } = await serve(t, {
    submit: (_partition, _protocol, body, waiter) => waiter.answer(answersOf(textOf(body)), 0),
  });
  const { links, connected } = linksTo(t, port);
  await connected();
  const count = 10_000;
  for (let done = 0; done < count; done += 1000) {
    const batch = Array.from({ length: 1000 }, (_, index) => `message ${done + index}`);
    const outcomes = await Promise.all(batch.map((body) => asked(links, body)));
    t.same(
      outcomes,
      batch.map((body) => `answered 8 0 ${body}`),
    );
  }
  const [link] = [...links.links];
  t.match(link, { asked: count, answered: count, refused: 0, lost: 0, waiting: 0, isConnected: true });
  t.match(server, { asked: count, answered: count, connections: 1 });
  t.equal(link!.bytesOut, server.bytesIn);
  links.setPeers([]);
  t.match(links, { asked: count, bytesOut: server.bytesIn }, 'also of an engine that has left');
});

t.test('a message is as old at its owner as at the engine where it arrived', async (t) => {
  const ages: number[] = [];
  const { port } = await serve(t, {
    submit: (_partition, _protocol, _body, waiter) => {
      ages.push(nowMs() - waiter.arrivalMs);
      waiter.notOwner();
    },
  });
  const proxy = await TcpProxy.start(port);
  t.teardown(() => proxy.close());
  const { links, connected } = linksTo(t, proxy.port);
  await connected();
  await asked(links, 'a', 3, nowMs() - 40);
  t.ok(ages[0]! >= 40 && ages[0]! < 1000, `${ages[0]} ms`);
  // What waits on its way grows older: more than one ping's interval cannot hide it.
  proxy.delayMs = 60;
  await asked(links, 'b', 3, nowMs() - 40);
  t.ok(ages[1]! >= 90, `${ages[1]} ms`);
});

t.test('a partition or protocol that does not exist reaches no handler', async (t) => {
  const { port } = await serve(t, { submit: () => t.fail('it was submitted') });
  const { links, connected } = linksTo(t, port);
  await connected();
  t.equal(await asked(links, 'a', 12), 'not owner');
  const refused = new Promise((resolve) => {
    const outcome = {
      askedAtMs: 0,
      answered: resolve,
      refused: resolve,
      notOwner: () => resolve(''),
      lost: () => resolve(''),
    };
    t.ok(links.ask('b', 1, 16, marked('{}'), nowMs(), outcome));
  });
  t.equal(await refused, Reason.systemError);
  t.equal(await links.withdraw('b', 12, Protocol.native, marked('a')), false);
});

t.test('a withdrawal is acknowledged once it is done, and an id is passed on', async (t) => {
  const withdrawn: string[] = [];
  const learnt: number[][] = [];
  const { port } = await serve(t, {
    withdraw: async (partition, protocol, body) => {
      withdrawn.push(`${partition} ${protocol} ${textOf(body)}`);
      if (withdrawn.length === 2) throw new Error('not now');
      return true;
    },
    learn: (...hash) => learnt.push(hash),
  });
  const { links, connected } = linksTo(t, port);
  t.equal(await links.withdraw('b', 5, Protocol.native, marked('early')), false, 'not connected yet');
  t.equal(await links.withdraw('x', 5, Protocol.native, marked('early')), false, 'an unknown engine');
  await connected();
  links.gossip(0xffffffff, 1, 11);
  t.equal(await links.withdraw('b', 5, Protocol.native, marked('w')), true);
  t.equal(await links.withdraw('b', 5, Protocol.native, marked('w2')), false);
  t.same(withdrawn, ['5 1 w', '5 1 w2']);
  t.same(learnt, [[0xffffffff, 1, 11]]);
});

t.test('a call brings back its result, its error, or a time-out', async (t) => {
  const { port } = await serve(t, {
    call: async (method, payload, from) => {
      if (method === 'never') return new Promise(() => undefined);
      if (method === 'fail') throw new Error('no such account');
      if (method === 'long') return 'x'.repeat(2 ** 21);
      return { method, payload, from };
    },
  });
  const { links, connected } = linksTo(t, port);
  await t.rejects(links.call('b', 'books', null, 1000), { message: /not connected/ });
  await connected();
  t.same(await links.call('b', 'books', { ids: [1] }, 1000), { method: 'books', payload: { ids: [1] }, from: 'a' });
  await t.rejects(links.call('b', 'fail', null, 1000), { message: 'engine b: no such account' });
  await t.rejects(links.call('b', 'long', null, 1000), { message: /longer than a call may bring back/ });
  await t.rejects(links.call('b', 'books', 'x'.repeat(2 ** 21), 1000), { message: /longer than a call may be/ });
  await t.rejects(links.call('b', 'never', null, 20), { message: /within 20 ms/ });
  await t.rejects(links.call('x', 'books', null, 20), { message: /not connected/ });
});

t.test('an engine without a common key is refused', async (t) => {
  const { server, port } = await serve(t, {}, ['key']);
  const { links } = linksTo(t, port, ['another']);
  while (server.rejected === 0) await new Promise((resolve) => setImmediate(resolve));
  t.equal(links.isConnected('b'), false);
  t.equal(server.connections, 0);
  // One that names the right key and has another.
  const { hint } = new PeerKeys(['key']);
  const pskCallback = () => ({ psk: Buffer.alloc(32), identity: hint });
  const socket = connect({ ...peerTls, host: '127.0.0.1', port, checkServerIdentity: () => undefined, pskCallback });
  await t.rejects(once(socket, 'secureConnect'));
});

t.test('engines talk while a key is replaced on one after the other', async (t) => {
  for (const [ours, theirs] of [
    [['new', 'old'], ['old']],
    [['old'], ['new', 'old']],
    [['new', 'old'], ['new']],
    [
      ['new', 'old'],
      ['new', 'old'],
    ],
  ] as const) {
    const { port } = await serve(t, { call: async () => 'here' }, theirs);
    const { links, connected } = linksTo(t, port, ours);
    await connected();
    t.equal(await links.call('b', 'who', null, 1000), 'here', `${ours} to ${theirs}`);
    links.close();
  }
});

t.test('no certificate, no TLS without a key, and no key in the hint', async (t) => {
  const { port } = await serve(t);
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  await t.rejects(once(socket, 'secureConnect'));
  const { hint } = new PeerKeys(['secret', 'older secret']);
  t.match(hint, /^[0-9a-f]{8},[0-9a-f]{8}$/);
  t.throws(() => new PeerKeys([]), { message: /PEER_KEY has 0 keys/ });
});

t.test('an engine that now has the address of another one is not taken for it', async (t) => {
  const { server, port } = await serve(t);
  const links = new PeerLinks({ keys: ['key'], selfId: 'a', nowMs, log, lookMs });
  t.teardown(() => links.close());
  links.setPeers([{ id: 'c', host: '127.0.0.1', port }]);
  while (server.rejected === 0) await new Promise((resolve) => setImmediate(resolve));
  t.equal(links.isConnected('c'), false);
});

t.test('what was asked is lost when the connection breaks, and a new connection is made', async (t) => {
  let waiter: PeerWaiter | undefined;
  const { port } = await serve(t, {
    submit: (_partition, _protocol, _body, taken) => {
      if (waiter !== undefined) return taken.answer(answersOf('second'), 0);
      waiter = taken;
      arrived();
    },
  });
  let arrived: () => void = () => undefined;
  const here = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const proxy = await TcpProxy.start(port);
  t.teardown(() => proxy.close());
  const { links, connected } = linksTo(t, proxy.port);
  await connected();
  const first = asked(links, 'a');
  await here;
  proxy.drop();
  t.equal(await first, 'lost');
  t.equal(await asked(links, 'a'), 'not sent');
  await connected();
  t.equal(await asked(links, 'a'), 'answered 8 0 second');
  t.match([waiter!.isSettled, waiter!.isRefused], [true, false], 'as a client that has gone');
  waiter!.answer(answersOf('late'), 0);
  t.equal([...links.links][0]!.lost, 1);
});

for (const direction of ['toService', 'toClient'] as const) {
  t.test(`a connection that passes nothing ${direction} is noticed by both ends`, async (t) => {
    const { server, port } = await serve(t, { submit: () => undefined });
    const proxy = await TcpProxy.start(port);
    t.teardown(() => proxy.close());
    const { links, connected, lost } = linksTo(t, proxy.port);
    await connected();
    const outcome = asked(links, 'a');
    proxy.silence(direction);
    t.equal(await outcome, 'lost');
    await lost();
    while (server.connections > 0) await new Promise((resolve) => setImmediate(resolve));
    proxy.heal();
    await connected();
  });
}

t.test('an engine that reads nothing is asked no more than a bound', async (t) => {
  const { port } = await serve(t, { submit: () => undefined });
  const proxy = await TcpProxy.start(port);
  t.teardown(() => proxy.close());
  const { links, connected } = linksTo(t, proxy.port);
  await connected();
  proxy.stall();
  const body = Buffer.alloc(bodyBytesMax);
  const outcomes = [];
  while (outcomes.length < 1000) {
    const outcome = asked(links, body);
    outcomes.push(outcome);
    if ((await Promise.race([outcome, null])) === 'not sent') break;
  }
  const sent = outcomes.length - 1;
  t.ok(sent * bodyBytesMax <= queueBytesMax + 2 * bodyBytesMax, `${sent} messages of 64 KiB waited`);
  links.gossip(1, 2, 3);
  t.equal([...links.links][0]!.gossipDropped, 1);
  t.equal((await Promise.all(outcomes)).filter((outcome) => outcome === 'lost').length, sent);
});

/** An engine's asking end, by hand. */
async function rawClient(port: number): Promise<TLSSocket> {
  const keys = new PeerKeys(['key']);
  const pskCallback = (hint: string | null) => keys.shared(hint);
  const socket = connect({ ...peerTls, host: '127.0.0.1', port, checkServerIdentity: () => undefined, pskCallback });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  return socket;
}

t.test('an engine that asks and reads no answer is bounded: it is read no more, then closed', async (t) => {
  let submitted = 0;
  const answer = answersOf('x'.repeat(2000));
  const { server, port } = await serve(t, {
    submit: (_partition, _protocol, _body, waiter) => {
      submitted++;
      waiter.answer(answer, 0);
    },
  });
  const socket = await rawClient(port);
  socket.pause();
  const frames = new FrameWriter();
  frames.hello('slow', 'b');
  for (let index = 0; index < 50_000; index++) frames.ask(index, 1, Protocol.native, 0, marked('a'));
  socket.write(frames.take());
  while (server.connections === 0) await new Promise((resolve) => setImmediate(resolve));
  while (server.connections > 0) await new Promise((resolve) => setImmediate(resolve));
  // Bytes in the kernel's buffers come on top.
  t.ok(submitted * 2000 < queueBytesMax + 16 * 1024 * 1024, `${submitted} answers were made`);
  t.ok(submitted < 50_000);
  socket.destroy();
});

/** Frames that an engine may send, with anything in them. */
const anyFrame = fc.tuple(fc.integer({ min: 0, max: 14 }), fc.uint8Array({ maxLength: 200 })).map(([kind, payload]) => {
  const frames = new FrameWriter();
  frames.bytes.set(payload, frames.begin(kind, payload.length));
  return frames.take();
});
const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc.array(anyFrame, { maxLength: 8 }).map((frames) => Buffer.concat(frames)),
);

t.test('engines of two releases talk as long as both speak a version', async (t) => {
  const only = (version: number): PeerVersions => ({ oldest: version, newest: version });
  const submit: PeerHandlers['submit'] = (_partition, _protocol, _body, waiter) => waiter.answer(answersOf('yes'), 0);
  for (const [asker, answerer] of [
    [{ oldest: 1, newest: 2 }, only(1)],
    [only(1), { oldest: 1, newest: 2 }],
    [{ oldest: 1, newest: 3 }, only(1)],
    [
      { oldest: 2, newest: 3 },
      { oldest: 1, newest: 2 },
    ],
  ] as const) {
    const { port } = await serve(t, { submit }, ['key'], answerer);
    const { links, connected } = linksTo(t, port, ['key'], asker);
    await connected();
    t.equal(await asked(links, 'a'), 'answered 8 0 yes', `${JSON.stringify(asker)} asks ${JSON.stringify(answerer)}`);
  }
  const { server, port } = await serve(t, { submit }, ['key'], only(1));
  const { links } = linksTo(t, port, ['key'], { oldest: 2, newest: 3 });
  await until('both versions are refused', () => server.rejected >= 2);
  t.equal(links.isConnected('b'), false);
});

t.test(
  'a message takes its trace along to an engine that knows how, and goes without it to an older one',
  async (t) => {
    const trace: TraceParent = { traceId: 'ab'.repeat(16), spanId: 'cd'.repeat(8), isSampled: true };
    for (const [versions, expected] of [
      [peerVersions, trace],
      [{ oldest: 1, newest: 1 }, null],
    ] as const) {
      let [continued, wasRefused]: [TraceParent | null, boolean] = [null, false];
      const traces: HopTraces = {
        answered: (parent) => {
          continued = parent;
        },
        refused: () => {
          wasRefused = true;
        },
      };
      const submit: PeerHandlers['submit'] = (_partition, _protocol, body, waiter) => {
        if (textOf(body) === 'refuse') waiter.refuse(Reason.overloaded);
        else waiter.answer(answersOf(textOf(body)), 0);
      };
      const { port } = await serve(t, { submit }, ['key'], versions, traces);
      const { links, connected } = linksTo(t, port);
      await connected();
      t.equal(await asked(links, 'plain'), 'answered 8 0 plain');
      t.equal(continued, null, 'a message without a trace has no span');
      t.equal(await asked(links, 'traced', 3, nowMs(), trace), 'answered 8 0 traced');
      t.same(continued, expected, `version ${versions.newest}`);
      t.equal(await asked(links, 'refuse', 3, nowMs(), trace), `refused ${Reason.overloaded}`);
      t.equal(wasRefused, expected !== null);
    }
  },
);

t.test('the answering end survives any bytes, and answers others meanwhile', async (t) => {
  const { server, port } = await serve(t, {
    submit: (_partition, _protocol, body, waiter) =>
      waiter.answer(answersOf(Buffer.from(textOf(body)).toString('hex').slice(0, 200)), 0),
    call: async () => 'here',
  });
  const { links, connected } = linksTo(t, port);
  await connected();
  await fc.assert(
    fc.asyncProperty(fc.boolean(), anyBytes, async (greets, bytes) => {
      const socket = await rawClient(port);
      const frames = new FrameWriter();
      if (greets) frames.hello('stray', 'b');
      const ended = once(socket, 'close');
      socket.resume();
      socket.end(Buffer.concat([frames.take(), bytes]));
      await ended;
      return (await links.call('b', 'who', null, 5000)) === 'here';
    }),
    runs(200),
  );
  t.equal(await asked(links, 'a'), 'answered 8 0 61');
  t.ok(server.rejected > 0);
});

t.test('the asking end survives any bytes, and connects again', async (t) => {
  let bytes = Buffer.alloc(0);
  const keys = new PeerKeys(['key']);
  const server = createServer(
    { ...peerTls, pskIdentityHint: keys.hint, pskCallback: (_socket, identity) => keys.named(identity) },
    (socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => {
        const welcome = new FrameWriter();
        welcome.empty(PeerFrame.welcome);
        socket.end(Buffer.concat([welcome.take(), bytes]));
      });
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  await fc.assert(
    fc.asyncProperty(anyBytes, async (drawn) => {
      bytes = drawn;
      let wasConnected = false;
      await new Promise<void>((resolve) => {
        const changed = () => {
          if (links.isConnected('b')) {
            wasConnected = true;
            void asked(links, 'a').then(() => resolve());
          }
        };
        const links = new PeerLinks({ keys: ['key'], selfId: 'a', nowMs, log, changed, lookMs });
        links.setPeers([{ id: 'b', host: '127.0.0.1', port }]);
        t.teardown(() => links.close());
      });
      return wasConnected;
    }),
    runs(100),
  );
});

t.test('connections that never finish their handshake are closed, and engines connect then', async (t) => {
  const { server, port } = await serve(t, {});
  const hello = Buffer.from([0x16, 3, 1, 0x40, 0]);
  const closed = Array.from({ length: 300 }, (_, index) => {
    const socket = connectTcp({ port, host: '127.0.0.1' }).on('error', () => undefined);
    if (index % 2 === 0) socket.write(hello);
    return new Promise((resolve) => socket.once('close', resolve));
  });
  await Promise.all(closed);
  t.ok(server.rejected > 0);
  const { connected } = linksTo(t, port);
  await connected();
});

t.test('frames are cut alike, however their bytes are split', async (t) => {
  const trace: TraceParent = { traceId: 'ab'.repeat(16), spanId: 'cd'.repeat(8), isSampled: false };
  const frames = fc.array(
    fc.oneof(
      fc.uint8Array({ minLength: markBytes, maxLength: 300 }).map((body) => ({ kind: PeerFrame.ask, body })),
      fc.uint8Array({ minLength: markBytes, maxLength: 300 }).map((body) => ({ kind: PeerFrame.withdraw, body })),
      fc.uint8Array({ minLength: markBytes, maxLength: 300 }).map((body) => ({ kind: PeerFrame.askTraced, body })),
    ),
    { maxLength: 10 },
  );
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (sent, cuts) => {
      const writer = new FrameWriter();
      for (const [index, { kind, body }] of sent.entries()) {
        if (kind === PeerFrame.ask) writer.ask(index, 7, 1, 0.5, body);
        else if (kind === PeerFrame.askTraced) writer.askTraced(index, 7, 1, 0.5, trace, body);
        else writer.withdraw(index, 7, 1, body);
      }
      const taken: string[] = [];
      const reader = new FrameReader((kind, bytes, start, end) =>
        taken.push(`${kind} ${bytes.readUInt32LE(start)} ${bytes.toString('hex', start, end)}`),
      );
      const bytes = writer.take();
      for (let at = 0, cut = 0; at < bytes.length; cut++) {
        const size = cuts[cut % cuts.length]!;
        reader.push(bytes.subarray(at, at + size));
        at += size;
      }
      t.equal(taken.length, sent.length);
      for (const [index, { kind, body }] of sent.entries()) {
        if (!taken[index]!.startsWith(`${kind} ${index} `)) return false;
        if (!taken[index]!.endsWith(Buffer.from(body).toString('hex'))) return false;
      }
      return true;
    }),
    runs(300),
  );
});

t.test('a length out of its bounds is refused before memory is taken for it', async (t) => {
  const head = Buffer.alloc(5);
  for (const [kind, length] of [
    [PeerFrame.ask, 2 ** 31],
    [PeerFrame.ask, bodyBytesMax + 100],
    [PeerFrame.ask, 20],
    [PeerFrame.call, 2 ** 32 - 1],
    [PeerFrame.ping, 0],
    [0, 1],
    [255, 1],
  ] as const) {
    head.writeUInt32LE(length, 0);
    head[4] = kind;
    const reader = new FrameReader(() => t.fail('a frame was taken'));
    t.throws(() => reader.push(head), { name: 'PeerProtocolError' });
  }
});

t.test('the time of each ping to its pong is counted, also behind a connection that broke', async (t) => {
  const { port } = await serve(t);
  const links = new PeerLinks({ keys: ['key'], selfId: 'a', nowMs, log, lookMs });
  t.teardown(() => links.close());
  const proxy = await TcpProxy.start(port);
  t.teardown(() => proxy.close());
  links.setPeers([{ id: 'b', host: '127.0.0.1', port: proxy.port }]);
  await until('some are counted', async () => links.roundTrips.count >= 5);
  proxy.drop();
  const { count } = links.roundTrips;
  await until('more are counted', async () => links.roundTrips.count >= count + 5);
  t.ok(links.roundTrips.sum > 0);
});
