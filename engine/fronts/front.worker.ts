/**
 * Entry point of a front thread (`new Worker`), with FRONTS above 1. It has the authorization port's server as the main
 * thread has it with FRONTS=1: connections, authentication, bodies, answers. The ledger behind it is the main thread's.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { nameThread } from '../../platform/process/thread-times.js';
import { SharedClock } from '../clock.js';
import type { Protocol } from '../core/codes.js';
import { Counted, MessageCounts } from '../ops/message-counts.js';
import { MessageTraces } from '../ops/message-traces.js';
import { messageWarnings } from '../ops/message-warnings.js';
import { compileNextCheck, loadSchemaCompiler } from '../protocols/reading/schema.js';
import { createCodecs } from '../protocols/registry.js';
import { BasicAuth } from '../transports/http/basic-auth.js';
import { routesOf, signedRoutesOf } from '../transports/http/routes.js';
import { Server } from '../transports/http/server.js';
import { BodyBytes } from './body-bytes.js';
import { FrontLedger } from './front-ledger.js';
import type { FrontData, FrontOrder, FrontReport, FrontStep, ToFront } from './front-messages.js';
import { FrontTraces } from './front-traces.js';
import { SharedAdmission } from './shared-admission.js';
import { SharedClosing } from './shared-closing.js';
import { SharedGate } from './shared-gate.js';

/** A check is compiled while no message waits for it, as in the main thread. */
const compileTickMs = 1000;
/** A scrape counts notifications so much later at most. */
const kindsTickMs = 100;

const { number, config, clock: clockShare, ...memory } = workerData as FrontData;
const main = parentPort!;
nameThread(`front-${number}`);
// Nothing of ours is loaded from disk any more once connections compete for file descriptors.
loadSchemaCompiler();

const report = (message: FrontReport): void => main.postMessage(message);
const log = { warn: (fields: object, message: string) => report({ kind: 'log', fields, message }) };

/** Kinds of notifications are no cells: they are reported together, and a main thread that stands still gets few. */
class FrontCounts extends MessageCounts {
  readonly #kinds = new Map<string, { readonly protocol: Protocol; readonly notification: string; count: number }>();

  override notified(protocol: Protocol, notification: string): void {
    const key = `${protocol}:${notification}`;
    const counted = this.#kinds.get(key) ?? { protocol, notification, count: 0 };
    counted.count++;
    this.#kinds.set(key, counted);
  }

  reportKinds(): void {
    for (const counted of this.#kinds.values()) report({ kind: 'notified', ...counted });
    this.#kinds.clear();
  }
}

const clock = new SharedClock(clockShare);
const nowMs = () => clock.nowMs();
const counts = new FrontCounts(memory.counts);
const traces =
  config.traces.url === ''
    ? null
    : new MessageTraces(
        new FrontTraces({
          every: config.traces.every,
          hand: (ids, whole, parts) => report({ kind: 'trace', ids, whole, parts }),
          dropped: () => counts.add(Counted.tracesDropped),
        }),
        nowMs,
      );
const warnings = messageWarnings(log, nowMs);
const ledger = new FrontLedger({
  placesMax: config.maxInFlight,
  bodyBytes: new BodyBytes(memory.bodyBytes),
  post: (batch) => main.postMessage(batch, [batch]),
  schedule: setImmediate,
});
const closing = new SharedClosing(memory.closing);
const codecs = createCodecs(config);
const auth = new BasicAuth(config.processorUser, config.processorPasswords);
const server = new Server({
  host: config.host,
  port: config.authPort,
  isPortShared: true,
  closing,
  routes: routesOf(codecs),
  signedRoutes: signedRoutesOf(codecs, config.signingSecrets, auth),
  auth,
  clock,
  admission: new SharedAdmission(config.maxInFlight, memory.admission),
  gate: new SharedGate('auth', config.authConnections, log, memory.gate),
  telemetry: counts,
  traces,
  ledger,
  ...warnings,
  slow(totalMs, waitMs, runMs) {
    traces?.noteSlow();
    warnings.slow(totalMs, waitMs, runMs);
  },
  slowMs: Math.min(config.slowAuthorizationMs, config.deadlineMs),
  deadlineMs: config.deadlineMs,
});
const timers = [setInterval(compileNextCheck, compileTickMs), setInterval(() => counts.reportKinds(), kindsTickMs)];

let isClosed = false;
function close(): void {
  if (isClosed) return;
  isClosed = true;
  for (const timer of timers) clearInterval(timer);
  counts.reportKinds();
  server.close();
}

closing.opened();
// Also behind an error: Node.js aborts the process where a thread ends with a socket of uWebSockets.js.
process.on('exit', () => {
  close();
  closing.closed();
});

const steps: Readonly<Record<FrontStep, () => void | Promise<void>>> = {
  listen: () => server.listen(),
  catchUp: () => undefined,
  stopAccepting: () => server.stopAccepting(),
  close,
};

async function carryOut({ step, id }: FrontOrder): Promise<void> {
  let error = '';
  try {
    await steps[step]();
  } catch (failure) {
    error = (failure as Error).message;
  }
  report({ kind: 'done', id, error });
  // Nothing of the thread is left then, and it ends.
  if (step === 'close') main.close();
}

main.on('message', (message: ToFront) => {
  if (message instanceof ArrayBuffer) ledger.take(message);
  else void carryOut(message);
});
