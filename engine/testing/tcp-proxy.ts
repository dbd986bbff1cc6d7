/** A way to a service that a test can cut, or let stand still, without touching the service. */
import { connect, createServer, type Server, type Socket } from 'node:net';

export class TcpProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  /** Bytes keep their order, whatever becomes of the delay. */
  readonly #lastAtMs = new WeakMap<Socket, number>();
  #isCut = false;
  #isStill = false;
  #silent: '' | 'toService' | 'toClient' = '';
  readonly #forgotten = new Set<Socket>();
  /** Everything that passes takes so much longer, as to a far machine. */
  delayMs = 0;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  /** Listens on a free port of loopback and passes everything on to `port` of `host`. */
  static async start(port: number, host = '127.0.0.1'): Promise<TcpProxy> {
    const server = createServer((near) => proxy.#accept(near, connect({ port, host, noDelay: true })));
    await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1' }, resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const proxy = new TcpProxy(server, address.port);
    return proxy;
  }

  /** The URL of a service with this proxy in place of its host. */
  url(of: string): string {
    const url = new URL(of);
    url.hostname = '127.0.0.1';
    url.port = String(this.port);
    return url.href;
  }

  /** Ends every connection, and refuses new ones until heal(). */
  cut(): void {
    this.#isCut = true;
    this.drop();
  }

  /** Ends every connection; new ones are welcome. */
  drop(): void {
    for (const [near, far] of this.#pairs) {
      near.destroy();
      far.destroy();
    }
  }

  /**
   * A firewall forgets every connection: the client is reset, the service hears nothing and keeps its side open until
   * close(). New connections are welcome.
   */
  forget(): void {
    for (const [near, far] of this.#pairs) {
      this.#forgotten.add(far);
      near.resetAndDestroy();
    }
  }

  /** From now on nothing passes in one direction, on connections old and new; the other one works. Until heal(). */
  silence(direction: 'toService' | 'toClient'): void {
    this.#silent = direction;
  }

  /** Connections stay open and nothing passes until heal(), as with a machine that hangs. */
  stall(): void {
    this.#isStill = true;
    for (const [near, far] of this.#pairs) {
      near.pause();
      far.pause();
    }
  }

  heal(): void {
    this.#isCut = false;
    this.#isStill = false;
    this.#silent = '';
    for (const [near, far] of this.#pairs) {
      near.resume();
      far.resume();
    }
  }

  async close(): Promise<void> {
    this.drop();
    for (const far of this.#forgotten) far.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(near: Socket, far: Socket): void {
    near.setNoDelay(true);
    const pair = [near, far] as const;
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (bytes) => {
        if (this.#silent === (from === near ? 'toService' : 'toClient')) return;
        const { delayMs } = this;
        const readyAtMs = Math.max(performance.now() + delayMs, this.#lastAtMs.get(to) ?? 0);
        if (delayMs === 0 && readyAtMs <= performance.now()) to.write(bytes);
        else {
          this.#lastAtMs.set(to, readyAtMs);
          // Timers of the same instant fire in the order in which they were set.
          setTimeout(() => void to.write(bytes), Math.ceil(readyAtMs - performance.now()));
        }
      });
      from.on('error', () => undefined);
      from.on('close', () => {
        if (!this.#forgotten.has(to)) to.destroy();
        this.#pairs.delete(pair);
      });
    }
    if (this.#isCut) {
      near.destroy();
      far.destroy();
      return;
    }
    this.#pairs.add(pair);
    if (this.#isStill) {
      near.pause();
      far.pause();
    }
  }
}
