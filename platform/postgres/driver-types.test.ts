/**
 * Connections that end while they are being made: the caller gets the error, and nothing is left behind that ends a
 * process.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import postgres from 'postgres';
import t from 'tap';
import { databaseFor } from '../../deploy/testing/for-test.js';
import { knownTypes } from './driver-types.js';

t.test('arrays arrive as they were sent', async (t) => {
  const database = await databaseFor(t);
  const sql = postgres(database.url, { max: 1, ...knownTypes });
  t.teardown(() => sql.end());
  const texts = ['', 'plain', 'a "quoted" one', 'back\\slash', '{1,2}', 'NULL', 'ü💳', 'line\nbreak'];
  const numbers = [0, -1, Number.MAX_SAFE_INTEGER];
  const [row] = await sql`select to_json(${texts}::text[]) as texts, to_json(${numbers}::bigint[]) as numbers,
    to_json(${[] as string[]}::text[]) as none`;
  t.same(row, { texts, numbers, none: [] });
  t.equal((await sql`select 1 from (values ('plain')) as v (word) where word = any(${texts})`).length, 1);
});

t.test('a server that disconnects on the first query leaves no rejection unhandled', async (t) => {
  const ready = Buffer.concat([message('R', Buffer.alloc(4)), message('Z', Buffer.from('I'))]);
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write(ready);
      socket.once('data', () => socket.end());
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown) => unhandled.push(reason);
  process.on('unhandledRejection', onUnhandled);
  t.teardown(() => process.off('unhandledRejection', onUnhandled));
  const { port } = server.address() as AddressInfo;
  const sql = postgres(`postgres://user@127.0.0.1:${port}/none`, { max: 1, ...knownTypes });
  await t.rejects(sql`select 1`, { code: 'CONNECTION_CLOSED' });
  await sql.end({ timeout: 0 });
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.same(unhandled, []);
});

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 'latin1');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}
