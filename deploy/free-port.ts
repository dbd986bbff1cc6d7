/** TCP ports of this machine. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

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

/**
 * A port of 127.0.0.1 that nothing listens on, and that no other living process has found. So a server that is stopped
 * finds its port free when it starts again. Throws when there is none.
 */
export async function findFreePort(): Promise<number> {
  for (let tries = 0; tries < portsTriedMax; tries++) {
    const port = nextPort;
    nextPort = port + 1 < portMax ? port + 1 : portMin;
    // Not looked at while it is another's: a look listens for a moment, and would be in the way of its server.
    if (reserve(port) && (await isPortFree(port))) return port;
  }
  throw new Error(`no free port of 127.0.0.1 among the ${portsTriedMax} below ${nextPort}`);
}

/** A file for each port that a living process has found, with the number of that process. */
const reservations = join(tmpdir(), 'atlanticfrewaycard-ports');
const reserved = new Set<number>();

/** @returns false when another process has it */
function reserve(port: number): boolean {
  if (reserved.has(port)) return true;
  const path = join(reservations, String(port));
  try {
    if (reserved.size === 0) {
      mkdirSync(reservations, { recursive: true });
      process.once('exit', giveBack);
    }
    if (!create(path) && !(removeLeftOver(path) && create(path))) return false;
  } catch {
    // Without the folder, which another user may own, ports are only looked at.
    return true;
  }
  reserved.add(port);
  return true;
}

function create(path: string): boolean {
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** @returns whether the file was of a process that has ended, and is gone */
function removeLeftOver(path: string): boolean {
  const owner = readFileSync(path, 'utf8');
  if (isAlive(Number(owner))) return false;
  // One of several processes that find it at once moves it; what it moved may be new already.
  const moved = `${path}.${process.pid}`;
  renameSync(path, moved);
  const isLeftOver = readFileSync(moved, 'utf8') === owner;
  if (isLeftOver) rmSync(moved);
  else renameSync(moved, path);
  return isLeftOver;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function giveBack(): void {
  for (const port of reserved) rmSync(join(reservations, String(port)), { force: true });
}
