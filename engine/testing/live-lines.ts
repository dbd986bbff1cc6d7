/** Reads `GET /admin/live` of an engine in a test. */
import { once } from 'node:events';
import { type ClientRequest, get, type IncomingMessage } from 'node:http';
import type { Test } from 'tap';
import type { DecisionSample, EngineLine } from '../../platform/live/engine-line.js';
import { type EnginePlace, testToken } from './engine-process.js';

export class LiveLines {
  readonly #lines: AsyncIterator<EngineLine>;
  readonly #request: ClientRequest;
  /** Everything that lines have shown. */
  readonly shown: DecisionSample[] = [];

  private constructor(request: ClientRequest, response: IncomingMessage) {
    this.#lines = linesOf(response.setEncoding('utf8'));
    this.#request = request;
  }

  /** Ends with the test. */
  static async open(t: Test, { opsPort }: Pick<EnginePlace, 'opsPort'>): Promise<LiveLines> {
    const headers = { authorization: `Bearer ${testToken}` };
    const request = get(`http://127.0.0.1:${opsPort}/admin/live`, { headers, agent: false });
    t.teardown(() => request.destroy());
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    if (response.statusCode !== 200) throw new Error(`GET /admin/live: ${response.statusCode}`);
    return new LiveLines(request, response);
  }

  close(): void {
    this.#request.destroy();
  }

  /** Null: the engine has ended the stream. */
  async next(): Promise<EngineLine | null> {
    const { done, value } = await this.#lines.next();
    if (done === true) return null;
    this.shown.push(...value.last);
    return value;
  }

  /** The first line for which that holds. */
  async until(holds: (line: EngineLine) => boolean): Promise<EngineLine> {
    for (;;) {
      const line = await this.next();
      if (line === null) throw new Error('the engine ended the stream');
      if (holds(line)) return line;
    }
  }
}

async function* linesOf(response: AsyncIterable<string>): AsyncGenerator<EngineLine, undefined> {
  let rest = '';
  for await (const chunk of response) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    for (const line of lines) yield JSON.parse(line) as EngineLine;
  }
  return undefined;
}

export function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
