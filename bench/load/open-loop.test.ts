/** The open loop checks itself: a server that stalls on purpose must show up with the right tail. */
import t from 'tap';
import { loopback } from '../stack.js';
import { decision, type FakeRequest, startFakeServer } from '../testing/fake-server.js';
import { slowTraffic } from '../testing/slow-traffic.js';
import { type LoadOptions, load } from './load.js';
import { uniformTraffic } from './uniform.js';

const base: Omit<LoadOptions, 'port'> = {
  host: loopback,
  traffic: uniformTraffic({
    path: '/v1/authorizations',
    credentials: null,
    kind: 'authorization',
    idPrefix: 'open',
    cardFirst: 1,
    cardCount: 10,
    cardsPerAccount: 1,
    cardOrder: 'random',
    amountMinorMin: 1000,
    amountMinorMax: 9999,
    answers: 'decision',
  }),
  pace: { kind: 'open', ratePerSecond: 500, arrivals: 'constant' },
  connectionCount: 16,
  threadCount: 1,
  warmUpMs: 0,
  durationMs: 2000,
  requestCountMax: null,
  timeoutMs: 5000,
  seed: 7,
  // The machine that runs the tests may be busy; only the test about lateness cares.
  lagMsMax: 60_000,
};

async function against(answer: (request: FakeRequest) => void, options: Partial<LoadOptions> = {}) {
  const server = await startFakeServer(answer);
  try {
    return { result: await load({ ...base, port: server.port, ...options }), server };
  } finally {
    await server.stop();
  }
}

const approve = ({ id, socket }: FakeRequest) => void socket.write(decision(id, true));

t.test('a stall is charged to every request that was due meanwhile', async (t) => {
  const stallMs = 400;
  let stalled: FakeRequest[] | null = null;
  const { result } = await against((request) => {
    if (request.number === 300) {
      stalled = [];
      setTimeout(() => {
        for (const waiting of stalled ?? []) approve(waiting);
        stalled = null;
      }, stallMs);
    }
    if (stalled === null) approve(request);
    else stalled.push(request);
  });
  // Two seconds at 500/s, of which 0.4 s stood still: a fifth of all requests waited, 0 to 400 ms each. Only 16 of them
  // were on a connection: a closed loop would have seen 16 slow answers, 1.6 % instead of 20 %.
  t.ok(result.generator.dueCount >= 950, `${result.generator.dueCount} were due`);
  t.equal(result.latency.count, result.generator.dueCount, 'every request has a latency');
  t.ok(result.generator.queuedCount >= 100, `${result.generator.queuedCount} waited for a connection`);
  t.ok(result.latency.p90Ms >= stallMs * 0.4, `p90 is ${result.latency.p90Ms} ms`);
  t.ok(result.latency.p99Ms >= stallMs * 0.9, `p99 is ${result.latency.p99Ms} ms`);
  t.match(result, { rightCount: result.generator.dueCount, errorCount: 0, timeoutCount: 0, wrongCount: 0 });
});

t.test('the generator keeps its rate whatever the answers do, and blames a slow server, not itself', async (t) => {
  // One answer per 30 ms on one connection, asked for 100 times a second: two of three wait at the end.
  const { result } = await against((request) => setTimeout(approve, 30, request), {
    pace: { kind: 'open', ratePerSecond: 100, arrivals: 'poisson' },
    connectionCount: 1,
    durationMs: 600,
    lagMsMax: 5000,
  });
  t.ok(result.generator.dueCount >= 30 && result.generator.dueCount <= 100, `${result.generator.dueCount} were due`);
  t.equal(result.rightCount, result.generator.dueCount);
  // Thirty-three a second are all it can answer, however many of the others it answers when the time is over.
  t.ok(result.answersPerSecond < 50, `${result.answersPerSecond} answers a second`);
  t.ok(result.latency.maxMs >= 300, `the last waited for all before it: ${result.latency.maxMs} ms`);
  t.equal(result.invalid, null);
});

t.test('the warm-up is not measured', async (t) => {
  const { result, server } = await against(approve, { warmUpMs: 500, durationMs: 500 });
  t.equal(result.latency.count, result.generator.dueCount);
  t.ok(server.ids.length >= result.generator.dueCount + 200, 'the warm-up was sent too');
});

t.test('an unanswered request is a timeout, sent or not', async (t) => {
  const { result } = await against(() => undefined, {
    pace: { kind: 'open', ratePerSecond: 50, arrivals: 'constant' },
    connectionCount: 1,
    durationMs: 500,
    timeoutMs: 200,
  });
  t.equal(result.timeoutCount, result.generator.dueCount);
  t.equal(result.answerCount, 0);
  t.ok(result.latency.p50Ms >= 199);
});

t.test('several threads share the rate and never an id', async (t) => {
  const { result, server } = await against(approve, { threadCount: 4, requestCountMax: 400, durationMs: 30_000 });
  t.equal(result.rightCount, 400);
  t.equal(new Set(server.ids).size, 400);
});

t.test('thousands of connections are all used in turn', async (t) => {
  const sockets = new Set<unknown>();
  const { result } = await against(
    (request) => {
      sockets.add(request.socket);
      approve(request);
    },
    { connectionCount: 1000, requestCountMax: 1000, pace: { kind: 'open', ratePerSecond: 2000, arrivals: 'constant' } },
  );
  t.equal(result.rightCount, 1000);
  t.ok(sockets.size > 990, `${sockets.size} connections carried a request`);
});

t.test('a generator that cannot keep up says so', async (t) => {
  const { result } = await against(approve, { traffic: slowTraffic(), durationMs: 300, lagMsMax: 5 });
  t.match(result.invalid, /could not keep its schedule/);
  t.ok(result.generator.lag.p99Ms > 100);
});
