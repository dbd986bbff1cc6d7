/**
 * `GET /admin/live`: a line of JSON four times a second, while a reader is there (platform/live/engine-line.ts). All
 * readers get the same bytes. A line is made from counts that the metrics have anyway.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type EngineLine, type HopCounts, type LatencyCounts, lineMs } from '../../platform/live/engine-line.js';
import type { Buckets } from '../../platform/metrics/buckets.js';
import { reasonTable } from '../core/reasons.js';
import { type PartitionProgress, syncNsBounds } from '../exchange/progress.js';
import type { EngineView } from '../ownership.js';
import type { LiveSample } from './live-sample.js';
import { sendProblem } from './ops-http.js';
import type { Telemetry } from './telemetry.js';

/** One a process of the API, and some of people with curl: each holds a connection of the ops port, which has 64. */
const readersMax = 16;
/** A reader that is so far behind, some hundred lines, is cut off. It connects again, and the counts go on. */
const unreadBytesMax = 1024 * 1024;
/** A timer that came a little early must not make two lines. */
const earlyMs = 50;

export interface LiveOptions {
  readonly id: string;
  /** Wall clock ms. */
  nowMs(): number;
  readonly telemetry: Pick<Telemetry, 'counted'>;
  readonly sample: Pick<LiveSample, 'isWatched' | 'take'>;
  /** Of all partitions; those of other engines have counted nothing that is new. */
  readonly progress: readonly PartitionProgress[];
  readonly segmentsMax: number;
  feedAgeMs(): number;
  readonly feedStaleMsMax: number;
  standInUnbooked(): number;
  engines(): readonly EngineView[];
}

export class Live {
  readonly #options: LiveOptions;
  readonly #readers = new Set<ServerResponse>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  answer(request: IncomingMessage, response: ServerResponse): void {
    if (this.#readers.size >= readersMax) {
      response.setHeader('retry-after', '1');
      sendProblem(response, 503, 'overloaded', `${readersMax} readers are here; ask again when one has left`);
      return;
    }
    response.writeHead(200, {
      'content-type': 'application/x-ndjson',
      'cache-control': 'no-store',
      // nginx, where it stands between: no line waits for the next one.
      'x-accel-buffering': 'no',
    });
    response.flushHeaders();
    this.#readers.add(response);
    response.once('close', () => this.#left(response));
    request.resume();
    if (this.#timer !== undefined) return;
    const { sample } = this.#options;
    // What was copied for an earlier reader is old.
    sample.take(this.#nextMs);
    sample.isWatched = true;
    this.#later();
  }

  /** When the next line is due, wall clock ms: all engines write at the same instants. */
  get #nextMs(): number {
    const nowMs = this.#options.nowMs();
    const leftMs = lineMs - (nowMs % lineMs);
    return nowMs + (leftMs < earlyMs ? leftMs + lineMs : leftMs);
  }

  #left(response: ServerResponse): void {
    this.#readers.delete(response);
    if (this.#readers.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#options.sample.isWatched = false;
  }

  #later(): void {
    this.#timer = setTimeout(() => this.#tick(), this.#nextMs - this.#options.nowMs());
  }

  #tick(): void {
    this.#later();
    const line = Buffer.from(`${JSON.stringify(this.#line())}\n`);
    for (const response of this.#readers) {
      if (response.writableLength > unreadBytesMax) response.destroy();
      else response.write(line);
    }
  }

  #line(): EngineLine {
    const { id, telemetry, progress, segmentsMax, sample } = this.#options;
    const nowMs = this.#options.nowMs();
    const { decisions, refusals, wait, decide, answer, total } = telemetry.counted;
    const mine = this.#options.engines().find((engine) => engine.id === id);
    const own = (mine?.partitions ?? []).map((partition) => progress[partition]!);
    const lags = own.map(({ backlogRecords, settledAtMs }) => (backlogRecords > 0 ? nowMs - settledAtMs : 0));
    return {
      id,
      atMs: Math.round(nowMs),
      decided: byReason(decisions),
      refused: byReason(refusals),
      latency: timesOf(total),
      hops: {
        wait: hopOf(wait),
        decide: hopOf(decide),
        // Also of partitions that other engines have now: a count never falls.
        journal: [sum(progress, ({ syncs }) => syncs), sum(progress, ({ syncNs }) => syncNs) / 1e6],
        send: hopOf(answer),
      },
      hopTimes: { wait: timesOf(wait), decide: timesOf(decide), journal: syncTimes(progress), send: timesOf(answer) },
      settleLagMs: Math.max(0, ...lags),
      settleLagRecords: sum(own, ({ backlogRecords }) => backlogRecords),
      feedAgeMs: this.#options.feedAgeMs(),
      feedStaleMsMax: this.#options.feedStaleMsMax,
      standInUnbooked: this.#options.standInUnbooked(),
      journalUsedShare: own.length === 0 ? null : Math.max(...own.map(({ segments }) => segments)) / segmentsMax,
      epoch: mine?.epoch ?? 0,
      partitions: mine?.partitions ?? [],
      last: sample.take(this.#nextMs),
    };
  }
}

function byReason(counts: Float64Array): Record<string, number> {
  const shown: Record<string, number> = {};
  for (const { name, number } of reasonTable) if (counts[number]! > 0) shown[name] = counts[number]!;
  return shown;
}

function hopOf({ counts, sum }: Buckets): HopCounts {
  return [counts.reduce((total, count) => total + count, 0), sum];
}

function timesOf({ bounds, counts }: Buckets): LatencyCounts {
  return { boundsMs: bounds, counts: [...counts] };
}

const syncBoundsMs = syncNsBounds.map((bound) => bound / 1e6);

function syncTimes(progress: readonly PartitionProgress[]): LatencyCounts {
  const counts = new Float64Array(syncNsBounds.length + 1);
  for (const partition of progress) {
    for (const [at, count] of partition.syncBuckets().entries()) counts[at]! += count;
  }
  return { boundsMs: syncBoundsMs, counts: [...counts] };
}

function sum<T>(all: readonly T[], pick: (one: T) => number): number {
  return all.reduce((total, one) => total + pick(one), 0);
}
