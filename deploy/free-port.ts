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

/**
 * Below 32768, where Linux takes the near ends of outgoing connections from: a server that is started again must not
 * find its port taken by one of them. Above 10080, the last port that fetch refuses.
 */
const portMin = 10_081;
const portMax = 32_000;
/** So many ports in use one after the other mean that this machine has other troubles. */
const portsTriedMax = 200;
/**
 * Each process begins at a port of its own and goes upwards. Two that search at once would otherwise find the same port
 * now and then, as neither listens on it yet.
 */
const portsApart = 97;
let nextPort = portMin + ((process.pid * portsApart) % (portMax - portMin));

/** A port of 127.0.0.1 that nothing listens on, and that this process has not just found. Throws when there is none. */
export async function findFreePort(): Promise<number> {
  for (let tries = 0; tries < portsTriedMax; tries++) {
    const port = nextPort;
    nextPort = port + 1 < portMax ? port + 1 : portMin;
    if (await isPortFree(port)) return port;
  }
  throw new Error(`no free port of 127.0.0.1 among the ${portsTriedMax} below ${nextPort}`);
}
