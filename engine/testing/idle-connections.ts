/** Many connections to one port that send nothing, or not enough: for tests of bounds. Loopback addresses only. */
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface IdleOptions {
  readonly port: number;
  readonly count: number;
  /** The loopback address that they come from; one for each connection where it is a function of its index. */
  readonly from?: string | ((index: number) => string);
  /** What each sends once it is open. */
  readonly sends?: string;
}

/** Connections opened at once, before the server has a turn. */
const atOnce = 50;

export class IdleConnections {
  readonly #sockets: Socket[] = [];
  #closed = 0;
  /** When each ended, milliseconds after it was opened. */
  readonly endedAfterMs: number[] = [];

  /** Opens them; resolves when all have been tried. */
  static async open({ port, count, from = '127.0.0.1', sends = '' }: IdleOptions): Promise<IdleConnections> {
    const idle = new IdleConnections();
    for (let index = 0; index < count; index++) {
      const openedAtMs = performance.now();
      const localAddress = typeof from === 'string' ? from : from(index);
      const socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true });
      socket.on('error', () => undefined);
      socket.on('data', () => undefined);
      socket.once('connect', () => {
        if (sends !== '') socket.write(sends);
      });
      socket.once('close', () => {
        idle.#closed++;
        idle.endedAfterMs.push(performance.now() - openedAtMs);
      });
      idle.#sockets.push(socket);
      if (index % atOnce === atOnce - 1) await delay(5);
    }
    return idle;
  }

  /** Those that the server has not closed. */
  get open(): number {
    return this.#sockets.length - this.#closed;
  }

  /** Sends to all that are open. */
  send(text: string): void {
    for (const socket of this.#sockets) if (socket.writable) socket.write(text);
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
