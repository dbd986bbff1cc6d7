/** A network on the other end of an ISO 8583 link, for tests: many messages in flight, answers in any order. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { PanKeys } from '../../platform/masking/hidden-ids.js';
import { FrameSplitter } from '../protocols/iso8583/frame-splitter.js';
import { Framing, type FramingSettings } from '../protocols/iso8583/framing.js';
import { fieldMax, IsoMessage } from '../protocols/iso8583/message.js';
import { answerMtiOf, isResponse } from '../protocols/iso8583/message-types.js';
import { pack } from '../protocols/iso8583/pack.js';
import { Packager, type PackagerSettings } from '../protocols/iso8583/packager.js';
import { unpack } from '../protocols/iso8583/unpack.js';
import { testPanKey } from './engine-process.js';

/** Values by field number, and the message type. */
export interface IsoFields {
  readonly mti: string;
  readonly [field: number]: string;
}

/** As links of tests are: 1987 in ASCII, with two bytes of length. */
export const testPackager: PackagerSettings = { version: 1987, encoding: 'ascii' };
export const testFraming: FramingSettings = { length: 'binary2' };

/** The token of the card with that number, as the engine under test makes it. */
export function testPanToken(pan: string, key = testPanKey): string {
  return new PanKeys([key]).panTokens(pan)[0]!;
}

const connectMsMax = 10_000;
const answerMsMax = 15_000;

export interface IsoClientOptions {
  readonly port: number;
  readonly packager?: PackagerSettings;
  readonly framing?: FramingSettings;
  readonly tls?: ConnectionOptions;
}

export class IsoClient {
  readonly socket: Socket;
  /** What came without being waited for: messages of the engine's own, and second answers. */
  readonly others: IsoFields[] = [];
  readonly #packager: Packager;
  readonly #framing: Framing;
  readonly #message = new IsoMessage();
  readonly #waiting = new Map<string, { resolve(answer: IsoFields): void; reject(error: Error): void }>();
  isClosed = false;

  constructor({ port, packager = testPackager, framing = testFraming, tls }: IsoClientOptions) {
    this.#packager = new Packager(packager);
    this.#framing = new Framing(framing);
    this.socket = tls === undefined ? connect(port, '127.0.0.1') : connectTls({ port, host: '127.0.0.1', ...tls });
    const splitter = new FrameSplitter(this.#framing, {
      frame: (bytes, start, end) => this.#received(bytes, start, end),
      keepAlive: () => this.others.push({ mti: 'keep-alive' }),
    });
    this.socket.on('data', (chunk: Buffer) => splitter.push(chunk));
    this.socket.on('error', () => undefined);
    this.socket.once('close', () => {
      this.isClosed = true;
      for (const { reject } of this.#waiting.values()) reject(new Error('the connection was closed'));
      this.#waiting.clear();
    });
  }

  static async open(options: IsoClientOptions): Promise<IsoClient> {
    const client = new IsoClient(options);
    await once(client.socket, options.tls === undefined ? 'connect' : 'secureConnect', {
      signal: AbortSignal.timeout(connectMsMax),
    });
    return client;
  }

  /** The frame of a message. */
  frame(fields: IsoFields): Buffer {
    const message = this.#message;
    message.clear();
    message.mti = Number(fields.mti);
    for (const [field, text] of Object.entries(fields)) if (field !== 'mti') message.setText(Number(field), text);
    const frame = Buffer.alloc(this.#framing.frameBytesMax);
    const length = pack(this.#packager, message, frame, this.#framing.overheadBytes);
    if (typeof length !== 'number') throw new Error(`a test's message cannot be packed: ${JSON.stringify(length)}`);
    return frame.subarray(0, this.#framing.finish(frame, 0, length, null, false));
  }

  /** Sends a message and waits for its answer: the next function, the same trace number and time. */
  ask(fields: IsoFields): Promise<IsoFields> {
    const answered = this.expect(fields);
    this.socket.write(this.frame(fields));
    return answered;
  }

  /** Waits for the answer to a message that is sent otherwise. */
  expect(fields: IsoFields): Promise<IsoFields> {
    const name = nameOf({ ...fields, mti: String(answerMtiOf(Number(fields.mti))).padStart(4, '0') });
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no answer to ${name}`)), answerMsMax);
      const settle =
        <T>(done: (value: T) => void) =>
        (value: T) => {
          clearTimeout(late);
          done(value);
        };
      this.#waiting.set(name, { resolve: settle(resolve), reject: settle(reject) });
    });
  }

  close(): void {
    this.socket.destroy();
  }

  #received(bytes: Uint8Array, start: number, end: number): void {
    const message = new IsoMessage();
    const refusal = unpack(this.#packager, bytes, start, end, message);
    if (refusal !== null) throw new Error(`an answer cannot be read: ${JSON.stringify(refusal)}`);
    const fields: Record<string, string> = { mti: message.mtiText };
    for (let field = 2; field <= fieldMax; field++) if (message.has(field)) fields[field] = message.text(field);
    const answer = fields as unknown as IsoFields;
    const waiting = this.#waiting.get(nameOf(answer));
    if (waiting === undefined || !isResponse(message.mti)) this.others.push(answer);
    else {
      this.#waiting.delete(nameOf(answer));
      waiting.resolve(answer);
    }
  }
}

function nameOf(fields: IsoFields): string {
  return `${fields.mti} ${fields[11]} ${fields[7] ?? ''}`;
}
