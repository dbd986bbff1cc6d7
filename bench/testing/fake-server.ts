/**
 * A server for the tests of the generator, as scriptable as real ones are faulty: it reads whole requests from a raw
 * socket and leaves the answer to the test.
 */
import { createServer, type Socket } from 'node:net';
import { loopback } from '../stack.js';

export interface FakeRequest {
  /** Number of the request since the server started, from 0. */
  readonly number: number;
  readonly head: string;
  readonly body: string;
  readonly id: string;
  readonly socket: Socket;
}

export interface FakeServer {
  readonly port: number;
  /** Ids in order of arrival. */
  readonly ids: string[];
  readonly bodies: string[];
  stop(): Promise<void>;
}

export async function startFakeServer(answer: (request: FakeRequest) => void): Promise<FakeServer> {
  const ids: string[] = [];
  const bodies: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    let received = '';
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      for (;;) {
        const headEnd = received.indexOf('\r\n\r\n');
        if (headEnd < 0) return;
        const head = received.slice(0, headEnd);
        const end = headEnd + 4 + Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
        if (received.length < end) return;
        const body = received.slice(headEnd + 4, end);
        received = received.slice(end);
        const id = String((JSON.parse(body) as { id: unknown }).id);
        bodies.push(body);
        answer({ number: ids.push(id) - 1, head, body, id, socket });
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, loopback, resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    ids,
    bodies,
    stop: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** An answer as the authorization port gives it. */
export function decision(id: string, approved: boolean): string {
  return httpAnswer(200, JSON.stringify({ id, approved, reason: approved ? 'approved' : 'insufficient_funds' }));
}

export function httpAnswer(status: number, body: string): string {
  return (
    `HTTP/1.1 ${status} Any\r\nDate: today\r\ncontent-type: application/json\r\nContent-Length: ` +
    `${Buffer.byteLength(body)}\r\n\r\n${body}`
  );
}
