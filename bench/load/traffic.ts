/**
 * What the load generator sends and what it takes for an answer. A traffic is a module of its own that the sending
 * threads import: `createTraffic(options, context)`; uniform.ts, life-cycle.ts and requests.ts are three of them.
 *
 * The calls stand on the generator's hot path, beside the server under test on the same cores: no allocation that can
 * be avoided, no parsing beyond what the verdict needs.
 */
import type { AnswerView } from './answer.js';

export const Verdict = {
  /** The answer to this question, and the one that was expected. */
  right: 0,
  /** An answer to this question, but a no where a yes was expected. */
  declined: 1,
  /** The server says that it cannot now (503, 429): nothing was done. */
  refused: 2,
  /** The answer to another question, one that cannot be true, or no answer at all. */
  wrong: 3,
} as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

/** One connection's place for a request; a traffic adds what it needs to judge the answer. */
export interface Exchange {
  /** Index into Traffic.kinds of the request that was composed last. */
  kind: number;
}

export interface Traffic<E extends Exchange = Exchange> {
  /** Names of the kinds of requests, for counting. */
  readonly kinds: readonly string[];
  /** Called once per connection. */
  exchange(): E;
  /** The next request, whole; its bytes stay untouched until it is answered or abandoned. */
  compose(exchange: E): Uint8Array;
  /** Judges the answer to what was composed last. */
  judge(exchange: E, answer: AnswerView): Verdict;
  /** No answer will come: timeout, or the connection failed. */
  abandon?(exchange: E): void;
}

/** Names a traffic for the threads: plain data, it crosses a thread boundary. */
export interface TrafficPlan {
  /** URL of the compiled module. */
  readonly module: string;
  readonly options: unknown;
}

export interface TrafficContext {
  readonly host: string;
  readonly port: number;
  readonly threadNumber: number;
  readonly threadCount: number;
  readonly seed: number;
}

export interface TrafficModule {
  createTraffic(options: never, context: TrafficContext): Traffic;
}

/** Basic credentials of the authorization port. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** The head of a POST up to and with `Content-Length: `; null credentials send no Authorization header. */
export function requestHead(
  path: string,
  context: Pick<TrafficContext, 'host' | 'port'>,
  credentials: Credentials | null,
): string {
  const authorization =
    credentials === null
      ? ''
      : `Authorization: Basic ${Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64')}\r\n`;
  return (
    `POST ${path} HTTP/1.1\r\nHost: ${context.host}:${context.port}\r\n${authorization}` +
    'Content-Type: application/json\r\nContent-Length: '
  );
}
