/** The HTTP server under Fastify, for each address that the API listens on: its limits of time and connections. */
import { createServer, type RequestListener, type Server } from 'node:http';
import { boundConnections, type ConnectionGate } from '../../platform/process/connection-gate.js';

/** A client that sends slower than this, or nothing at all, holds a connection for nothing. */
const requestTimeoutMs = 10_000;
/** How often connections are held against it. */
const connectionsLookMs = 2000;
/** Longer than the idle time of common load balancers (60 s), so that they close first and never meet a closed one. */
const keepAliveTimeoutMs = 72_000;

export function httpServer(handler: RequestListener, gate: ConnectionGate): Server {
  const server = createServer(
    {
      requestTimeout: requestTimeoutMs,
      headersTimeout: requestTimeoutMs,
      keepAliveTimeout: keepAliveTimeoutMs,
      connectionsCheckingInterval: connectionsLookMs,
      requireHostHeader: false,
    },
    handler,
  );
  // An expectation that we do not know is ignored (RFC 9110, 10.1.1). Node.js would answer without a body.
  server.on('checkExpectation', handler);
  boundConnections(server, gate);
  return server;
}
