/** A PostgreSQL that is too old, as far as a program of ours comes with it: it says its version and has no table. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

export interface OldPostgres {
  readonly url: string;
  close(): Promise<void>;
}

/** What the driver asks of every connection, and a ping: answered with no row. */
const harmless = /^\s*select (1$|b\.oid)/;

/** @param version as in server_version_num */
export async function startOldPostgres(version: number): Promise<OldPostgres> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write(Buffer.concat([message('R', integer(0)), ready]));
      socket.on('data', (data) => answer(socket, data, version));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `postgres://user@127.0.0.1:${(server.address() as AddressInfo).port}/books`,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Messages of one write of the driver arrive together. */
function answer(socket: Socket, data: Buffer, version: number): void {
  for (let at = 0; at < data.length; at += data.readInt32BE(at + 1) + 1) {
    const type = String.fromCharCode(data[at]!);
    const body = data.toString('utf8', at + 5, at + 1 + data.readInt32BE(at + 1));
    if (type === 'Q') socket.write(Buffer.concat([/server_version_num/.test(body) ? rowOf(version) : unknown, ready]));
    else if (type === 'P') socket.write(harmless.test(body.split('\0')[1]!) ? nothing : unknown);
    else if (type === 'S') socket.write(ready);
  }
}

function rowOf(version: number): Buffer {
  const text = Buffer.from(String(version));
  const column = Buffer.concat([Buffer.from('version\0'), integer(0), short(0), integer(23), short(4), integer(-1)]);
  return Buffer.concat([
    message('T', Buffer.concat([short(1), column, short(0)])),
    message('D', Buffer.concat([short(1), integer(text.length), text])),
    message('C', Buffer.from('SELECT 1\0')),
  ]);
}

function message(type: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(type), integer(body.length + 4), body]);
}

function integer(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function short(value: number): Buffer {
  return integer(value).subarray(2);
}

const ready = message('Z', Buffer.from('I'));
const unknown = message('E', Buffer.from('SERROR\0C42P01\0Mthere is no such table\0\0'));
const nothing = Buffer.concat([
  message('1', Buffer.alloc(0)),
  message('t', short(0)),
  message('n', Buffer.alloc(0)),
  message('2', Buffer.alloc(0)),
  message('C', Buffer.from('SELECT 0\0')),
]);
