/** Reads the live stream as a browser does, and signs operators in without a password. */
import { once } from 'node:events';
import { type ClientRequest, get, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import type postgres from 'postgres';
import type { Test } from 'tap';
import type { OperatorRole } from '../auth/principal.js';
import type { LiveHistory, LiveTick } from '../live/live-shape.js';
import { addOperator, type OperatorStore } from '../stores/operators.js';

export interface LiveEvent {
  readonly id: string;
  readonly event: string;
  /** When it came, wall clock ms. */
  readonly cameMs: number;
  readonly data: LiveTick & LiveHistory;
}

export class LiveClient {
  readonly headers: IncomingHttpHeaders;
  readonly #events: AsyncGenerator<LiveEvent, undefined>;
  readonly #request: ClientRequest;

  private constructor(request: ClientRequest, response: IncomingMessage) {
    this.headers = response.headers;
    this.#events = eventsOf(response.setEncoding('utf8'));
    this.#request = request;
  }

  /** Ends with the test. */
  static async open(t: Test, url: string, headers: Readonly<Record<string, string>>): Promise<LiveClient> {
    // As a browser: it takes what is encoded, and a stream is not.
    const accepted = { 'accept-encoding': 'gzip, br', accept: 'text/event-stream', ...headers };
    const request = get(`${url}/api/live`, { headers: accepted, agent: false });
    t.teardown(() => request.destroy());
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    if (response.statusCode !== 200) throw new Error(`GET /api/live: ${response.statusCode}`);
    return new LiveClient(request, response);
  }

  close(): void {
    this.#request.destroy();
  }

  /** Null: the stream has ended. */
  async next(): Promise<LiveEvent | null> {
    return (await this.#events.next()).value ?? null;
  }

  /** The first tick for which that holds. */
  async until(holds: (tick: LiveTick) => boolean = () => true): Promise<LiveEvent> {
    for (;;) {
      const event = await this.next();
      if (event === null) throw new Error('the stream has ended');
      if (event.event === 'tick' && holds(event.data)) return event;
    }
  }
}

async function* eventsOf(response: AsyncIterable<string>): AsyncGenerator<LiveEvent, undefined> {
  let rest = '';
  for await (const chunk of response) {
    const events = (rest + chunk).split('\n\n');
    rest = events.pop()!;
    for (const text of events) {
      const fields = new Map(text.split('\n').map((line) => line.split(/: (.*)/) as [string, string]));
      const [id = '', event, data] = ['id', 'event', 'data'].map((name) => fields.get(name));
      if (event !== undefined) yield { id, event, cameMs: Date.now(), data: JSON.parse(data!) };
    }
  }
  return undefined;
}

/** @returns the session's token, and what ends the session */
export async function operatorSession(sql: postgres.Sql, operators: OperatorStore, role: OperatorRole = 'viewer') {
  const email = `${role}@example.com`;
  await addOperator(sql, { email, name: role, role, passwordHash: 'none', totpSecret: null });
  const { operator } = await operators.byEmail(email);
  const device = { address: '127.0.0.1', network: '127.0.0.1', userAgent: '', requestId: '' };
  const token = await operators.open(operator!.id, device);
  return { token, headers: { authorization: `Bearer ${token}` } };
}
