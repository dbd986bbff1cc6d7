/** TCP ports of this machine. */
import { createServer } from 'node:net';

/** Whether nothing listens on `port` of 127.0.0.1 right now. */
export async function isPortFree(port: number): Promise<boolean> {
  return (await listenError(port, '127.0.0.1')) === '';
}

/** The system's code for why `port` of `host` cannot be listened on right now, such as EADDRINUSE; '' when it can. */
export function listenError(port: number, host: string): Promise<string> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve('')));
  });
}

/** A port of 127.0.0.1 that the system considers free. */
export function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    // Somebody who still looks for an earlier owner of the port must not keep it open.
    const server = createServer((socket) => socket.destroy());
    server.once('error', reject);
    server.listen({ port: 0, host: '127.0.0.1' }, () => {
      const address = server.address();
      if (address === null || typeof address === 'string') return reject(new Error('no port'));
      server.close(() => resolve(address.port));
    });
  });
}
