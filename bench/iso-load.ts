/**
 * A network's load on a link of ISO 8583: authorizations at a fixed rate over few connections, many in flight. Each is
 * recorded from the instant at which it was due, so a server that stalls cannot hide it.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { FrameSplitter } from '../engine/protocols/iso8583/frame-splitter.js';
import { Framing } from '../engine/protocols/iso8583/framing.js';
import { IsoMessage } from '../engine/protocols/iso8583/message.js';
import { pack } from '../engine/protocols/iso8583/pack.js';
import { Packager } from '../engine/protocols/iso8583/packager.js';
import { unpack } from '../engine/protocols/iso8583/unpack.js';
import { isoMessage, panOf } from '../engine/testing/iso-messages.js';
import { Latency } from './load/latency.js';

export interface IsoLoadOptions {
  readonly port: number;
  readonly connectionCount: number;
  readonly perSecond: number;
  readonly warmUpMs: number;
  readonly durationMs: number;
  /** Cards have the numbers panOf(1) to panOf(cardCount). */
  readonly cardCount: number;
  /** The server sends each frame back as it came. */
  readonly isEcho: boolean;
}

export interface IsoLoadResult {
  /** Approvals. */
  readonly answersPerSecond: number;
  readonly latency: Latency;
  /** Answers other than an approval, by their DE 39. */
  readonly others: ReadonlyMap<string, number>;
  readonly missing: number;
  /** Of this process, per answer. */
  readonly cpuUs: number;
}

export const isoPackager = { version: 1987, encoding: 'ascii' } as const;
export const isoFraming = { length: 'binary2' } as const;

/** DE 11 has six digits: so many messages can have the same DE 7. */
const traceNumbers = 1_000_000;
/** Longer than every deadline. */
const lastAnswerMsMax = 5000;

let runCount = 0;

export async function runIsoLoad(options: IsoLoadOptions): Promise<IsoLoadResult> {
  const load = new IsoLoad(options);
  await load.connect();
  try {
    return await load.run();
  } finally {
    load.close();
  }
}

class IsoLoad {
  readonly #options: IsoLoadOptions;
  readonly #packager = new Packager(isoPackager);
  readonly #framing = new Framing(isoFraming);
  readonly #sockets: Socket[] = [];
  readonly #answer = new IsoMessage();
  readonly #latency = new Latency();
  readonly #others = new Map<string, number>();
  /** When each message was due, by its number in this run. */
  readonly #dueMs: Float64Array;
  readonly #template: Buffer;
  readonly #at: { readonly pan: number; readonly trace: number };
  #measuredFromMs = 0;
  #answered = 0;
  #recorded = 0;

  constructor(options: IsoLoadOptions) {
    this.#options = options;
    const count = Math.ceil((options.perSecond * (options.warmUpMs + options.durationMs)) / 1000);
    if (count > traceNumbers) throw new Error('a run has more messages than trace numbers: make it shorter');
    this.#dueMs = new Float64Array(count);
    // Each run at a second of its own, so that its keys are new.
    const second = String(runCount++ % 60).padStart(2, '0');
    const minute = String(Math.floor(Date.now() / 1000) % 60).padStart(2, '0');
    const pan = panOf(0);
    const marked = isoMessage('0100', pan, 1000, { 7: `031409${minute}${second}`, 11: '999999', 37: '607309999999' });
    const message = new IsoMessage();
    message.mti = 100;
    for (const [field, text] of Object.entries(marked)) if (field !== 'mti') message.setText(Number(field), text);
    const frame = Buffer.alloc(this.#framing.frameBytesMax);
    const length = pack(this.#packager, message, frame, this.#framing.overheadBytes);
    if (typeof length !== 'number') throw new Error('the message of the load cannot be packed');
    this.#template = frame.subarray(0, this.#framing.finish(frame, 0, length, null, false));
    this.#at = { pan: this.#template.indexOf(pan), trace: this.#template.indexOf(`${second}999999`) + 2 };
  }

  async connect(): Promise<void> {
    for (let index = 0; index < this.#options.connectionCount; index++) {
      const socket = connect({ port: this.#options.port, host: '127.0.0.1', noDelay: true });
      await once(socket, 'connect');
      const splitter = new FrameSplitter(this.#framing, {
        frame: (bytes, start, end) => this.#received(bytes, start, end),
        keepAlive: () => undefined,
      });
      socket.on('data', (chunk: Buffer) => splitter.push(chunk));
      this.#sockets.push(socket);
    }
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async run(): Promise<IsoLoadResult> {
    const { perSecond, warmUpMs, durationMs } = this.#options;
    const total = this.#dueMs.length;
    const startMs = performance.now();
    this.#measuredFromMs = startMs + warmUpMs;
    const before = process.cpuUsage();
    for (let sent = 0; sent < total; ) {
      const dueCount = Math.min(total, Math.floor(((performance.now() - startMs) * perSecond) / 1000));
      if (dueCount > sent) {
        this.#send(sent, dueCount, startMs);
        sent = dueCount;
      }
      await turn();
    }
    const giveUpMs = performance.now() + lastAnswerMsMax;
    while (this.#answered < total && performance.now() < giveUpMs) await turn();
    const { user, system } = process.cpuUsage(before);
    return {
      answersPerSecond: (this.#recorded * 1000) / durationMs,
      latency: this.#latency,
      others: this.#others,
      missing: total - this.#answered,
      cpuUs: (user + system) / Math.max(1, this.#answered),
    };
  }

  /** What is due together goes to each connection in one write. */
  #send(from: number, to: number, startMs: number): void {
    const { perSecond, cardCount } = this.#options;
    const count = this.#sockets.length;
    for (const [index, socket] of this.#sockets.entries()) {
      const frames: Buffer[] = [];
      for (let number = from; number < to; number++) {
        if (number % count !== index) continue;
        this.#dueMs[number] = startMs + (number * 1000) / perSecond;
        const frame = Buffer.from(this.#template);
        frame.write(panOf(1 + (number % cardCount)), this.#at.pan, 'latin1');
        frame.write(String(number).padStart(6, '0'), this.#at.trace, 'latin1');
        frames.push(frame);
      }
      if (frames.length > 0) socket.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames));
    }
  }

  #received(bytes: Uint8Array, start: number, end: number): void {
    const nowMs = performance.now();
    const answer = this.#answer;
    if (unpack(this.#packager, bytes, start, end, answer) !== null) throw new Error('an answer cannot be read');
    this.#answered++;
    const code = answer.text(39);
    const isRight = code === (this.#options.isEcho ? '' : '00');
    if (!isRight) this.#others.set(code, (this.#others.get(code) ?? 0) + 1);
    const dueMs = this.#dueMs[answer.integer(11)]!;
    if (dueMs < this.#measuredFromMs) return;
    // What was turned away is no answer: it must not look like speed.
    if (isRight) this.#recorded++;
    this.#latency.record((nowMs - dueMs) * 1000);
  }
}
