/**
 * The console at an address of its own (CONSOLE_HOST), which a firewall can keep inside. The public port then has
 * neither its pages nor its sessions nor its stream, and the console's address has nothing of the app.
 */
import { once } from 'node:events';
import type { FastifyInstance } from 'fastify';
import type { ConnectionGate } from '../../platform/process/connection-gate.js';
import type { ConsoleAddress } from '../config.js';
import { httpServer } from '../http/http-server.js';
import { notFound } from '../http/problem.js';
import { portInUse } from '../port-in-use.js';

/** By the route that a path leads to: a path itself can be written in several ways. */
const ofConsole = /^\/(?:console|api\/console|api\/live)(?:\/|$)/;
const ofApp = /^\/(?:app|api\/app)(?:\/|$)/;

/** Must be registered before sessions of pages are read. */
export function separateConsole(app: FastifyInstance, { port }: ConsoleAddress): void {
  app.addHook('onRequest', async ({ socket, routeOptions: { url = '' }, headers }) => {
    const isInside = socket.localPort === port;
    if ((isInside ? ofApp : ofConsole).test(url)) throw notFound();
    // Outside no request is the console's, so its cookie opens nothing.
    if (!isInside && headers['x-afc-page'] === 'console') delete headers['x-afc-page'];
  });
}

/** Serves what the app serves at one more address. @returns stops listening there */
export async function listenConsole(
  app: FastifyInstance,
  { host, port }: ConsoleAddress,
  gate: ConnectionGate,
): Promise<() => void> {
  const server = httpServer((request, response) => app.routing(request, response), gate);
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw portInUse(error as Error, host, port, 'CONSOLE_HOST');
  }
  return () => {
    server.close();
    server.closeIdleConnections();
  };
}
