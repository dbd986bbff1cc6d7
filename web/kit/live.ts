/**
 * The live stream, once for all tabs: the tab that holds the lock reads it and passes each event on, for a browser
 * keeps few connections to one server. When that tab closes, another one takes the lock and goes on.
 */
import { batch, signal } from '@preact/signals';
import type { LiveDecision, LiveHistory, LiveTick } from '../../api/live/live-shape.js';
import { readSession } from './api.js';
import { type Points, pointsOf, withDecisions, withPoint, withTick } from './live-window.js';

/** A value older than this is shown as stale. */
export const staleAfterMs = 2000;
/** Between tries to open a stream that the server refused. */
const retryMs = 3000;
const ageEveryMs = 200;

const noPoints = pointsOf({
  everyMs: 5000,
  fromMs: 0,
  decidedPerSecond: [],
  approvedShare: [],
  p50: [],
  p99: [],
  p999: [],
  settleLagMs: [],
});

/** Newest last, of one minute; empty until the stream began. */
export const ticks = signal<readonly LiveTick[]>([]);
export const decisions = signal<readonly LiveDecision[]>([]);
export const points = signal<Points>(noPoints);
/** When the last tick arrived here, and how long ago that was; null: none has. */
export const arrivedAtMs = signal<number | null>(null);
export const ageMs = signal<number | null>(null);

type Passed =
  | { readonly kind: 'tick'; readonly tick: LiveTick }
  | { readonly kind: 'start'; readonly points: Points }
  | { readonly kind: 'hello' };

export function isStale(): boolean {
  return ageMs.value === null || ageMs.value > staleAfterMs;
}

/** @returns stops the stream in this tab */
export function startLive(): () => void {
  const stop = new AbortController();
  const channel = new BroadcastChannel('atlantic-live');
  const ages = setInterval(tellAge, ageEveryMs);
  let reads = false;
  const pass = (passed: Passed): void => {
    take(passed);
    channel.postMessage(passed);
  };
  channel.onmessage = ({ data }: MessageEvent<Passed>) => {
    // The tab that reads has the history, which a new tab asks for.
    if (data.kind !== 'hello') take(data);
    else if (reads) channel.postMessage({ kind: 'start', points: points.value } satisfies Passed);
  };
  channel.postMessage({ kind: 'hello' } satisfies Passed);
  navigator.locks
    .request('atlantic-live', { signal: stop.signal }, async () => {
      reads = true;
      await readStream(pass, stop.signal);
    })
    .catch(() => undefined);
  return () => {
    stop.abort();
    clearInterval(ages);
    channel.close();
    batch(() => {
      ticks.value = [];
      decisions.value = [];
      points.value = noPoints;
      arrivedAtMs.value = null;
      ageMs.value = null;
    });
  };
}

/** Reads until it is stopped. EventSource itself connects again after a lost connection, and goes on where it was. */
function readStream(pass: (passed: Passed) => void, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let source: EventSource | undefined;
    let retry: ReturnType<typeof setTimeout> | undefined;
    const open = (): void => {
      source = new EventSource('/api/live');
      source.addEventListener('tick', ({ data }) => pass({ kind: 'tick', tick: JSON.parse(data) as LiveTick }));
      source.addEventListener('history', ({ data }) =>
        pass({ kind: 'start', points: pointsOf(JSON.parse(data) as LiveHistory) }),
      );
      source.addEventListener('error', () => {
        if (source?.readyState !== EventSource.CLOSED) return;
        // Refused: the session may have ended, which its own answer tells.
        readSession().catch(() => undefined);
        retry = setTimeout(open, retryMs);
      });
    };
    stop.addEventListener('abort', () => {
      clearTimeout(retry);
      source?.close();
      resolve();
    });
    open();
  });
}

function take(passed: Passed): void {
  if (passed.kind === 'hello') return;
  batch(() => {
    if (passed.kind === 'start') {
      points.value = passed.points;
      return;
    }
    const { tick } = passed;
    ticks.value = withTick(ticks.value, tick);
    decisions.value = withDecisions(decisions.value, tick);
    points.value = withPoint(points.value, ticks.value);
    arrivedAtMs.value = Date.now();
    tellAge();
  });
}

function tellAge(): void {
  if (arrivedAtMs.value !== null) ageMs.value = Date.now() - arrivedAtMs.value;
}
