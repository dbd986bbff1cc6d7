/**
 * Watches for engines that ended without a word, as by SIGKILL. Their connection to this engine is gone, and so is
 * their session at the database. Such an engine is replaced before its lease ends. Where a whole machine is lost,
 * nothing says so, and the lease ends by itself.
 */
import type { Registry } from './registry.js';

export interface DeathWatchOptions {
  readonly registry: Pick<Registry, 'id' | 'view' | 'declareDead'>;
  readonly isConnected: (engineId: string) => boolean;
  /** Other engines are suspected. */
  readonly changed: () => void;
  readonly leaseMs: number;
  /** Monotonic milliseconds. */
  readonly nowMs?: () => number;
}

/** Until the server sees that a session has ended, and the engine has missed its renewals. */
const lookMs = 50;

export class DeathWatch {
  readonly #options: DeathWatchOptions;
  readonly #nowMs: () => number;
  /** Engines that cannot be reached, and since when. */
  readonly #missing = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(options: DeathWatchOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  /** One that still renews when its lease would have ended lives, and only its connection is broken. */
  isSuspected(engineId: string): boolean {
    const sinceMs = this.#missing.get(engineId);
    return sinceMs !== undefined && this.#nowMs() - sinceMs < this.#options.leaseMs;
  }

  /** To be called when an engine is connected, or no longer, and with each view. */
  look(): void {
    if (this.#isStopped) return;
    const { registry, isConnected, changed } = this.#options;
    const missing = registry.view.engines.filter(({ id }) => id !== registry.id && !isConnected(id));
    const ids = new Set(missing.map(({ id }) => id));
    let hasChanged = false;
    for (const id of this.#missing.keys()) if (!ids.has(id)) hasChanged = this.#missing.delete(id);
    for (const id of ids) {
      if (this.#missing.has(id)) continue;
      this.#missing.set(id, this.#nowMs());
      hasChanged = true;
    }
    if (hasChanged) changed();
    if (this.#timer === undefined && this.#suspects.length > 0) void this.#declare();
  }

  get #suspects(): readonly string[] {
    return [...this.#missing.keys()].filter((id) => this.isSuspected(id));
  }

  async #declare(): Promise<void> {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#suspects.length > 0) void this.#declare();
      // Those that were suspected are so no longer.
      else this.#options.changed();
    }, lookMs);
    await Promise.all(this.#suspects.map((id) => this.#options.registry.declareDead(id)));
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#missing.clear();
  }
}
