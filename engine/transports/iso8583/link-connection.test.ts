/** A link's connections against the clock: what a peer may leave unfinished, and when it gets an echo. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { Framing } from '../../protocols/iso8583/framing.js';
import { readLinkSettings } from '../../protocols/iso8583/link-settings.js';
import { Packager } from '../../protocols/iso8583/packager.js';
import { until } from '../../testing/engine-process.js';
import { IsoClient } from '../../testing/iso-client.js';
import { LinkConnection } from './link-connection.js';
import { LinkCounts } from './link-counts.js';
import type { LinkParts, LinksOptions } from './link-options.js';
import { IsoLinks } from './links.js';

const startMs = Date.UTC(2026, 10, 28, 18, 0, 0);

/** A connection of a link without a ledger, and the socket of its peer. */
async function connected(t: Test, connectPeer: (port: number) => Socket) {
  const [settings] = readLinkSettings(
    JSON.stringify([
      {
        ...{ name: 'tested', port: 9000, idleEchoS: 30 },
        ...{ packager: { version: 1987, encoding: 'ascii' }, framing: { length: 'binary2' } },
      },
    ]),
  );
  const counts = new LinkCounts('tested');
  const troubles: string[] = [];
  const link = {
    settings: settings!,
    packager: new Packager(settings!.packager),
    framing: new Framing(settings!.framing),
    counts,
    clock: { nowMs: () => startMs },
    trouble: (_link: string, why: string) => troubles.push(why),
  } as unknown as LinkParts;
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const arrived = once(server, 'connection') as Promise<[Socket]>;
  const peer = connectPeer((server.address() as { port: number }).port);
  const [socket] = await arrived;
  t.teardown(() => {
    peer.destroy();
    socket.destroy();
    server.close();
  });
  return { connection: new LinkConnection(link, socket), socket, counts, troubles };
}

t.test('a peer that leaves a frame unfinished is closed', async (t) => {
  const { connection, socket, counts, troubles } = await connected(t, (port) => {
    const peer = connect(port, '127.0.0.1');
    peer.write(Uint8Array.of(0, 200, 0x30));
    return peer;
  });
  await until('the bytes have come', () => socket.bytesRead === 3);
  connection.look(startMs + 10_000);
  t.equal(socket.destroyed, false);
  connection.look(startMs + 10_001);
  t.equal(socket.destroyed, true);
  t.same([counts.slow, troubles], [1, ['a frame was not whole in time']]);
});

t.test('a silent peer gets an echo, and is closed where it does not answer', async (t) => {
  let client: IsoClient | undefined;
  const { connection, socket, counts } = await connected(t, (port) => {
    client = new IsoClient({ port });
    return client.socket;
  });
  const others = client!.others;
  connection.look(startMs + 29_999);
  connection.look(startMs + 30_000);
  connection.look(startMs + 31_000);
  await until('the echo comes', () => others.length > 0);
  t.match(others, [{ mti: '0800', 7: '1128180030', 70: '301' }]);
  client!.socket.write(client!.frame({ ...others[0]!, mti: '0810', 39: '00' }));
  await until('its answer comes', () => socket.bytesRead > 0);
  connection.look(startMs + 31_001);
  await until('the next echo comes', () => others.length > 1);
  connection.look(startMs + 41_002);
  t.equal(socket.destroyed, true, 'it did not answer the second one');
  t.equal(counts.slow, 1);
});

t.test('a peer that does not take its answers is not read from, and is closed in time', async (t) => {
  const { connection, socket, counts, troubles } = await connected(t, (port) => connect(port, '127.0.0.1').pause());
  // More than the buffers of both ends hold.
  const block = Buffer.alloc(1 << 20);
  for (let count = 0; count < 16; count++) socket.write(block);
  await until('the peer is full', () => socket.writableLength > 0);
  connection.look(startMs + 1);
  connection.look(startMs + 10_001);
  t.equal(socket.destroyed, false);
  connection.look(startMs + 10_002);
  t.equal(socket.destroyed, true);
  t.same([counts.slow, troubles], [1, ['the peer does not take its answers']]);
});

t.test('a link whose certificate cannot be used is refused in one line that names it', async (t) => {
  const link = {
    ...{ name: 'east', port: 9000 },
    ...{ packager: { version: 1987, encoding: 'ascii' }, framing: { length: 'binary2' } },
  };
  const thisFile = new URL(import.meta.url).pathname;
  for (const certFile of ['/absent/cert.pem', thisFile]) {
    const settings = readLinkSettings(JSON.stringify([{ ...link, tls: { certFile, keyFile: thisFile } }]));
    const message = /^ISO8583_LINKS: the tls files of link east cannot be used: .+$/;
    const log = { warn: () => undefined };
    const finder = { find: () => undefined };
    t.throws(() => new IsoLinks(settings, {} as LinksOptions, finder, log), { message, name: 'ConfigError' });
  }
});
