/**
 * Says in the log when declines of a kind begin and when they have ended, with their number: one line each, however
 * many there were. The counters are read once a second, so the hot path pays nothing for it.
 */
import type { Log } from '../../platform/log.js';

export interface DeclineKind {
  readonly name: string;
  /** How many there have been since the start. */
  count(): number;
  /** What is known about the cause while it lasts. */
  cause(): string;
}

/** Declines with longer pauses between them than this are reported separately. */
const quietMs = 5000;

interface Spell {
  readonly kind: DeclineKind;
  seen: number;
  /** Null: none has come for a while. */
  since: { readonly atMs: number; readonly count: number } | null;
  newestAtMs: number;
}

export class DeclineLog {
  readonly #spells: Spell[];
  readonly #log: Pick<Log, 'error' | 'warn'>;

  constructor(kinds: readonly DeclineKind[], log: Pick<Log, 'error' | 'warn'>) {
    this.#spells = kinds.map((kind) => ({ kind, seen: 0, since: null, newestAtMs: 0 }));
    this.#log = log;
  }

  /** @param nowMs monotonic milliseconds */
  look(nowMs: number): void {
    for (const spell of this.#spells) this.#lookAt(spell, nowMs);
  }

  #lookAt(spell: Spell, nowMs: number): void {
    const { kind, seen } = spell;
    const count = kind.count();
    spell.seen = count;
    if (count > seen) {
      spell.newestAtMs = nowMs;
      if (spell.since !== null) return;
      spell.since = { atMs: nowMs, count: seen };
      this.#log.error({ kind: kind.name, count: count - seen, cause: kind.cause() }, 'declines of this kind began');
    } else if (spell.since !== null && nowMs - spell.newestAtMs > quietMs) {
      const seconds = Math.round((spell.newestAtMs - spell.since.atMs) / 1000);
      this.#log.warn({ kind: kind.name, count: count - spell.since.count, seconds }, 'declines of this kind ended');
      spell.since = null;
    }
  }
}
