/**
 * Sees to it that front threads share their port with each other and with no other process. They listen with
 * SO_REUSEPORT, which would let any process of the same user join. So the main thread takes a name that the kernel
 * gives to one process at a time (an abstract socket of Linux, in the network of the port). Then it listens on the port
 * itself, exclusively, which fails where any process listens, and stops before its threads begin.
 *
 * A second engine finds the name taken, and one with FRONTS=1 finds the port taken. A program of the same user that
 * asks for SO_REUSEPORT itself could still join later.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { portTaken } from '../transports/http/server.js';

export class PortLock {
  readonly #name: Server;

  private constructor(name: Server) {
    this.#name = name;
  }

  /** Rejects where another process has the port. */
  static async take(host: string, port: number): Promise<PortLock> {
    // A connection to the name means nothing.
    const name = createServer((socket) => socket.destroy());
    try {
      // By the port alone: an address and all addresses are two names of one port.
      await listening(name, { path: `\0atlanticfrewaycard-auth-${port}` });
      const probe = createServer((socket) => socket.destroy());
      await listening(probe, { host, port, exclusive: true });
      probe.close();
      await once(probe, 'close');
    } catch (error) {
      name.close();
      throw (error as NodeJS.ErrnoException).code === 'EADDRINUSE' ? portTaken(host, port) : error;
    }
    return new PortLock(name);
  }

  release(): void {
    this.#name.close();
  }
}

async function listening(server: Server, at: object): Promise<void> {
  server.listen(at);
  await once(server, 'listening');
}
