/** Background operations on MongoDB: behind those of requests, one at a time, and with rests. */
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { createStoreBench } from '../../testing/personal-stores.js';

t.test('background operations wait for those of requests and for each other', async (t) => {
  const bench = await createStoreBench(t);
  const connection = bench.connection;
  const order: string[] = [];
  let answer: () => void = () => undefined;
  const request = connection.run('request', async () => {
    await new Promise<void>((resolve) => {
      answer = resolve;
    });
    order.push('request');
  });
  const slow = connection.runBehind('slow', async () => {
    order.push('slow began');
    await delay(20);
    order.push('slow ended');
  });
  const next = connection.runBehind('next', async () => {
    order.push('next');
  });
  await delay(10);
  t.same(order, [], 'the request comes first');
  answer();
  await Promise.all([request, slow, next]);
  t.same(order, ['request', 'slow began', 'slow ended', 'next']);
});

t.test('a request that hangs does not hold up background operations for ever', async (t) => {
  const bench = await createStoreBench(t);
  let answer: () => void = () => undefined;
  const request = bench.connection.run('request', () => new Promise<void>((resolve) => (answer = resolve)));
  const { value, tookMs } = await bench.connection.runBehind('behind', async () => 'done');
  t.equal(value, 'done');
  // It gave up waiting after 250 ms.
  t.ok(tookMs < 250, 'the wait is no part of the duration');
  answer();
  await request;
});

t.test('a refused background operation does not disturb the next one', async (t) => {
  const bench = await createStoreBench(t);
  await t.rejects(
    bench.connection.runBehind('refused', async () => {
      throw new Error('refused');
    }),
    /refused/,
  );
  t.equal((await bench.connection.runBehind('next', async () => 1)).value, 1);
});
