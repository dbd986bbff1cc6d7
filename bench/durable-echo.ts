/**
 * The second control: a bare uWebSockets.js server that writes each body to a file, makes it durable and sends it back,
 * and decides nothing. One thread writes and syncs what came during the last sync, as the engine's journal does. What
 * it reaches is the smallest honest durable answer of a machine.
 *
 * A process of its own: `node dist/bench/durable-echo.js`, CONTROL_PORT (0: any free port), CONTROL_FILE (the file to
 * write), prints `listening <port>`.
 */

import uWS, { type HttpResponse } from 'uWebSockets.js';
import { Worker } from 'node:worker_threads';
import { requestGate, slotBytes } from './durable-echo-gate.js';

const host = '127.0.0.1';
const { CONTROL_PORT, CONTROL_FILE } = process.env;
if (CONTROL_FILE === undefined) throw new Error('CONTROL_FILE is not set: name the file to write');
/** A fifth of the engine's largest body; the load's messages have a few hundred bytes. */
const bodyBytesMax = 12 * 1024;

interface Waiting {
  readonly response: HttpResponse;
  readonly body: Buffer;
  isOpen: boolean;
}

const gate = requestGate();
const worker = new Worker(new URL('./durable-echo.worker.js', import.meta.url), {
  workerData: { shared: gate.shared, file: CONTROL_FILE },
});
let gathering: Waiting[] = [];
let syncing: Waiting[] = [];
let isTurnOver = false;

/** Hands everything that waits to the syncer, at most a slab at once. */
function send(): void {
  isTurnOver = false;
  if (syncing.length > 0 || gathering.length === 0) return;
  let length = 0;
  let count = 0;
  for (const { body } of gathering) {
    if (length + body.length > slotBytes) break;
    gate.bytes.set(body, length);
    length += body.length;
    count++;
  }
  syncing = gathering.slice(0, count);
  gathering = gathering.slice(count);
  gate.hand(length);
}

worker.on('message', () => {
  const answered = syncing;
  syncing = [];
  // The next batch goes to the disk while this one is answered.
  send();
  for (const { response, body, isOpen } of answered) {
    if (isOpen) response.cork(() => void response.writeHeader('content-type', 'application/json').end(body));
  }
});
worker.on('error', (error) => {
  process.stderr.write(`durable echo: ${error.message}\n`);
  process.exit(1);
});

function receive(waiting: Waiting): void {
  gathering.push(waiting);
  if (isTurnOver || syncing.length > 0) return;
  isTurnOver = true;
  setImmediate(send);
}

uWS
  .App()
  .post('/*', (response) => {
    const waiting = { response, body: Buffer.alloc(0), isOpen: true };
    response.onAborted(() => {
      waiting.isOpen = false;
    });
    response.onData((chunk, isLast) => {
      if (!waiting.isOpen) return;
      // The chunk is detached when this callback ends.
      waiting.body = Buffer.concat([waiting.body, new Uint8Array(chunk)]);
      if (waiting.body.length > bodyBytesMax) response.close();
      else if (isLast) receive(waiting);
    });
  })
  .listen(host, Number(CONTROL_PORT ?? 0), (socket) => {
    if (socket === false) {
      process.stderr.write(`durable echo: cannot listen on ${host}:${CONTROL_PORT}\n`);
      process.exit(1);
    }
    process.stdout.write(`listening ${uWS.us_socket_local_port(socket)}\n`);
  });

// As the echo's: when the pipe from its parent closes, the control has no purpose left.
if (process.argv.includes('--tethered')) process.stdin.on('end', () => process.exit(0)).resume();
