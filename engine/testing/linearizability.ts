/**
 * Whether the answers about one account can be put in one order. Each takes effect at an instant between its question
 * and its answer, and shows the books as they are then. The client's own clock says what came before what, so the
 * history may come from several engines. The search is that of Wing and Gong; what the answers show leaves it little
 * choice.
 */
import type { Asked } from './ledger.js';

export interface Books {
  readonly funds: number;
  readonly held: number;
  readonly posted: number;
}

export interface Operation {
  readonly name: string;
  readonly askedAtMs: number;
  readonly answeredAtMs: number;
  /** Changes by this message. */
  readonly moved: Books;
  /** What the answer shows: available funds, and all books where it does. */
  readonly available: number;
  readonly books: Books | null;
  /** What an attempt that was answered 503 may hold until it is revoked; 0: nothing. */
  readonly fleetingMinor: number;
  readonly fleetingMax: number;
}

/** Enough for histories of tens of thousands; one that needs more shows too little. */
const stepsMax = 20_000_000;

/** A place in the doubly linked list of operations without a place in the order, sorted by their questions. */
interface Entry {
  readonly operation: Operation;
  readonly index: number;
  before: Entry | null;
  after: Entry | null;
  isFleeting: boolean;
  fleetings: number;
}

/** One thing that may come next: an operation, or the begin or end of what an attempt held. */
interface Choice {
  readonly entry: Entry;
  readonly isFleeting: boolean;
}

interface Frame {
  readonly choices: readonly Choice[];
  next: number;
}

/** @returns why there is no such order; '' when there is one */
export function whyNoOrder(operations: readonly Operation[], start: Books): string {
  return new Search(operations, start).run();
}

class Search {
  readonly #head: Entry;
  #funds: number;
  #held: number;
  #posted: number;
  #left: number;
  #leastLeft: number;
  #furthest: (Books & { readonly window: readonly Entry[] }) | null = null;
  readonly #visited = new Set<string>();

  constructor(operations: readonly Operation[], { funds, held, posted }: Books) {
    this.#funds = funds;
    this.#held = held;
    this.#posted = posted;
    this.#left = operations.length;
    this.#leastLeft = operations.length + 1;
    const sorted = operations.toSorted((one, other) => one.askedAtMs - other.askedAtMs);
    this.#head = { operation: sorted[0]!, index: -1, before: null, after: null, isFleeting: false, fleetings: 0 };
    let last = this.#head;
    for (const [index, operation] of sorted.entries()) {
      const entry: Entry = { operation, index, before: last, after: null, isFleeting: false, fleetings: 0 };
      last.after = entry;
      last = entry;
    }
  }

  run(): string {
    const frames: Frame[] = [{ choices: this.#choices(), next: 0 }];
    for (let steps = 0; this.#left > 0; steps++) {
      if (steps > stepsMax) return `not decided after ${stepsMax} steps; ${this.#trouble()}`;
      const frame = frames.at(-1)!;
      const choice = frame.choices[frame.next++];
      if (choice === undefined) {
        frames.pop();
        const former = frames.at(-1);
        if (former === undefined) return this.#trouble();
        this.#undo(former.choices[former.next - 1]!);
        continue;
      }
      this.#do(choice);
      frames.push({ choices: this.#isVisited(frame) ? [] : this.#choices(), next: 0 });
    }
    return '';
  }

  #trouble(): string {
    const { window, funds, held, posted } = this.#furthest!;
    const names = window.map(({ operation }) => operation.name);
    return `after funds ${funds} held ${held} posted ${posted} none of these fits: ${names.join('; ')}`;
  }

  /** What was tried from here before needs no second try. Where there was no choice, there was no other way here. */
  #isVisited({ choices }: Frame): boolean {
    if (choices.length < 2) return false;
    const window = this.#window();
    const fleeting = window.map(({ index, isFleeting, fleetings }) => `${index}:${fleetings}${isFleeting ? 'f' : ''}`);
    const key = `${this.#left} ${this.#funds} ${this.#held} ${this.#posted} ${fleeting.join()}`;
    if (this.#visited.has(key)) return true;
    this.#visited.add(key);
    return false;
  }

  /** Operations that may come next: none of the others was answered before they were asked. */
  #window(): Entry[] {
    const window: Entry[] = [];
    let answeredAtMs = Number.POSITIVE_INFINITY;
    for (let entry = this.#head.after; entry !== null; entry = entry.after) {
      if (entry.operation.askedAtMs > answeredAtMs) break;
      answeredAtMs = Math.min(answeredAtMs, entry.operation.answeredAtMs);
      window.push(entry);
    }
    return window;
  }

  #choices(): readonly Choice[] {
    const window = this.#window();
    const choices: Choice[] = [];
    for (const entry of window) {
      if (entry.isFleeting || !this.#fits(entry.operation)) continue;
      const choice = { entry, isFleeting: false };
      // What changes nothing may come at once: nothing that is possible later becomes impossible.
      const { moved, fleetingMinor } = entry.operation;
      if (moved.funds === 0 && moved.held === 0 && moved.posted === 0 && fleetingMinor === 0) return [choice];
      choices.push(choice);
    }
    for (const entry of window) {
      const { fleetingMinor, fleetingMax } = entry.operation;
      if (fleetingMinor === 0 || (!entry.isFleeting && entry.fleetings >= fleetingMax)) continue;
      choices.push({ entry, isFleeting: true });
    }
    if (this.#left < this.#leastLeft) {
      this.#leastLeft = this.#left;
      this.#furthest = { window, funds: this.#funds, held: this.#held, posted: this.#posted };
    }
    return choices;
  }

  #fits({ moved, available, books }: Operation): boolean {
    const funds = this.#funds + moved.funds;
    const held = this.#held + moved.held;
    const posted = this.#posted + moved.posted;
    if (funds - held - posted !== available) return false;
    return books === null || (books.funds === funds && books.held === held && books.posted === posted);
  }

  #do({ entry, isFleeting }: Choice): void {
    if (isFleeting) {
      this.#toggle(entry, entry.isFleeting ? 0 : 1);
      return;
    }
    this.#move(entry.operation.moved, 1);
    entry.before!.after = entry.after;
    if (entry.after !== null) entry.after.before = entry.before;
    this.#left--;
  }

  #undo({ entry, isFleeting }: Choice): void {
    if (isFleeting) {
      this.#toggle(entry, entry.isFleeting ? -1 : 0);
      return;
    }
    this.#move(entry.operation.moved, -1);
    entry.before!.after = entry;
    if (entry.after !== null) entry.after.before = entry;
    this.#left++;
  }

  /** @param counts a begin counts, and its undoing takes that back */
  #toggle(entry: Entry, counts: number): void {
    entry.isFleeting = !entry.isFleeting;
    entry.fleetings += counts;
    this.#held += entry.isFleeting ? entry.operation.fleetingMinor : -entry.operation.fleetingMinor;
  }

  #move({ funds, held, posted }: Books, sign: 1 | -1): void {
    this.#funds += sign * funds;
    this.#held += sign * held;
    this.#posted += sign * posted;
  }
}

/** An acknowledged message of the client's ledger. */
export function operationOf({ text, answer, message, moved, askedAtMs, answeredAtMs, failures }: Asked): Operation {
  const body = JSON.parse(answer) as { readonly available: number; readonly account?: Books & { available: number } };
  const { account } = body;
  const isRevocable = message.type === 'authorization' || message.type === 'incremental';
  return {
    name: `${text} → ${answer} (${askedAtMs.toFixed(1)} to ${answeredAtMs.toFixed(1)} ms)`,
    askedAtMs,
    answeredAtMs,
    moved,
    available: account?.available ?? body.available,
    books: account ?? null,
    fleetingMinor: isRevocable && failures > 0 ? (message.amount ?? 0) : 0,
    fleetingMax: failures,
  };
}
