/** The engines whose lines are read: those that one of them lists, looked at again and again. */
import type { EngineLine } from '../../platform/live/engine-line.js';
import { EngineReader } from './engine-reader.js';
import type { KnownEngine } from './engine-track.js';

const listEveryMs = 2000;
const listMsMax = 1500;
/** As many as the merge shows. */
const enginesMax = 64;

interface ListedEngine extends KnownEngine {
  readonly opsUrl: string;
}

export interface LiveEnginesOptions {
  /** Where any engine answers. */
  readonly engineUrl: string;
  readonly token: string;
  listed(engines: readonly KnownEngine[]): void;
  line(line: EngineLine): void;
}

export class LiveEngines {
  readonly #options: LiveEnginesOptions;
  /** By id of the engine. */
  readonly #readers = new Map<string, EngineReader>();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(options: LiveEnginesOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#look();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await Promise.all([...this.#readers.values()].map((reader) => reader.stop()));
  }

  async #look(): Promise<void> {
    const engines = await this.#list();
    if (this.#isStopped) return;
    // Without a list the readers go on: an engine that comes back is found by them.
    if (engines !== null) this.#follow(engines.slice(0, enginesMax));
    this.#timer = setTimeout(() => void this.#look(), listEveryMs);
  }

  /** Null: no engine answers. */
  async #list(): Promise<readonly ListedEngine[] | null> {
    const { engineUrl, token } = this.#options;
    const urls = new Set([engineUrl, ...[...this.#readers.values()].map(({ url }) => url)]);
    for (const url of urls) {
      try {
        const response = await fetch(`${url}/admin/engines`, {
          headers: { authorization: `Bearer ${token}` },
          redirect: 'error',
          signal: AbortSignal.timeout(listMsMax),
        });
        const answer = (await response.json()) as { readonly data: readonly ListedEngine[] };
        if (response.status === 200) return answer.data;
      } catch {
        // The next one is asked.
      }
      if (this.#isStopped) break;
    }
    return null;
  }

  #follow(engines: readonly ListedEngine[]): void {
    this.#options.listed(engines);
    const { engineUrl, token, line } = this.#options;
    const ids = new Set(engines.map(({ id }) => id));
    for (const [id, reader] of this.#readers) {
      if (ids.has(id)) continue;
      this.#readers.delete(id);
      void reader.stop();
    }
    for (const { id, opsUrl } of engines) {
      if (this.#readers.has(id)) continue;
      // The only engine is the one that answered, and is reached the same way, whatever it takes its own address for.
      const url = engines.length === 1 ? engineUrl : opsUrl;
      this.#readers.set(id, new EngineReader({ url, token, line }));
    }
  }
}
