/**
 * Metrics for Prometheus, for engine and API alike: the only importer of prom-client. Components count
 * events into plain numbers and arrays of their own; each scrape reads them.
 */
import { Counter, collectDefaultMetrics, Gauge, type Metric, Registry } from 'prom-client';

/** What was observed so far: `counts[i]` of it up to `bounds[i]`, the last one beyond all of them. */
export interface Observed {
  readonly labels?: Readonly<Record<string, string>>;
  readonly bounds: readonly number[];
  readonly counts: readonly number[] | Float64Array;
  readonly sum: number;
}

export class Metrics {
  readonly registry = new Registry();

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  async scrape(): Promise<{ readonly contentType: string; readonly text: string }> {
    return { contentType: this.registry.contentType, text: await this.registry.metrics() };
  }

  /** A counter that is kept elsewhere: `collect` begins at zero each time. */
  counter(name: string, help: string, labelNames: string[], collect: (counter: Counter) => void): void {
    const counter: Counter = new Counter({
      ...{ name, help, labelNames, registers: [this.registry] },
      collect: () => {
        counter.reset();
        collect(counter);
      },
    });
  }

  gauge(name: string, help: string, labelNames: string[], collect: (gauge: Gauge) => void): void {
    const registers = [this.registry];
    const gauge: Gauge = new Gauge({ name, help, labelNames, registers, collect: () => collect(gauge) });
  }

  /** prom-client counts its own histograms value by value; ours are counted already, so they are shown as one. */
  histogram(name: string, help: string, labelNames: string[], read: () => Iterable<Observed>): void {
    const get = async () => {
      const values: { metricName: string; labels: Record<string, string | number>; value: number }[] = [];
      for (const { labels = {}, bounds, counts, sum } of read()) {
        let total = 0;
        for (const [index, count] of counts.entries()) {
          total += count;
          const le = bounds[index] ?? '+Inf';
          values.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: total });
        }
        values.push({ metricName: `${name}_sum`, labels, value: sum });
        values.push({ metricName: `${name}_count`, labels, value: total });
      }
      return { name, help, type: 'histogram', aggregator: 'sum', values };
    };
    const metric = { name, help, labelNames, type: 'histogram', aggregator: 'sum', get, reset: () => undefined };
    this.registry.registerMetric(metric as unknown as Metric);
  }
}
