/**
 * Metrics for Prometheus, for engine and API alike: the only importer of prom-client. Components count
 * events into plain numbers and arrays of their own; each scrape reads them.
 */
import type { Counter, Gauge, Metric, Registry } from 'prom-client';

type Library = typeof import('prom-client');

/** What was observed so far: `counts[i]` of it up to `bounds[i]`, the last one beyond all of them. */
export interface Observed {
  readonly labels?: Readonly<Record<string, string>>;
  readonly bounds: readonly number[];
  readonly counts: readonly number[] | Float64Array;
  readonly sum: number;
}

export class Metrics {
  /** What is to be registered once the library is there. */
  readonly #described: ((library: Library, registry: Registry) => void)[] = [];
  #loading: Promise<Registry> | undefined;

  /** Loads the library. Metrics of the process itself are counted from here on. */
  load(): Promise<Registry> {
    this.#loading ??= import('prom-client').then((library) => {
      const registry = new library.Registry();
      library.collectDefaultMetrics({ register: registry });
      for (const register of this.#described) register(library, registry);
      return registry;
    });
    return this.#loading;
  }

  async scrape(): Promise<{ readonly contentType: string; readonly text: string }> {
    const registry = await this.load();
    return { contentType: registry.contentType, text: await registry.metrics() };
  }

  /** Before load(). */
  #describe(register: (library: Library, registry: Registry) => void): void {
    if (this.#loading !== undefined) throw new Error('metrics are described before the library is loaded');
    this.#described.push(register);
  }

  /** A counter that is kept elsewhere: `collect` begins at zero each time. */
  counter(name: string, help: string, labelNames: string[], collect: (counter: Counter) => void): void {
    this.#describe(({ Counter }, registry) => {
      const counter: Counter = new Counter({
        ...{ name, help, labelNames, registers: [registry] },
        collect: () => {
          counter.reset();
          collect(counter);
        },
      });
    });
  }

  gauge(name: string, help: string, labelNames: string[], collect: (gauge: Gauge) => void): void {
    this.#describe(({ Gauge }, registry) => {
      const gauge: Gauge = new Gauge({ name, help, labelNames, registers: [registry], collect: () => collect(gauge) });
    });
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
    this.#describe((_library, registry) => registry.registerMetric(metric as unknown as Metric));
  }
}
