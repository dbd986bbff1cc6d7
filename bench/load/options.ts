/** What a run of the load generator takes. */
import type { Arrivals } from './schedule.js';
import type { TrafficPlan } from './traffic.js';

/** `closed`: as fast as answers come. `open`: at a rate, whatever the answers do. */
export type Pace =
  | { readonly kind: 'closed' }
  | { readonly kind: 'open'; readonly ratePerSecond: number; readonly arrivals: Arrivals };

export interface LoadOptions {
  readonly host: string;
  readonly port: number;
  readonly traffic: TrafficPlan;
  readonly pace: Pace;
  readonly connectionCount: number;
  readonly threadCount: number;
  /** Answers of this time are checked but not measured, milliseconds. */
  readonly warmUpMs: number;
  /** Measured time, milliseconds; the upper bound when `requestCountMax` is given. */
  readonly durationMs: number;
  /** Ends the run after this many requests (warm-up included); null: the time alone ends it. */
  readonly requestCountMax: number | null;
  /**
   * A request without an answer for this long counts as a timeout, with its age as latency; its connection is renewed.
   */
  readonly timeoutMs: number;
  /** Seed of everything random, so that two runs send the same traffic at the same instants. */
  readonly seed: number;
  /** Open loop: a run is invalid when 1 % of its requests left later than this after they were due. */
  readonly lagMsMax?: number;
}

/** Below the p99 that runs at a rate are asked to prove, so that the generator cannot be what is measured. */
export const lagMsMaxDefault = 5;

export function validateOptions(options: LoadOptions): void {
  integer('connectionCount', options.connectionCount, 1, 10_000);
  integer('threadCount', options.threadCount, 1, Math.min(64, options.connectionCount));
  integer('warmUpMs', options.warmUpMs, 0, 3_600_000);
  integer('durationMs', options.durationMs, 1, 3_600_000);
  integer('timeoutMs', options.timeoutMs, 1, 60_000);
  integer('seed', options.seed, 1, 2 ** 31 - 1);
  if (options.requestCountMax !== null) integer('requestCountMax', options.requestCountMax, 1, 999_999_999);
  if (options.pace.kind === 'open') integer('ratePerSecond', options.pace.ratePerSecond, 1, 10_000_000);
}

export function integer(name: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max)
    throw new RangeError(`load: ${name} must be an integer from ${min} to ${max}, not ${value}`);
}
