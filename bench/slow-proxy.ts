/** A Postgres that is far away: passes bytes through and holds back what the server answers, in order. */
import { connect, createServer, type Socket } from 'node:net';
import { loopback } from './stack.js';

export interface SlowProxy {
  /** The database's URL with the proxy's port in place of the server's. */
  readonly url: string;
  close(): Promise<void>;
}

export async function startSlowProxy(databaseUrl: string, delayMs: number): Promise<SlowProxy> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect({ host: target.hostname, port: Number(target.port), noDelay: true });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      const end = () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      };
      socket.on('close', end);
      socket.on('error', end);
    }
    client.on('data', (bytes) => upstream.write(bytes));
    // Timers of the same length fire in the order in which they were set.
    upstream.on('data', (bytes) => setTimeout(() => client.write(bytes), delayMs));
  });
  await new Promise<void>((resolve) => server.listen(0, loopback, resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const url = new URL(databaseUrl);
  url.hostname = loopback;
  url.port = String(address.port);
  return {
    url: url.href,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
