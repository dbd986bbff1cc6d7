/** A traffic that takes long to write each request, so that a test sees what the generator says of itself then. */
import type { Exchange, Traffic, TrafficPlan } from '../load/traffic.js';
import { Verdict } from '../load/traffic.js';

const composeMs = 8;

export function slowTraffic(): TrafficPlan {
  return { module: import.meta.url, options: null };
}

export function createTraffic(): Traffic<Exchange> {
  const request = Buffer.from('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"id":"1"}');
  return {
    kinds: ['slow'],
    exchange: () => ({ kind: 0 }),
    compose() {
      const untilMs = performance.now() + composeMs;
      while (performance.now() < untilMs);
      return request;
    },
    judge: (_exchange, answer) => (answer.status === 200 ? Verdict.right : Verdict.wrong),
  };
}
