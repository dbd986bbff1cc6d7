/**
 * How many connections a port takes, of whom, and what a start says when there are too few file descriptors for them.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { readEngineConfig } from '../../engine/config.js';
import { engineEnvironment, enginePlace, startEngineProcess, until } from '../../engine/testing/engine-process.js';
import { IdleConnections } from '../../engine/testing/idle-connections.js';
import { addressOf, boundConnections, ConnectionGate } from './connection-gate.js';
import { connectionBounds } from './descriptors.js';

t.test('the bounds fit the limit of open files, or the start says what to raise', async (t) => {
  const given = { limit: 20_000, reserve: 500, variable: 'AUTH_CONNECTIONS_MAX', max: undefined };
  const bounds = { ...given, perAddressMax: undefined };
  t.same(connectionBounds(bounds), { max: 19_500, perAddressMax: 14_625 });
  t.same(connectionBounds({ ...bounds, limit: Number.POSITIVE_INFINITY }).max, 65_536);
  t.same(connectionBounds({ ...bounds, max: 10, perAddressMax: 4 }), { max: 10, perAddressMax: 4 });
  t.same(connectionBounds({ ...bounds, max: 10, perAddressMax: 40 }), { max: 10, perAddressMax: 10 });
  t.throws(() => connectionBounds({ ...bounds, limit: 520 }), {
    name: 'ConfigError',
    message: /limit of open files is 520.* raise the limit to 532 /,
  });
  t.throws(
    () => connectionBounds({ ...bounds, max: 19_501 }),
    /AUTH_CONNECTIONS_MAX=19501.* 20001 .*or lower AUTH_CONNECTIONS_MAX/,
  );
  const environment = engineEnvironment({ databaseUrl: 'postgres://x', dataDir: 'x', authPort: 1, opsPort: 2 });
  const { authConnections, opsConnections } = readEngineConfig(environment, 2, 20_000);
  t.ok(
    authConnections.max >= 10_000 && authConnections.perAddressMax >= 10_000,
    '10,000 connections of one address fit',
  );
  t.equal(opsConnections.max, 1024);
  t.same(readEngineConfig(environment, 2, 1024).opsConnections.max, 64, 'fewer descriptors permit fewer connections');
  t.throws(() => readEngineConfig(environment, 2, 200), { name: 'ConfigError' });
});

t.test('a client is its IPv4 address in any notation, or the network of its IPv6 address', async (t) => {
  const spellings = {
    '127.0.0.1': '127.0.0.1',
    '::ffff:10.0.0.7': '10.0.0.7',
    '0000:0000:0000:0000:0000:ffff:0a00:0007': '10.0.0.7',
    '2001:db8:1:2:3:4:5:6': '2001:db8:1:2::/64',
    '2001:0db8:0001:0002:0000:0000:0000:0001': '2001:db8:1:2::/64',
    '2001:db8::1': '2001:db8:0:0::/64',
    'fe80::1%eth0': 'fe80:0:0:0::/64',
  };
  for (const [spelling, address] of Object.entries(spellings)) t.equal(addressOf(spelling), address);
});

t.test('the first and the last refusal of a series are logged, and a failed accept stops no later one', async (t) => {
  const lines: object[] = [];
  const log = { warn: (fields: object, message: string) => lines.push({ ...fields, message }) };
  const gate = new ConnectionGate('test', { max: 3, perAddressMax: 2 }, log);
  const server = createServer();
  boundConnections(server, gate);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const first = await IdleConnections.open({ port, count: 4, from: '127.0.0.2' });
  await until('two of one address stay', () => first.open === 2);
  const second = await IdleConnections.open({ port, count: 4, from: '127.0.0.3' });
  await until('three of all stay', () => second.open === 1);
  t.same([gate.open, gate.refusedByAddress, gate.refusedByPort, gate.addresses], [3, 2, 3, 2]);
  first.close();
  second.close();
  await until('all have left', () => gate.open === 0);
  t.equal(gate.addresses, 0, 'closed connections leave no memory');
  server.emit('error', Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' }));
  t.equal(gate.notAccepted, 1);
  await until('the end of the spell is logged', () => lines.length === 2, 20_000);
  t.match(lines, [{ port: 'test', message: 'connections are being refused' }, { count: 6 }]);
});

t.test('a start without enough file descriptors ends with one line that says what to raise', async (t) => {
  const place = await enginePlace('postgres://missing@127.0.0.1:1/nothing', t.testdir());
  const engine = startEngineProcess(place, {}, 200);
  await t.rejects(engine, /engine: the limit of open files is 200; .* raise the limit to \d+ or more \(ulimit -n/);
});

t.test('a port that must answer closes its oldest connection for a new one, of the same address first', async (t) => {
  const gate = new ConnectionGate('test', { max: 3, perAddressMax: 2 }, { warn: () => undefined });
  const server = createServer();
  boundConnections(server, gate, 'close-oldest');
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const open = async (from: string, count: number) => {
    const idle = await IdleConnections.open({ port, count, from });
    t.teardown(() => idle.close());
    return idle;
  };
  const first = await open('127.0.0.2', 1);
  await until('it is there', () => gate.open === 1);
  const flood = await open('127.0.0.3', 10);
  await until('the flood has pushed out its own', () => flood.open === 2 && gate.displaced === 8);
  t.equal(first.open, 1, 'the other address keeps its connection');
  const third = await open('127.0.0.4', 1);
  await until('the oldest of all leaves a full port', () => first.open === 0);
  t.same([gate.open, gate.addresses, third.open, flood.open], [3, 2, 1, 2]);
  for (const idle of [flood, third]) idle.close();
  await until('all have left', () => gate.open === 0 && gate.addresses === 0);
});
