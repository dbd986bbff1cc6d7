/** Lines of all engines in, ticks out. It has no clock of its own. */
import { type EngineLine, samplesMax } from '../../platform/live/engine-line.js';
import { EngineTrack, type KnownEngine } from './engine-track.js';
import type { LiveAlert, LiveBooks, LiveEngine, LiveTick } from './live-shape.js';
import { type Slice, sumOf } from './slice.js';

/** An engine that is no longer listed and sends nothing is shown as not up for this long: an operator should see it. */
const shownMs = 60_000;
/** More than an installation has; what counts beyond it are engines that came and went within a minute. */
const enginesMax = 64;
const slowestMax = 3;

/** What a tick shows of the program beside its engines. */
export interface Surroundings {
  readonly books: LiveBooks | null;
  alerts(engines: readonly LiveEngine[], refusedShare: number, nowMs: number): readonly LiveAlert[];
}

export class LiveMerge {
  readonly #surroundings: Surroundings;
  readonly #tracks = new Map<string, EngineTrack>();
  #listed: ReadonlySet<string> = new Set();
  #tickedMs: number;

  constructor(surroundings: Surroundings, nowMs: number) {
    this.#surroundings = surroundings;
    this.#tickedMs = nowMs;
  }

  /** The engines that run now, as one of them says. */
  list(engines: readonly KnownEngine[], nowMs: number): void {
    this.#listed = new Set(engines.map(({ id }) => id));
    for (const engine of engines) {
      if (!this.#tracks.has(engine.id)) this.#add(engine, nowMs);
    }
  }

  take(line: EngineLine, nowMs: number): void {
    (this.#tracks.get(line.id) ?? this.#add(line, nowMs)).take(line, nowMs);
  }

  #add(engine: KnownEngine, nowMs: number): EngineTrack {
    const track = new EngineTrack(engine, nowMs);
    this.#tracks.set(engine.id, track);
    return track;
  }

  /** Whether each engine that is up has sent a line since the tick before. */
  isComplete(nowMs: number): boolean {
    const up = [...this.#tracks.values()].filter((track) => track.isUp(nowMs));
    return up.length > 0 && up.every(({ hasNews }) => hasNews);
  }

  /** What came since the tick before. @returns the tick, and what history keeps of it */
  tick(nowMs: number): { readonly tick: LiveTick; readonly slice: Slice } {
    this.#forget(nowMs);
    const windowMs = Math.round(nowMs - this.#tickedMs);
    this.#tickedMs = nowMs;
    const tracks = [...this.#tracks.values()];
    const turns = tracks.map((track) => track.turn(windowMs));
    const slice = sumOf(turns.map((turn) => turn.slice));
    slice.windowMs = windowMs;
    const recent = sumOf(tracks.map((track) => track.recent));
    const up = tracks.filter((track) => track.isUp(nowMs));
    const last = turns.flatMap((turn) => turn.last).sort((one, other) => one.atMs - other.atMs);
    const engines = tracks.map((track) => track.view(nowMs));
    const tick: LiveTick = {
      atMs: Math.round(nowMs),
      windowMs,
      decided: slice.decided,
      approved: slice.approved,
      refused: slice.refused,
      byReason: Object.fromEntries(slice.byReason),
      latencyMs: recent.latency,
      hopsMs: recent.hops,
      settleLagMs: Math.round(Math.max(0, ...up.map(({ settleLagMs }) => settleLagMs))),
      settleLagRecords: up.reduce((sum, { settleLagRecords }) => sum + settleLagRecords, 0),
      slowest: slowestOf(tracks),
      engines,
      books: this.#surroundings.books,
      alerts: this.#surroundings.alerts(engines, refusedShareOf(recent), nowMs),
      last: last.slice(-samplesMax),
    };
    return { tick, slice };
  }

  #forget(nowMs: number): void {
    for (const [id, track] of this.#tracks) {
      const isGone = !this.#listed.has(id) && track.silentForMs(nowMs) >= shownMs;
      if (isGone || (this.#tracks.size > enginesMax && !track.isUp(nowMs))) this.#tracks.delete(id);
    }
  }
}

function slowestOf(tracks: readonly EngineTrack[]): LiveTick['slowest'] {
  const all = tracks.flatMap(({ id, recent }) => recent.slowHops.map((slow) => ({ engine: id, ...slow })));
  return all.sort((one, other) => other.p99Ms - one.p99Ms).slice(0, slowestMax);
}

/** Of all that came in. */
function refusedShareOf({ decided, refused }: Slice): number {
  return refused === 0 ? 0 : refused / (decided + refused);
}
