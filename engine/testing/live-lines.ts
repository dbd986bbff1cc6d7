/** Reads `GET /admin/live` of an engine in a test. */
import type { Test } from 'tap';
import type { DecisionSample, EngineLine } from '../../platform/live/engine-line.js';
import { type EnginePlace, testToken } from './engine-process.js';

export class LiveLines {
  readonly #lines: AsyncIterator<EngineLine>;
  readonly #stop: AbortController;
  /** Everything that lines have shown. */
  readonly shown: DecisionSample[] = [];

  private constructor(response: Response, stop: AbortController) {
    this.#lines = linesOf(response);
    this.#stop = stop;
  }

  /** Ends with the test. */
  static async open(t: Test, { opsPort }: Pick<EnginePlace, 'opsPort'>): Promise<LiveLines> {
    const stop = new AbortController();
    t.teardown(() => stop.abort());
    const response = await fetch(`http://127.0.0.1:${opsPort}/admin/live`, {
      headers: { authorization: `Bearer ${testToken}` },
      signal: stop.signal,
    });
    if (response.status !== 200) throw new Error(`GET /admin/live: ${response.status} ${await response.text()}`);
    return new LiveLines(response, stop);
  }

  close(): void {
    this.#stop.abort();
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

async function* linesOf(response: Response): AsyncGenerator<EngineLine, undefined> {
  let rest = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    for (const line of lines) yield JSON.parse(line) as EngineLine;
  }
  return undefined;
}

export function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
