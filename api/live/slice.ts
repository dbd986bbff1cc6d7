/** What was decided in a stretch of time, by one engine or by several. */
import { type EngineLine, type HopName, hopNames } from '../../platform/live/engine-line.js';
import { Histogram, round } from './histogram.js';
import type { LiveHops, LiveLatency } from './live-shape.js';

const approvedReason = 'approved';

export class Slice {
  windowMs = 0;
  decided = 0;
  approved = 0;
  refused = 0;
  /** Declines and refusals. */
  readonly byReason = new Map<string, number>();
  readonly #latency = new Histogram();
  readonly #hops = hopNames.map(() => ({ count: 0, sumMs: 0 }));
  readonly #hopTimes = hopNames.map(() => new Histogram());

  /** What an engine has counted from one line to a later one. */
  addDifference(before: EngineLine, after: EngineLine): void {
    for (const [reason, count] of differences(before.decided, after.decided)) {
      this.decided += count;
      if (reason === approvedReason) this.approved += count;
      else this.#count(reason, count);
    }
    for (const [reason, count] of differences(before.refused, after.refused)) {
      this.refused += count;
      this.#count(reason, count);
    }
    this.#latency.addDifference(before.latency, after.latency);
    for (const [index, name] of hopNames.entries()) {
      this.#hops[index]!.count += Math.max(0, after.hops[name][0] - before.hops[name][0]);
      this.#hops[index]!.sumMs += Math.max(0, after.hops[name][1] - before.hops[name][1]);
      const [earlier, later] = [before.hopTimes?.[name], after.hopTimes?.[name]];
      if (earlier !== undefined && later !== undefined) this.#hopTimes[index]!.addDifference(earlier, later);
    }
  }

  /** Of another stretch of time, or of another engine. The window stays: the caller knows which of the two it is. */
  add(other: Slice): void {
    this.decided += other.decided;
    this.approved += other.approved;
    this.refused += other.refused;
    for (const [reason, count] of other.byReason) this.#count(reason, count);
    this.#latency.addAll(other.#latency);
    for (const [index, { count, sumMs }] of other.#hops.entries()) {
      this.#hops[index]!.count += count;
      this.#hops[index]!.sumMs += sumMs;
      this.#hopTimes[index]!.addAll(other.#hopTimes[index]!);
    }
  }

  get latency(): LiveLatency | null {
    return this.#latency.latency();
  }

  get hops(): LiveHops | null {
    const [wait, decide, journal, send] = this.#hops.map(({ count, sumMs }) => (count === 0 ? 0 : sumMs / count));
    if (this.#hops[0]!.count === 0) return null;
    return {
      wait: round(wait!),
      // The engine counts the sync with what decides.
      decide: round(Math.max(0, decide! - journal!)),
      journal: round(journal!),
      send: round(send!),
    };
  }

  /** p99 of each hop that was counted, ms. */
  get slowHops(): readonly { readonly hop: HopName; readonly p99Ms: number }[] {
    return hopNames.flatMap((hop, index) => {
      const latency = this.#hopTimes[index]!.latency();
      return latency === null ? [] : [{ hop, p99Ms: latency.p99 }];
    });
  }

  #count(reason: string, count: number): void {
    this.byReason.set(reason, (this.byReason.get(reason) ?? 0) + count);
  }
}

function* differences(
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
): Generator<readonly [reason: string, count: number]> {
  for (const [reason, count] of Object.entries(after)) {
    const difference = count - (before[reason] ?? 0);
    if (difference > 0) yield [reason, difference];
  }
}

export function sumOf(slices: Iterable<Slice>): Slice {
  const sum = new Slice();
  for (const slice of slices) {
    sum.add(slice);
    sum.windowMs += slice.windowMs;
  }
  return sum;
}
