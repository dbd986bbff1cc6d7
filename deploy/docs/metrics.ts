/** Writes docs/metrics.md from the metrics that the engine and the account API register. Nothing is connected to. */
import { createServices } from '../../api/api.js';
import { readApiConfig } from '../../api/config.js';
import { createProgress } from '../../engine/exchange/progress.js';
import {
  measureDatabase,
  measureFeed,
  measureOwnership,
  measurePeers,
  measureRoom,
  measureStandIn,
} from '../../engine/ops/engine-metrics.js';
import { Telemetry } from '../../engine/ops/telemetry.js';
import { measureLinks } from '../../engine/transports/iso8583/link-counts.js';
import { createLog } from '../../platform/log.js';
import type { Metrics } from '../../platform/metrics/metrics.js';
import { OperationTimes } from '../../platform/metrics/operation-times.js';
import { measureConnections } from '../../platform/process/connection-gate.js';
import { measureTraces } from '../../platform/tracing/traces.js';
import { code, generatedNote, sentence, table, wrap } from './markdown.js';

export interface DescribedMetric {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labels: readonly string[];
}

function described({ registry }: Metrics): DescribedMetric[] {
  const found = registry.getMetricsAsArray() as unknown as {
    readonly name: string;
    readonly type: string;
    readonly help: string;
    readonly labelNames?: readonly string[];
  }[];
  return found.map(({ name, type, help, labelNames = [] }) => ({ name, type, help, labels: labelNames }));
}

export function engineMetrics(): DescribedMetric[] {
  const telemetry = new Telemetry(createProgress(1), () => {
    throw new Error('nothing is scraped here');
  });
  measureConnections(telemetry, []);
  measureLinks(telemetry, []);
  const notScraped = {} as never;
  measureDatabase(telemetry, { times: new OperationTimes() } as never);
  measureFeed(telemetry, { changeTimes: new OperationTimes() });
  measureStandIn(telemetry, null);
  measureRoom(telemetry, notScraped, notScraped);
  measureOwnership(telemetry, [], notScraped);
  measurePeers(telemetry, notScraped);
  measureTraces(telemetry, null);
  return described(telemetry);
}

export function apiMetrics(): DescribedMetric[] {
  const config = readApiConfig({
    DATABASE_URL: 'postgres://127.0.0.1:1/books',
    JWT_SECRET: 'a-long-enough-secret-for-access-tokens',
    ENGINE_TOKEN: 'a-long-enough-token',
    LOG_LEVEL: 'silent',
  });
  return described(createServices(config, createLog(config.logLevel, 'docs')).telemetry);
}

/** Metrics of every Node.js process, which depend on its version and on the system: prom-client adds them. */
const isOfProcess = ({ name }: DescribedMetric) => /^(process|nodejs)_/.test(name);

const rows = (metrics: readonly DescribedMetric[]) =>
  metrics.map(({ name, type, help, labels }) => [code(name), type, labels.map(code).join(', '), sentence(help)]);

const titles = ['metric', 'type', 'labels', 'meaning'];

/** The whole document. */
export function metricsDocument(): string {
  const [engine, api] = [engineMetrics(), apiMetrics()];
  const ours = (metrics: readonly DescribedMetric[]) => metrics.filter((metric) => !isOfProcess(metric));
  return `${[
    '# Metrics',
    generatedNote,
    wrap(
      'For operators: the metrics at `/metrics` of both ops ports, in the format of Prometheus. What to do about ' +
        'them is in the [runbook](runbook.md). Counters begin at zero with each start of the process. A ' +
        'histogram has the series `_bucket` (label `le`), `_sum` and `_count`. Both processes also have what ' +
        'prom-client measures of a Node.js process: `process_*` and `nodejs_*`.',
    ),
    '## Engine',
    table(titles, rows(ours(engine))),
    '## Account API',
    table(titles, rows(ours(api))),
  ].join('\n\n')}\n`;
}
