/** Are we approving, fast, and consistent? The state of the program, as it changes. */
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { arrivedAtMs, isStale, ticks } from '../../kit/live.js';
import { t } from '../../kit/messages.js';
import { Loading, Stale } from '../../kit/states.js';
import { Alerts } from '../live/alerts.js';
import { Decisions } from '../live/decisions.js';
import { Engines } from '../live/engines.js';
import { Hops, Overview, Reasons, Slowest } from '../live/overview.js';

export default function Live() {
  const isLate = ticks.value.length > 0 && isStale();
  return (
    <div class="stack">
      <h1 class="unseen">{t('live.title')}</h1>
      {isLate && <Stale sinceMs={arrivedAtMs.value!} />}
      {ticks.value.length === 0 ? (
        <Loading lines={12} />
      ) : (
        <div class={`stack ${isLate ? 'stale' : ''}`}>
          <Overview />
          <Alerts />
          <div class="live-middle">
            <section class="panel" aria-labelledby="latency-title">
              <h2 id="latency-title">{t('live.latency')}</h2>
              <Chart />
              <Hops />
              <Slowest />
            </section>
            <Reasons />
          </div>
          <Decisions />
          <Engines />
        </div>
      )}
    </div>
  );
}

/** The chart's code comes after the page; its place is kept. */
function Chart() {
  const [Loaded, setLoaded] = useState<ComponentType | null>(null);
  useEffect(() => {
    import('../live/latency-chart.js').then(
      ({ default: LatencyChart }) => setLoaded(() => LatencyChart),
      // The server has another version: the figures go on without the chart, and the next page offers to reload.
      () => undefined,
    );
  }, []);
  return <div class="chart-place">{Loaded !== null && <Loaded />}</div>;
}
