/**
 * moov-io/iso8583 as a peer behind sockets (moov-peer/main.go), built with Go. Without Go the tests that use it fail
 * and say so; they are never skipped.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { findProgram } from '../../../../deploy/testing/find-program.js';
import { buildGoProgram } from '../../../../deploy/testing/go-program.js';
import { FrameSplitter } from '../frame-splitter.js';
import { Framing } from '../framing.js';

export type MoovKind = 'ascii' | 'bcd' | 'ebcdic';

/** Length of frames with each packager of the peer. */
const framings = { ascii: 'ascii4', bcd: 'bcd2', ebcdic: 'binary2' } as const;

/** The peer's program, which is built first where it is missing. */
export async function findMoovPeer(log: (line: string) => void): Promise<string> {
  const missing = 'tests of ISO 8583 build a peer with Go: install Go 1.19 or later';
  await findProgram({ program: 'go', debianPackage: 'golang-go', missing });
  return buildGoProgram('engine/protocols/iso8583/testing/moov-peer', log);
}

export interface MoovPeer {
  connect(kind: MoovKind): Promise<MoovLink>;
  close(): Promise<void>;
}

export async function startMoovPeer(log: (line: string) => void): Promise<MoovPeer> {
  const child = spawn(await findMoovPeer(log), { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const ports = JSON.parse(line) as Record<MoovKind, number>;
  return {
    connect: async (kind) => {
      const socket = connect(ports[kind], '127.0.0.1');
      await once(socket, 'connect');
      return new MoovLink(socket, new Framing({ length: framings[kind] }));
    },
    close: async () => {
      // It ends with its standard input.
      child.stdin.end();
      await ended;
    },
  };
}

/** A connection to the peer, which answers frame by frame in order. */
export class MoovLink {
  readonly #socket: Socket;
  readonly #framing: Framing;
  /** Rejects. */
  readonly #closed: Promise<never>;
  readonly #waiting: ((answer: Buffer) => void)[] = [];

  constructor(socket: Socket, framing: Framing) {
    this.#socket = socket;
    this.#framing = framing;
    this.#closed = once(socket, 'close').then(() => Promise.reject(new Error('the peer closed the connection')));
    this.#closed.catch(() => undefined);
    const splitter = new FrameSplitter(framing, {
      frame: (bytes, start, end) => this.#waiting.shift()?.(Buffer.from(bytes.subarray(start, end))),
      keepAlive: () => undefined,
    });
    socket.on('data', (chunk) => {
      const fault = splitter.push(chunk);
      if (fault !== null) socket.destroy(new Error(fault));
    });
  }

  /** Sends all of them glued together, and in pieces. @returns an answer to each */
  async exchange(messages: readonly Uint8Array[], pieceBytes: number): Promise<Buffer[]> {
    const frames = messages.map((message) => {
      const frame = Buffer.alloc(this.#framing.overheadBytes + message.length);
      frame.set(message, this.#framing.overheadBytes);
      this.#framing.finish(frame, 0, message.length, null, false);
      return frame;
    });
    const answers = messages.map(() => new Promise<Buffer>((resolve) => this.#waiting.push(resolve)));
    const stream = Buffer.concat(frames);
    for (let at = 0; at < stream.length; at += pieceBytes) this.#socket.write(stream.subarray(at, at + pieceBytes));
    return Promise.race([Promise.all(answers), this.#closed]);
  }

  close(): void {
    this.#socket.destroy();
  }
}
