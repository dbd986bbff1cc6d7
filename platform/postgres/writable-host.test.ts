/** Which server a URL with several hosts leads to, and what happens when that changes. */
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import postgres from 'postgres';
import t, { type Test } from 'tap';
import { findFreePort } from '../../deploy/free-port.js';
import { createTestDatabase } from '../../deploy/testing/test-database.js';
import { TcpProxy } from '../../engine/testing/tcp-proxy.js';
import { BoundedConnections } from './bounded-connections.js';
import { connectPostgres, hostsProblem } from './connect.js';
import { isConnectionError } from './driver-errors.js';

const quick = { max: 1, onnotice: () => undefined, fetch_types: false };
const attribute = 'target_session_attrs=read-write';

/** Servers by port, and a URL that names them all. */
function urlOf(url: string, ports: readonly number[]): string {
  const host = new URL(url).host;
  return `${url.replace(host, ports.map((port) => `127.0.0.1:${port}`).join(','))}?${attribute}`;
}

async function portOf(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** A database that can be made read-only for the connections to come. */
async function stage(t: Test) {
  const database = await createTestDatabase({ migrated: false });
  const sql = postgres(database.url, quick);
  t.teardown(async () => {
    await sql.end({ timeout: 1 });
    await database.close();
  });
  const name = new URL(database.url).pathname.slice(1);
  const setReadOnly = (value: 'on' | 'off') =>
    sql.unsafe(`alter database ${name} set default_transaction_read_only = ${value}`);
  return { url: database.url, port: Number(new URL(database.url).port), setReadOnly };
}

t.test('a server that is gone, and one that is silent, are passed over', async (t) => {
  const { url, port } = await stage(t);
  const silent = createServer(() => undefined);
  t.teardown(() => silent.close());
  const silentPort = await portOf(silent);
  const startedMs = performance.now();
  const sql = connectPostgres(urlOf(url, [await findFreePort(), silentPort, port]), quick);
  t.teardown(() => sql.end({ timeout: 1 }));
  t.same([...(await sql`select 1 as one`)], [{ one: 1 }]);
  t.ok(performance.now() - startedMs < 2000, 'sooner than a silent server is given up');
});

t.test('where no server takes writes each query fails soon with the reason of each, until one does', async (t) => {
  const { url, port, setReadOnly } = await stage(t);
  await setReadOnly('on');
  const gone = await findFreePort();
  const sql = connectPostgres(urlOf(url, [gone, port]), quick);
  t.teardown(() => sql.end({ timeout: 1 }));
  // More often than the pool has connections: none of them may be lost by a failure.
  for (let attempt = 0; attempt < 4; attempt++) {
    const error = await sql`select 1`.then(
      () => null,
      (reason: Error) => reason,
    );
    t.match(
      error?.message,
      new RegExp(`no server of DATABASE_URL takes writes .*:${gone}: .*; .*:${port}: is read-only`),
    );
    t.ok(isConnectionError(error), 'a caller takes it for a lost connection');
  }
  await setReadOnly('off');
  t.same([...(await sql`select 1 as one`)], [{ one: 1 }]);
});

t.test('connections to a server that has become read-only are given up, those that only read too', async (t) => {
  const { url, port } = await stage(t);
  // What is connected to the first stays so when it takes no more connections.
  const first = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const socket of [near, far]) socket.on('error', () => undefined);
    near.pipe(far).pipe(near);
  });
  const second = await TcpProxy.start(port);
  t.teardown(() => second.close());
  const both = urlOf(url, [await portOf(first), second.port]);
  second.cut();
  const writer = new BoundedConnections(both, quick);
  const reader = connectPostgres(both, quick);
  t.teardown(() => Promise.all([writer.close(), reader.end({ timeout: 1 })]));
  await writer.run(5000, (sql) => sql`create table written (at integer)`);
  const pidOf = async () => (await reader<{ pid: number }[]>`select pg_backend_pid() as pid`)[0]!.pid;
  const before = await pidOf();

  // Its writes fail from now on, as on a server that was made a standby.
  await writer.run(5000, (sql) => sql`set default_transaction_read_only = on`);
  await t.rejects(
    writer.run(5000, (sql) => sql`insert into written values (1)`),
    { code: '25006' },
  );
  second.heal();
  first.close();
  await writer.run(5000, (sql) => sql`insert into written values (2)`);
  await reader`select 1`.catch(() => undefined);
  t.not(await pidOf(), before, 'the reader has another session');
});

t.test('a URL is refused that asks for another server than the one to write to', async (t) => {
  t.equal(hostsProblem('postgres://u:p@a:1,b/books?target_session_attrs=primary'), '');
  t.equal(hostsProblem('postgres://u:p@[::1]:5432,b/books'), '');
  t.match(hostsProblem('postgres://u:p@a,b/books?target_session_attrs=any'), /must be read-write or primary/);
  t.match(hostsProblem('postgres://u:p@a,,b/books'), /a host has no name/);
});
