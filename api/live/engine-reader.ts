/** Reads the lines of one engine, and connects again whenever they end. */
import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import type { EngineLine } from '../../platform/live/engine-line.js';

/** An engine writes four lines a second: one that is silent for this long is connected to again. */
const silentMsMax = 5000;
/** The pause before the next connection doubles, while none brings a line. */
const pauseMsMin = 100;
const pauseMsMax = 2000;
/** Twenty decisions with the longest texts are some 20 KiB. */
const lineLengthMax = 256 * 1024;

export interface EngineReaderOptions {
  /** Of the engine's ops port. */
  readonly url: string;
  readonly token: string;
  line(line: EngineLine): void;
}

export class EngineReader {
  readonly url: string;
  readonly #options: EngineReaderOptions;
  readonly #stopping = new AbortController();
  readonly #ended: Promise<void>;

  /** Begins at once. */
  constructor(options: EngineReaderOptions) {
    this.url = options.url;
    this.#options = options;
    this.#ended = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let pauseMs = pauseMsMin;
    while (!signal.aborted) {
      const lines = await this.#read();
      pauseMs = lines > 0 ? pauseMsMin : Math.min(pauseMsMax, 2 * pauseMs);
      await delay(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** @returns how many lines came until the connection ended */
  async #read(): Promise<number> {
    const { url, token, line } = this.#options;
    // Not fetch: its signal may be forgotten when memory is collected, and then ends no answer.
    const { get } = url.startsWith('https:') ? https : http;
    const headers = { authorization: `Bearer ${token}` };
    const request = get(`${url}/admin/live`, { headers, agent: false, timeout: silentMsMax });
    const end = (): void => void request.destroy();
    request.once('timeout', end);
    this.#stopping.signal.addEventListener('abort', end, { once: true });
    let count = 0;
    try {
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      if (response.statusCode !== 200) return 0;
      for await (const text of linesOf(response.setEncoding('utf8'))) {
        count++;
        line(JSON.parse(text) as EngineLine);
      }
    } catch {
      // The engine has gone, is silent, or sends what is no line: the stream shows it as not up.
    } finally {
      this.#stopping.signal.removeEventListener('abort', end);
      request.on('error', () => undefined).destroy();
    }
    return count;
  }
}

async function* linesOf(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    yield* lines;
    if (rest.length > lineLengthMax) throw new Error('a line is too long');
  }
}
