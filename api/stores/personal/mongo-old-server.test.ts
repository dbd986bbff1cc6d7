/** A MongoDB-protocol server that is too old for the driver: the reason is named, not a time-out. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { BSON } from 'mongodb';
import t from 'tap';
import { quietLog, testMongodbConfig } from '../../testing/personal-stores.js';
import { MongoConnection } from './mongo-connection.js';

const headerBytes = 16;
const opReply = 1;
const opQuery = 2004;
const opMessage = 2013;

/** Answers every message as a server of MongoDB 4.0 answers `hello`. */
function answerAsOld(socket: Socket): void {
  socket.on('error', () => undefined);
  socket.on('data', (request) => {
    const document = BSON.serialize({ ok: 1, ismaster: true, maxWireVersion: 7, minWireVersion: 0 });
    const isQuery = request.readInt32LE(12) === opQuery;
    // OP_REPLY: flags, cursor, start, count. OP_MSG: flags, kind of the only section.
    const before = isQuery ? Buffer.alloc(20) : Buffer.alloc(5);
    if (isQuery) before.writeInt32LE(1, 16);
    const header = Buffer.alloc(headerBytes);
    header.writeInt32LE(headerBytes + before.length + document.length, 0);
    header.writeInt32LE(request.readInt32LE(4), 8);
    header.writeInt32LE(isQuery ? opReply : opMessage, 12);
    socket.write(Buffer.concat([header, before, document]));
  });
}

t.test('a server that is too old for the driver is named at the start and in the health answer', async (t) => {
  const server = createServer(answerAsOld);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const connection = new MongoConnection(testMongodbConfig(`mongodb://127.0.0.1:${port}/old`), quietLog);
  t.teardown(async () => {
    await connection.close();
    server.close();
  });
  await connection.start();
  t.match(connection.health(), { isUp: false, detail: /maximum wire version 7, but .* requires at least 9/ });
  await t.rejects(
    connection.run('anything', async () => 1),
    /maximum wire version 7/,
  );
});
