import t from 'tap';
import { loopback, startControl } from '../stack.js';
import { decision, type FakeRequest, httpAnswer, startFakeServer } from '../testing/fake-server.js';
import { type LoadOptions, load, newIdPrefix } from './load.js';
import { type UniformOptions, uniformTraffic } from './uniform.js';

const base: Omit<LoadOptions, 'port' | 'traffic'> = {
  host: loopback,
  pace: { kind: 'closed' },
  connectionCount: 4,
  threadCount: 1,
  warmUpMs: 0,
  // Generous: the number of requests ends these runs, never the time.
  durationMs: 30_000,
  requestCountMax: 200,
  timeoutMs: 5000,
  seed: 7,
};

const uniform: UniformOptions = {
  path: '/v1/authorizations',
  credentials: { user: 'processor', password: 'secret' },
  kind: 'authorization',
  idPrefix: 'test',
  cardFirst: 1,
  cardCount: 10,
  cardsPerAccount: 1,
  cardOrder: 'random',
  amountMinorMin: 1000,
  amountMinorMax: 9999,
  answers: 'decision',
};

/** Runs the load against a fake server that answers like this. */
async function against(
  answer: (request: FakeRequest) => void,
  options: Partial<LoadOptions> = {},
  traffic: Partial<UniformOptions> = {},
) {
  const server = await startFakeServer(answer);
  try {
    const plan = uniformTraffic({ ...uniform, ...traffic });
    return { result: await load({ ...base, port: server.port, traffic: plan, ...options }), server };
  } finally {
    await server.stop();
  }
}

t.test('the generator counts every answer of the echo, from several threads', async (t) => {
  const echo = await startControl('echo', t.testdir());
  t.teardown(() => echo.stop());
  const result = await load({
    ...base,
    port: echo.port,
    traffic: uniformTraffic({ ...uniform, idPrefix: newIdPrefix('echo'), answers: 'echo' }),
    threadCount: 2,
    requestCountMax: 501,
  });
  t.equal(result.answerCount, 501);
  t.equal(result.latency.count, 501);
  t.strictSame(result.statusCounts, { 200: 501 });
  t.match(result, {
    wrongCount: 0,
    errorCount: 0,
    timeoutCount: 0,
    rightCount: 501,
    declinedCount: 0,
    errorFirst: null,
  });
  t.ok(result.latency.p50Ms > 0 && result.latency.p50Ms <= result.latency.maxMs);
  t.ok(result.generator.cpuPerAnswerUs > 0);
});

t.test('every request is a well-formed message of its own', async (t) => {
  let head = '';
  const { result, server } = await against((request) => {
    head = request.head;
    request.socket.write(decision(request.id, request.number % 4 !== 0));
  });
  t.match(result, { answerCount: 200, rightCount: 150, declinedCount: 50, wrongCount: 0 });
  t.equal(new Set(server.ids).size, 200, 'every id is unique');
  t.match(head, /^POST \/v1\/authorizations HTTP\/1.1\r\n/);
  t.match(head, `Authorization: Basic ${Buffer.from('processor:secret').toString('base64')}`);
  for (const body of server.bodies) {
    const question = JSON.parse(body) as { amount: number; card: string };
    t.match(question, { type: 'authorization', currency: 'USD', card: /^card_0000(0[1-9]|10)_1$/ });
    t.ok(question.amount >= 1000 && question.amount <= 9999);
  }
});

t.test('the same seed sends the same cards and amounts', async (t) => {
  const options = { connectionCount: 1, requestCountMax: 20 };
  const run = () => against((request) => request.socket.write(decision(request.id, true)), options);
  const [one, two] = [await run(), await run()];
  t.strictSame(one.server.bodies, two.server.bodies);
});

t.test('in sequence every card is used once, across a change of its number of digits', async (t) => {
  const { result, server } = await against(
    (request) => request.socket.write(decision(request.id, true)),
    { requestCountMax: 20, threadCount: 2 },
    { kind: 'balance_inquiry', cardOrder: 'sequence', cardFirst: 999_990, cardCount: 20 },
  );
  t.equal(result.rightCount, 20);
  const cards = server.bodies.map((body) => (JSON.parse(body) as { card: string }).card);
  const expected = Array.from({ length: 20 }, (_, index) => `card_${999_990 + index}_1`);
  t.strictSame(cards.sort(), expected.sort());
});

t.test('an answer with the id of another message counts as wrong', async (t) => {
  const { result } = await against((request) => {
    const id = request.number === 5 ? 'test-other' : request.number === 6 ? request.id.replace(/.$/, 'x') : request.id;
    request.socket.write(decision(id, true));
  });
  t.match(result, { answerCount: 200, wrongCount: 2, rightCount: 198, errorCount: 0 });
});

t.test('the id may be anywhere in the answer', async (t) => {
  const { result } = await against((request) => {
    request.socket.write(httpAnswer(200, JSON.stringify({ approved: true, nested: { id: 'x' }, id: request.id })));
  });
  t.match(result, { wrongCount: 0, rightCount: 200 });
});

t.test('refusals are counted by status and are not wrong answers', async (t) => {
  const { result } = await against((request) => {
    request.socket.write(request.number % 2 === 0 ? httpAnswer(503, '{}') : decision(request.id, true));
  });
  t.strictSame(result.statusCounts, { 200: 100, 503: 100 });
  t.match(result, { wrongCount: 0, rightCount: 100, refusedCount: 100 });
  t.equal(result.latency.count, 100, 'refusals have a histogram of their own');
});

t.test('answers that come byte by byte are read whole', async (t) => {
  const { result } = await against(
    ({ id, socket }) => {
      const answer = decision(id, true);
      const send = (index: number) => {
        if (index >= answer.length) return;
        socket.write(answer.slice(index, index + 1));
        setImmediate(send, index + 1);
      };
      send(0);
    },
    { requestCountMax: 5, connectionCount: 2 },
  );
  t.match(result, { answerCount: 5, rightCount: 5, wrongCount: 0, errorCount: 0 });
});

t.test('two answers to one message are an error', async (t) => {
  const { result } = await against(
    ({ id, socket, number }) => {
      socket.write(number === 3 ? decision(id, true) + decision(id, true) : decision(id, true));
    },
    { requestCountMax: 20 },
  );
  t.match(result, { answerCount: 19, errorCount: 1, errorFirst: 'malformed or surplus answer' });
});

t.test('a closed connection is an error and is renewed', async (t) => {
  const { result } = await against(
    ({ id, socket, number }) => {
      if (number === 3) socket.destroy();
      else socket.write(decision(id, true));
    },
    { requestCountMax: 20, connectionCount: 1 },
  );
  t.match(result, { answerCount: 19, errorCount: 1, wrongCount: 0 });
});

t.test('a stall shows in the tail of the latencies', async (t) => {
  const stallMs = 300;
  const { result } = await against(({ id, socket, number }) => {
    if (number === 50) setTimeout(() => socket.write(decision(id, true)), stallMs);
    else socket.write(decision(id, true));
  });
  // The timer may fire a little early; a slow machine makes it only longer.
  t.ok(result.latency.maxMs >= stallMs - 5, 'the slowest answer took as long as the stall');
  t.ok(result.latency.p50Ms < stallMs, 'the other answers were fast');
  t.equal(result.answerCount, 200);
});

t.test('an unanswered request is a timeout with its age in the histogram', async (t) => {
  const timeoutMs = 200;
  const { result } = await against(
    ({ id, socket, number }) => {
      if (number !== 5) socket.write(decision(id, true));
    },
    { timeoutMs, requestCountMax: 20 },
  );
  t.match(result, { answerCount: 19, timeoutCount: 1, errorCount: 0 });
  t.equal(result.latency.count, 20);
  t.ok(result.latency.maxMs >= timeoutMs);
});

t.test('the end of the run waits for requests in flight', async (t) => {
  const answerAfterMs = 400;
  const { result } = await against(
    ({ id, socket }) => setTimeout(() => socket.write(decision(id, true)), answerAfterMs),
    { durationMs: 50, requestCountMax: null },
  );
  // Sent in the measured time, answered after it: in the latencies, not in the rate.
  t.match(result, { answerCount: 0, rightCount: 4, timeoutCount: 0 });
  t.equal(result.latency.count, 4);
  t.ok(result.latency.maxMs >= answerAfterMs - 5);
});

t.test('a run against a missing server fails', async (t) => {
  const server = await startFakeServer(() => undefined);
  await server.stop();
  const traffic = uniformTraffic(uniform);
  await t.rejects(load({ ...base, port: server.port, traffic }), { code: 'ECONNREFUSED' });
});

t.test('bad options are refused by name', async (t) => {
  const traffic = uniformTraffic(uniform);
  await t.rejects(load({ ...base, traffic, port: 1, connectionCount: 0 }), /connectionCount/);
  await t.rejects(load({ ...base, traffic, port: 1, threadCount: 5 }), /threadCount/);
  await t.rejects(
    load({ ...base, traffic, port: 1, pace: { kind: 'open', ratePerSecond: 0, arrivals: 'constant' } }),
    /ratePerSecond/,
  );
  t.throws(() => uniformTraffic({ ...uniform, amountMinorMin: 900 }), /same number of digits/);
  t.throws(() => uniformTraffic({ ...uniform, idPrefix: 'a"b' }), /idPrefix/);
  t.throws(() => uniformTraffic({ ...uniform, cardsPerAccount: 10 }), /cardsPerAccount/);
});
