/** Front threads without an engine: a ledger of the test answers what they hand over. */

import { once } from 'node:events';
import { createServer } from 'node:net';
import t, { type Test } from 'tap';
import { findFreePort } from '../../deploy/free-port.js';
import { createLog } from '../../platform/log.js';
import { SystemClock } from '../clock.js';
import { readEngineConfig } from '../config.js';
import { Reason } from '../core/reasons.js';
import { AnswerFlag, EntryStatus } from '../exchange/slab.js';
import type { Waiter } from '../ledger/waiter.js';
import { createCodecs } from '../protocols/registry.js';
import { Client, Connection, ConnectionLost } from '../testing/client.js';
import { engineEnvironment, until } from '../testing/engine-process.js';
import { FrontPool, type FrontPoolOptions } from './front-pool.js';
import { PortLock } from './port-lock.js';
import { SharedAdmission } from './shared-admission.js';
import { SharedGate } from './shared-gate.js';

interface TestPool {
  readonly pool: FrontPool;
  readonly port: number;
  readonly admission: SharedAdmission;
  /** Messages that wait for an answer. */
  readonly taken: Waiter[];
  readonly deaths: string[];
}

async function makePool(t: Test, port?: number, changes: Partial<FrontPoolOptions['config']> = {}): Promise<TestPool> {
  const authPort = port ?? (await findFreePort());
  const place = { databaseUrl: 'postgres://127.0.0.1/none', dataDir: '/tmp', authPort, opsPort: 1 };
  const config = { ...readEngineConfig(engineEnvironment(place, { FRONTS: '2' })), ...changes };
  const log = createLog('silent', 'engine');
  const admission = new SharedAdmission(config.maxInFlight);
  const taken: Waiter[] = [];
  const deaths: string[] = [];
  const pool = new FrontPool({
    config,
    log,
    clock: new SystemClock(),
    admission,
    gate: new SharedGate('auth', config.authConnections, log, SharedGate.create()),
    codecs: createCodecs(config),
    ledger: { submit: (_codec, _body, waiter) => taken.push(waiter) },
    traces: null,
    messageTraces: null,
    notified: () => undefined,
    died: (_front, error) => deaths.push(error),
  });
  t.teardown(() => pool.close());
  pool.prepare();
  return { pool, port: authPort, admission, taken, deaths };
}

function answer(waiter: Waiter, reason: Reason, text: string): void {
  const bytes = Buffer.from(text);
  const from = {
    status: Uint8Array.of(EntryStatus.decided),
    answerFlags: Uint8Array.of(reason === Reason.approved ? AnswerFlag.approved : 0),
    reason: Uint8Array.of(reason),
    answerStart: Int32Array.of(0),
    answerEnd: Int32Array.of(bytes.length),
    answer: bytes,
    sealedAtMs: waiter.arrivalMs,
    returnedAtMs: waiter.arrivalMs,
  };
  waiter.answer(from, 0);
}

const approval = '{"id":"1","approved":true,"responseTimeMs":0         }';

t.test('messages of all connections come to the ledger, and each answer goes to its own client', async (t) => {
  const { pool, port, admission, taken } = await makePool(t);
  await pool.listen();
  const connections = Array.from({ length: 16 }, () => new Connection(port));
  t.teardown(() => {
    for (const connection of connections) connection.close();
  });
  const replies = connections.map((connection) => connection.ask({ body: '{}' }));
  await until('all are handed over', () => taken.length === 16);
  t.equal(admission.count, 16);
  for (const waiter of taken) answer(waiter, Reason.approved, approval);
  t.same(new Set((await Promise.all(replies)).map(({ status }) => status)), new Set([200]));
  t.equal(admission.count, 0);
  t.equal(
    pool.counts.reduce((sum, { decisions }) => sum + decisions[Reason.approved]!, 0),
    16,
  );
});

t.test('a client that goes is settled in the main thread, and its place comes back', async (t) => {
  const { pool, port, admission, taken } = await makePool(t);
  await pool.listen();
  const connection = new Connection(port);
  const reply = connection.ask({ body: '{}' });
  await until('it is handed over', () => taken.length === 1);
  connection.close();
  await t.rejects(reply, ConnectionLost);
  await until('the ledger sees it', () => taken[0]!.isSettled);
  t.equal(taken[0]!.isRefused, false);
  t.equal(admission.count, 0);
});

t.test('a refusal behind admission reaches its client, and the ledger sees it in the waiter', async (t) => {
  const { pool, port, taken } = await makePool(t);
  await pool.listen();
  const client = new Client(port);
  t.teardown(() => client.close());
  const reply = client.ask({ body: '{}' });
  await until('it is handed over', () => taken.length === 1);
  taken[0]!.refuse(Reason.systemError);
  t.equal(taken[0]!.isRefused, true);
  t.equal((await reply).status, 503);
});

t.test('a port that another program has is an error that names it', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.teardown(() => other.close());
  const { port } = other.address() as { port: number };
  const { pool } = await makePool(t, port);
  await t.rejects(pool.listen(), /AUTH_PORT is taken/);
});

t.test('front threads share their port with no other engine', async (t) => {
  const first = await makePool(t);
  await first.pool.listen();
  const second = await makePool(t, first.port);
  await t.rejects(second.pool.listen(), /AUTH_PORT is taken/);
  await first.pool.close();
  await second.pool.listen();
});

t.test('the name of a port is free again when the probe finds the port taken', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  await t.rejects(PortLock.take('127.0.0.1', port), /AUTH_PORT is taken/);
  other.close();
  await once(other, 'close');
  (await PortLock.take('127.0.0.1', port)).release();
});

t.test('a front thread that cannot start fails the start with its error', async (t) => {
  const { pool } = await makePool(t, undefined, { processorPasswords: null as never });
  await t.rejects(pool.listen(), /front thread \d died: /);
});

t.test('a front thread that dies is reported with its error, and the pool still closes', async (t) => {
  const { pool, port, taken, deaths } = await makePool(t);
  await pool.listen();
  const connection = new Connection(port);
  const reply = connection.ask({ body: '{}' });
  await until('it is handed over', () => taken.length === 1);
  // The codec writes JSON; a front thread that finds other bytes has met an error of this program.
  answer(taken[0]!, Reason.duplicateConflict, 'no JSON');
  await t.rejects(reply, ConnectionLost);
  await until('it is reported', () => deaths.length === 1);
  t.match(deaths[0], /JSON/);
  t.equal(taken[0]!.isSettled, true);
});
