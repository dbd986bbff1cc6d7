/**
 * The real API behind a proxy that answers `GET /api/live` itself: for journeys that need a stream of exact content,
 * such as texts that no engine would let in.
 */
import { createServer, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import type { LiveAlert, LiveDecision, LiveHistory, LiveTick } from '../../api/live/live-shape.js';

export interface LiveStub {
  readonly url: string;
  /** Sends a tick with these decisions to every stream. */
  tick(last: readonly LiveDecision[], alerts?: readonly LiveAlert[]): void;
}

const history: LiveHistory = {
  everyMs: 5000,
  fromMs: 0,
  decidedPerSecond: [],
  approvedShare: [],
  p50: [],
  p99: [],
  p999: [],
  settleLagMs: [],
};

export async function startLiveStub(t: Test, apiUrl: string): Promise<LiveStub> {
  const streams = new Set<ServerResponse>();
  const server = createServer((asked, answer) => {
    if (asked.url === '/api/live') {
      answer.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
      answer.write(`event: history\ndata: ${JSON.stringify(history)}\n\n`);
      streams.add(answer);
      answer.on('close', () => streams.delete(answer));
      return;
    }
    const { hostname, port } = new URL(apiUrl);
    const options = { hostname, port, path: asked.url, method: asked.method, headers: asked.headers };
    asked.pipe(
      request(options, (answered) => {
        answer.writeHead(answered.statusCode!, answered.headers);
        answered.pipe(answer);
      }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tick: (last, alerts = []) => {
      for (const stream of streams) stream.write(`event: tick\ndata: ${JSON.stringify(tickOf(last, alerts))}\n\n`);
    },
  };
}

function tickOf(last: readonly LiveDecision[], alerts: readonly LiveAlert[]): LiveTick {
  const approved = last.filter((decision) => decision.approved).length;
  return {
    atMs: Date.now(),
    windowMs: 250,
    decided: last.length,
    approved,
    refused: 0,
    byReason: Object.fromEntries(last.filter((one) => !one.approved).map(({ reason }) => [reason, 1])),
    latencyMs: { p50: 1, p99: 3, p999: 9 },
    hopsMs: { wait: 0.3, decide: 0.01, journal: 0.4, send: 0.1 },
    slowest: [{ engine: 'e1', hop: 'journal', p99Ms: 4.1 }],
    books: { checkedAtMs: 1_790_000_000_000, accounts: 1204, unchecked: 0, unbalanced: 0, firstUnbalanced: null },
    alerts,
    settleLagMs: 400,
    settleLagRecords: 4,
    engines: last.map(({ merchant }, at) => ({
      id: merchant?.name ?? String(at),
      isUp: true,
      ageMs: 100,
      epoch: 1,
      partitions: [at],
      decidedPerSecond: 1,
      p99Ms: 3,
      journalUsedShare: 0.02,
      feedAgeMs: 100,
      feedStaleMsMax: 30_000,
      standInUnbooked: 0,
      settleLagMs: 400,
    })),
    last,
  };
}
