/**
 * Metrics of the API, for Prometheus, and its only importer of prom-client. Requests are counted into plain arrays; the
 * registry reads them when somebody scrapes. Percentiles per route are of the last one to two minutes.
 */
import { Counter, collectDefaultMetrics, Gauge, type Metric, Registry } from 'prom-client';
import { LatencyWindow, latencyBoundsMs } from './latency-window.js';

const quantiles = [0.5, 0.95, 0.99] as const;

interface RouteCounts {
  /** By hundreds: 1xx … 5xx. */
  readonly byClass: Float64Array;
  readonly latency: LatencyWindow;
}

export class Telemetry {
  readonly registry = new Registry();
  readonly #routes = new Map<string, RouteCounts>();
  slowResponses = 0;
  readonly responseCache = { hits: 0, misses: 0, notModified: 0 };

  constructor() {
    collectDefaultMetrics({ register: this.registry });
    this.counter('api_requests_total', 'Answers by route and class of status', ['route', 'class'], (counter) => {
      for (const [route, { byClass }] of this.#routes) {
        for (const [index, count] of byClass.entries()) {
          if (count > 0) counter.inc({ route, class: `${index}xx` }, count);
        }
      }
    });
    this.counter('api_slow_responses_total', 'Answers slower than the alert bound', [], (counter) =>
      counter.inc(this.slowResponses),
    );
    this.gauge(
      'api_request_quantile_seconds',
      'Latency percentiles by route, of the last one to two minutes',
      ['route', 'quantile'],
      (gauge) => {
        gauge.reset();
        for (const [route, { latency }] of this.#routes) {
          for (const quantile of quantiles)
            gauge.set({ route, quantile: String(quantile) }, latency.quantile(quantile) / 1000);
        }
      },
    );
    this.counter(
      'api_response_cache_total',
      'GET requests by what the response cache made of them',
      ['outcome'],
      (counter) => {
        for (const [outcome, count] of Object.entries(this.responseCache)) counter.inc({ outcome }, count);
      },
    );
    this.#histogram();
  }

  /** An answer left. `route` is the declared path, never the URL: the number of series is bounded. */
  answered(route: string, status: number, tookMs: number): void {
    let counts = this.#routes.get(route);
    if (counts === undefined) {
      counts = { byClass: new Float64Array(6), latency: new LatencyWindow() };
      this.#routes.set(route, counts);
    }
    counts.byClass[Math.min(5, Math.floor(status / 100))]! += 1;
    counts.latency.add(tookMs);
  }

  /** Registers a counter that is kept elsewhere and read when scraped. */
  counter(name: string, help: string, labelNames: string[], collect: (counter: Counter) => void): void {
    this.registry.registerMetric(
      new Counter({
        name,
        help,
        labelNames,
        registers: [],
        collect() {
          this.reset();
          collect(this);
        },
      }),
    );
  }

  /** Registers a gauge that is read when scraped. */
  gauge(name: string, help: string, labelNames: string[], collect: (gauge: Gauge) => void): void {
    this.registry.registerMetric(
      new Gauge({
        name,
        help,
        labelNames,
        registers: [],
        collect() {
          collect(this);
        },
      }),
    );
  }

  /** The scrape's body. */
  async text(): Promise<string> {
    return this.registry.metrics();
  }

  /** prom-client counts its own histograms value by value; ours are counted already, so they are shown as one. */
  #histogram(): void {
    const name = 'api_request_seconds';
    const help = 'Time from the arrival of a request to its answer, by route';
    const get = async () => {
      const values: { metricName: string; labels: Record<string, string | number>; value: number }[] = [];
      for (const [route, { latency }] of this.#routes) {
        const { counts, sumMs } = latency.total();
        let total = 0;
        for (const [index, count] of counts.entries()) {
          total += count;
          const bound = latencyBoundsMs[index];
          const le = bound === undefined ? '+Inf' : bound / 1000;
          values.push({ metricName: `${name}_bucket`, labels: { route, le }, value: total });
        }
        values.push({ metricName: `${name}_sum`, labels: { route }, value: sumMs / 1000 });
        values.push({ metricName: `${name}_count`, labels: { route }, value: total });
      }
      return { name, help, type: 'histogram', aggregator: 'sum', values };
    };
    const metric = { name, help, type: 'histogram', aggregator: 'sum', get, reset: () => undefined };
    this.registry.registerMetric(metric as unknown as Metric);
  }
}
