/**
 * Traffic of fixed requests, drawn by weight: for servers whose answers are judged by their status, as the account
 * API's. Every request is bytes built once; a number can be put in to make each one different (`{n}` in path, headers
 * or body).
 */
import type { AnswerView } from './answer.js';
import { Random } from './random.js';
import { type Exchange, type Traffic, type TrafficContext, type TrafficPlan, Verdict } from './traffic.js';

export interface RequestSpec {
  /** For the counts by kind. */
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** How often, against the sum of all weights. */
  readonly weight: number;
  /** The right answer; 429 and 503 are refusals, everything else is wrong. */
  readonly status: number;
}

export function requestsTraffic(requests: readonly RequestSpec[]): TrafficPlan {
  if (!requests.some(({ weight }) => weight > 0)) throw new RangeError('load: no request has a weight above 0');
  return { module: import.meta.url, options: requests };
}

interface RequestExchange extends Exchange {
  kind: number;
}

export function createTraffic(requests: readonly RequestSpec[], context: TrafficContext): Traffic<RequestExchange> {
  const random = new Random(context.seed, context.threadNumber);
  const weightSum = requests.reduce((sum, { weight }) => sum + weight, 0);
  const constant = requests.map((request) =>
    JSON.stringify(request).includes('{n}') ? null : render(request, context, ''),
  );
  let number = 0;

  const pick = (): number => {
    let left = random.unit() * weightSum;
    for (const [index, { weight }] of requests.entries()) {
      left -= weight;
      if (left <= 0) return index;
    }
    return requests.length - 1;
  };
  return {
    kinds: requests.map(({ name }) => name),
    exchange: () => ({ kind: 0 }),
    compose(exchange) {
      exchange.kind = pick();
      // Threads count in steps of their number, so that no two put in the same.
      const unique = () => String(number++ * context.threadCount + context.threadNumber);
      return constant[exchange.kind] ?? render(requests[exchange.kind]!, context, unique());
    },
    judge(exchange, answer: AnswerView) {
      if (answer.status === requests[exchange.kind]!.status) return Verdict.right;
      return answer.status === 429 || answer.status === 503 ? Verdict.refused : Verdict.wrong;
    },
  };
}

function render(request: RequestSpec, { host, port }: TrafficContext, number: string): Buffer {
  const fill = (text: string) => text.replaceAll('{n}', number);
  const body = fill(request.body ?? '');
  const headers = { host: `${host}:${port}`, ...request.headers };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${fill(value)}\r\n`);
  const length = request.body === undefined ? '' : `content-length: ${Buffer.byteLength(body)}\r\n`;
  return Buffer.from(`${request.method} ${fill(request.path)} HTTP/1.1\r\n${lines.join('')}${length}\r\n${body}`);
}
