/**
 * The front threads of an engine with FRONTS above 1, as the main thread has them. It starts them, gives their messages
 * to the ledger, and passes on the steps of a stop. They serve the port together, and each has clients whose messages
 * are decided. So one that dies ends the engine, and a start replays the journal.
 */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Log } from '../../platform/log.js';
import { sourceStack } from '../../platform/process/source-stack.js';
import type { Traces } from '../../platform/tracing/traces.js';
import type { SystemClock } from '../clock.js';
import type { Ledger } from '../ledger/ledger.js';
import { MessageCounts } from '../ops/message-counts.js';
import type { MessageTraces } from '../ops/message-traces.js';
import type { Codecs } from '../protocols/registry.js';
import type { AuthorizationPort } from '../transports/http/server-options.js';
import { BodyBytes } from './body-bytes.js';
import { FrontLink } from './front-link.js';
import type { FromFront, FrontConfig, FrontData, FrontReport, FrontStep, ToFront } from './front-messages.js';
import { PortLock } from './port-lock.js';
import type { SharedAdmission } from './shared-admission.js';
import { SharedClosing } from './shared-closing.js';
import type { SharedGate } from './shared-gate.js';

export interface FrontPoolOptions {
  readonly config: FrontConfig & { readonly fronts: number };
  readonly clock: SystemClock;
  readonly log: Log;
  readonly admission: SharedAdmission;
  readonly gate: SharedGate;
  readonly codecs: Codecs;
  readonly ledger: Pick<Ledger, 'submit'>;
  /** Both null: traces are off. */
  readonly traces: Pick<Traces, 'add'> | null;
  readonly messageTraces: Pick<MessageTraces, 'sendOn'> | null;
  notified(...notification: Parameters<MessageCounts['notified']>): void;
  /** A thread that listened has died: the engine cannot go on. */
  died(front: number, error: string): void;
}

/** A thread loads its modules, which takes half a second on busy cores. */
const startMsMax = 30_000;
/** A step of a stop waits for what the thread does, which is a batch of answers at most. */
const stepMsMax = 2000;
/** A process that ends waits so long for its front threads. It ends by an abort then, which is an end as well. */
const exitMsMax = 500;

export class FrontPool implements AuthorizationPort {
  readonly #options: FrontPoolOptions;
  readonly counts: readonly MessageCounts[];
  readonly #closing = new SharedClosing();
  #threads: readonly FrontThread[] = [];
  #lock: PortLock | null = null;

  constructor(options: FrontPoolOptions) {
    this.#options = options;
    this.counts = Array.from({ length: options.config.fronts }, () => new MessageCounts());
  }

  /** The threads load their modules while the partitions start. */
  prepare(): void {
    process.on('exit', this.#atExit);
    this.#threads = this.counts.map(
      (counts, index) => new FrontThread(index + 1, counts, this.#closing, this.#options),
    );
  }

  async listen(): Promise<void> {
    const { host, authPort } = this.#options.config;
    // Loaded before the port is looked at: between that look and their listening another process could take it.
    await Promise.all(this.#threads.map((thread) => thread.order('catchUp', startMsMax)));
    this.#lock = await PortLock.take(host, authPort);
    await Promise.all(this.#threads.map((thread) => thread.order('listen', stepMsMax)));
  }

  /** Wherever the process ends itself: see the exit of front.worker.ts. */
  readonly #atExit = (): void => {
    for (const thread of this.#threads) thread.closeNow();
    this.#closing.waitClosed(exitMsMax);
  };

  leave(): void {
    this.#closing.isLeaving = true;
  }

  /** Resolves when what was admitted before is counted here, so a drain waits for it. */
  refuse(): Promise<void> {
    this.#closing.isRefusing = true;
    return this.#all('catchUp');
  }

  stopAccepting(): Promise<void> {
    return this.#all('stopAccepting');
  }

  /** Each thread carries out first what came before: the answers so far have left. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
    this.#threads = [];
    process.removeListener('exit', this.#atExit);
    this.#lock?.release();
    this.#lock = null;
  }

  async #all(step: FrontStep): Promise<void> {
    const { log } = this.#options;
    await Promise.all(
      this.#threads.map((thread) =>
        thread
          .order(step, stepMsMax)
          .catch((error: Error) =>
            log.warn({ step, error: error.message }, 'a front thread is late: the stop goes on without it'),
          ),
      ),
    );
  }
}

class FrontThread {
  readonly #number: number;
  readonly #options: FrontPoolOptions;
  readonly #worker: Worker;
  readonly #link: FrontLink;
  readonly #exited: Promise<unknown>;
  /** Orders that are not carried out, by their id. */
  readonly #orders = new Map<number, (error: string) => void>();
  #nextOrder = 1;
  #isListening = false;
  #hasEnded = false;
  #isClosing = false;
  #cause = 'it ended';

  constructor(number: number, counts: MessageCounts, closing: SharedClosing, options: FrontPoolOptions) {
    this.#number = number;
    this.#options = options;
    const { config, clock, admission, gate, codecs, ledger, messageTraces } = options;
    const bodyBytes = BodyBytes.memory();
    const workerData: FrontData = {
      number,
      config: configOf(config),
      clock: clock.share(),
      admission: admission.memory,
      gate: gate.memory,
      closing: closing.memory,
      counts: counts.memory,
      bodyBytes,
    };
    // Without the environment, which has every secret of the engine.
    this.#worker = new Worker(new URL('./front.worker.js', import.meta.url), { workerData, env: {} });
    this.#link = new FrontLink({
      placesMax: config.maxInFlight,
      bodyBytes: new BodyBytes(bodyBytes),
      codecs,
      ledger,
      traces: messageTraces,
      post: (batch) => this.#post(batch, [batch]),
      schedule: setImmediate,
    });
    this.#worker.on('message', (message: FromFront) => {
      if (message instanceof ArrayBuffer) this.#link.take(message);
      else this.#reported(message);
    });
    this.#worker.on('error', (error) => {
      this.#cause = error instanceof Error ? sourceStack(error.stack ?? error.message) : String(error);
    });
    this.#exited = once(this.#worker, 'exit').catch(() => undefined);
    this.#worker.on('exit', () => this.#ended());
  }

  get #whyEnded(): string {
    return `front thread ${this.#number} died: ${this.#cause}`;
  }

  #post(message: ToFront, transferred: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transferred);
  }

  /** Resolves once the thread has carried it out. Rejects when that fails, or takes longer than `waitMsMax`. */
  async order(step: FrontStep, waitMsMax: number): Promise<void> {
    if (this.#hasEnded) throw new Error(this.#whyEnded);
    const id = this.#nextOrder++;
    let timer: NodeJS.Timeout | undefined;
    const error = await new Promise<string>((resolve) => {
      this.#orders.set(id, resolve);
      timer = setTimeout(() => resolve(`front thread ${this.#number} does not answer`), waitMsMax);
      // What was decided before leaves before.
      this.#link.flush();
      this.#post({ step, id });
    });
    clearTimeout(timer);
    this.#orders.delete(id);
    if (error !== '') throw new Error(error);
    if (step === 'listen') this.#isListening = true;
  }

  #reported(report: FrontReport): void {
    const { log, traces, notified } = this.#options;
    switch (report.kind) {
      case 'done':
        this.#orders.get(report.id)?.(report.error);
        return;
      case 'log':
        log.warn(report.fields, report.message);
        return;
      case 'notified':
        notified(report.protocol, report.notification, report.count);
        return;
      case 'trace':
        traces?.add(report.ids, report.whole, report.parts);
    }
  }

  #ended(): void {
    this.#hasEnded = true;
    this.#link.isClosed = true;
    for (const failed of this.#orders.values()) failed(this.#whyEnded);
    if (!this.#isClosing && this.#isListening) this.#options.died(this.#number, this.#cause);
  }

  /** Without an answer: the main thread runs no event loop any more. */
  closeNow(): void {
    this.#isClosing = true;
    this.#post({ step: 'close', id: 0 });
  }

  async close(): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    await this.order('close', stepMsMax).catch(() => undefined);
    this.#link.isClosed = true;
    await Promise.race([this.#exited, delay(stepMsMax, undefined, { ref: false })]);
    // Of a thread that hangs: the process aborts.
    await this.#worker.terminate();
  }
}

/** What a front thread needs, and no secret beyond that. */
function configOf(config: FrontConfig): FrontConfig {
  const { host, authPort, authConnections, processorUser, processorPasswords, signingSecrets } = config;
  const { panKeys, strictFields, deadlineMs, slowAuthorizationMs, maxInFlight, traces } = config;
  return {
    ...{ host, authPort, authConnections, processorUser, processorPasswords, signingSecrets },
    ...{ panKeys, strictFields, deadlineMs, slowAuthorizationMs, maxInFlight, traces },
  };
}
