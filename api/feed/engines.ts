/**
 * Who waits until a change is in force on every live engine. A waiter's place is the newest number at a moment when its
 * change was known to have one. So an engine that has applied up to there obeys it. Engines report how far they are;
 * what they forget to say, and who has died, is read from their rows.
 */
import type { FeedEntry } from '../../engine/core/feed.js';
import type { Change, RelayOutbox } from './outbox.js';

/** While a change waits the rows are read this often: engines die, and reports get lost. */
const lookMs = 100;
/** A change that is not in its row yet is looked for this often. */
const absentLookMs = 20;
/** Entries that a look brings along for the relay: more are read by it in pages. */
const carryMax = 500;
/** Waiters beyond this many get "not known" at once. */
const waitersMax = 10_000;

/** Ways of a change: until its number is known, and from then until it is in force on every live engine. */
export type Hop = 'numbered' | 'in_force';
export type ObserveHop = (hop: Hop, ms: number) => void;

/** What is known of a change when its waiter is answered. */
export interface Effect {
  readonly isInForce: boolean;
  /** Live engines that have it in force, of all live ones; `waiting` names the others. */
  readonly engines: { readonly inForce: number; readonly of: number; readonly waiting: readonly string[] };
  /** From the commit of the change to this answer. */
  readonly afterMs: number;
}

interface Waiter {
  readonly change: Change;
  readonly cameMs: number;
  /** When it came, then when its number was known. */
  sinceMs: number;
  /** 0: its change is not known to have a number yet. */
  place: number;
  /** Whether it was set apart is being asked. */
  isAsking: boolean;
  readonly settle: (isInForce: boolean) => void;
}

export class EngineWatch {
  readonly #outbox: Pick<RelayOutbox, 'confirm' | 'inForce'>;
  /** Called when changes have got numbers, with those that got them here. */
  readonly #numbered: (newest: number, entries: readonly FeedEntry[]) => void;
  readonly #observe: ObserveHop;
  readonly #waiters = new Set<Waiter>();
  /** What engines have said, and their rows. */
  readonly #applied = new Map<string, number>();
  /** Engines that decline something because they cannot apply it. */
  readonly #settingApart = new Set<string>();
  #live: readonly string[] = [];
  /** The engines were read when everything up to here had a number: no other engine can approve against it. */
  #liveAsOf = -1;
  #isRound = false;
  #roundAgain = false;
  #timer: NodeJS.Timeout | undefined;
  failures = 0;

  constructor(
    outbox: Pick<RelayOutbox, 'confirm' | 'inForce'>,
    numbered: (newest: number, entries: readonly FeedEntry[]) => void,
    observe: ObserveHop,
  ) {
    this.#outbox = outbox;
    this.#numbered = numbered;
    this.#observe = observe;
  }

  /** A look is on its way: it may bring what a caller has just learned. */
  get isLooking(): boolean {
    return this.#isRound;
  }
  get waiting(): number {
    return this.#waiters.size;
  }
  /** Live engines at the last look, and how far each is. */
  get engines(): readonly { readonly id: string; readonly applied: number }[] {
    return this.#live.map((id) => ({ id, applied: this.#applied.get(id) ?? 0 }));
  }

  /** In force once every live engine has it, not in force when that is not known in time. */
  async effect(change: Change, timeoutMs: number): Promise<Effect> {
    const nowMs = performance.now();
    return new Promise((resolve) => {
      const settle = (isInForce: boolean) => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        if (this.#waiters.size === 0) this.#rest();
        resolve(this.#effectOf(waiter, isInForce));
      };
      const waiter: Waiter = { change, cameMs: nowMs, sinceMs: nowMs, place: 0, isAsking: false, settle };
      // One that is no number would fail the question of all who ask with it.
      if (this.#waiters.size >= waitersMax || !/^\d{1,18}$/.test(change.key)) {
        resolve(this.#effectOf(waiter, false));
        return;
      }
      const timer = setTimeout(() => settle(false), timeoutMs);
      this.#waiters.add(waiter);
      this.#round();
    });
  }

  #effectOf({ place, cameMs }: Waiter, isInForce: boolean): Effect {
    const behind = (id: string) => place === 0 || (this.#applied.get(id) ?? 0) < place;
    const late = isInForce ? [] : this.#live.filter(behind);
    // All have applied it and it is not in force: an engine declines instead.
    const waiting = isInForce || late.length > 0 ? late : this.#live.filter((id) => this.#settingApart.has(id));
    const of = this.#live.length;
    return { isInForce, engines: { inForce: of - waiting.length, of, waiting }, afterMs: performance.now() - cameMs };
  }

  /** An engine says how far it is. */
  reported(engineId: string, sequence: number, setApart = 0): void {
    const known = this.#applied.get(engineId) ?? 0;
    // What was read earlier may be said later.
    if (sequence >= known) {
      if (setApart > 0) this.#settingApart.add(engineId);
      else this.#settingApart.delete(engineId);
    }
    if (sequence > known) this.#applied.set(engineId, sequence);
    this.#settle();
  }

  stop(): void {
    for (const waiter of [...this.#waiters]) waiter.settle(false);
  }

  #rest(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** One at a time serves everybody who came before it; who comes meanwhile is served by the next. */
  #round(): void {
    if (this.#isRound) {
      this.#roundAgain = true;
      return;
    }
    this.#isRound = true;
    this.#roundAgain = false;
    void this.#look().finally(() => {
      this.#isRound = false;
      if (this.#waiters.size === 0) return;
      if (this.#roundAgain) this.#round();
      else this.#later();
    });
  }

  #later(): void {
    this.#rest();
    const someAbsent = [...this.#waiters].some(({ place }) => place === 0);
    this.#timer = setTimeout(() => this.#round(), someAbsent ? absentLookMs : lookMs);
  }

  async #look(): Promise<void> {
    const unplaced = [...this.#waiters].filter(({ place }) => place === 0);
    try {
      const changes = unplaced.map(({ change }) => change);
      const { newest, present, engines, entries } = await this.#outbox.confirm(changes, carryMax);
      // First of all: the engines begin while we go on.
      this.#numbered(newest, entries);
      const nowMs = performance.now();
      for (const [index, waiter] of unplaced.entries()) {
        if (present[index] !== true) continue;
        waiter.place = Math.max(newest, 1);
        this.#observe('numbered', nowMs - waiter.sinceMs);
        waiter.sinceMs = nowMs;
      }
      const ids = new Set(engines.map(({ id }) => id));
      for (const id of this.#applied.keys()) if (!ids.has(id)) this.#applied.delete(id);
      for (const id of this.#settingApart) if (!ids.has(id)) this.#settingApart.delete(id);
      this.#live = [...ids];
      this.#liveAsOf = newest;
      for (const { id, applied, setApart } of engines) this.reported(id, applied, setApart);
      this.#settle();
    } catch {
      // Postgres is away: nothing can be confirmed, and the waiters learn so in time.
      this.failures++;
    }
  }

  #settle(): void {
    if (this.#waiters.size === 0) return;
    const slowest = Math.min(...this.#live.map((id) => this.#applied.get(id) ?? 0));
    const reached = Math.min(slowest, Number.MAX_SAFE_INTEGER);
    const settled: Waiter[] = [];
    for (const waiter of this.#waiters) {
      if (waiter.place === 0 || waiter.place > this.#liveAsOf || waiter.place > reached || waiter.isAsking) continue;
      settled.push(waiter);
    }
    if (this.#settingApart.size > 0) void this.#settleIfInForce(settled);
    else for (const waiter of settled) this.#inForce(waiter, true);
  }

  #inForce(waiter: Waiter, isInForce: boolean): void {
    this.#observe('in_force', performance.now() - waiter.sinceMs);
    waiter.settle(isInForce);
  }

  /** An engine has set something apart: perhaps it is what a waiter asks for. */
  async #settleIfInForce(waiters: readonly Waiter[]): Promise<void> {
    if (waiters.length === 0) return;
    for (const waiter of waiters) waiter.isAsking = true;
    try {
      const inForce = await this.#outbox.inForce(waiters.map(({ change }) => change));
      for (const [index, waiter] of waiters.entries()) this.#inForce(waiter, inForce[index] === true);
    } catch {
      // Asked again with the next look.
      this.failures++;
      for (const waiter of waiters) waiter.isAsking = false;
    }
  }
}
