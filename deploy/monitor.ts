/**
 * `make monitor`: Prometheus and Alertmanager beside a running `make run` or `make cluster`. Ops ports are found by
 * asking the ports that these use; one that was found stays watched, so that its end is an alert.
 */
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { clusterPorts } from './cluster-ports.js';
import { onInterrupt } from './local-stack.js';
import { findMonitorPrograms, monitorServices, prometheusFolder, writeTargets } from './monitor-services.js';
import { Services } from './services.js';
import { type DeploySettings, localUrl, readInteger, readSettings } from './settings.js';

const lookEveryMs = 2_000;
/** A process of this machine answers its metrics in some milliseconds. */
const answerMs = 1_000;
const scrapeEveryS = 5;

/** Addresses that `make run` or `make cluster` may have ops ports at. */
function candidates(settings: DeploySettings): readonly string[] {
  const { opsHost, opsPort, apiOpsPort } = settings;
  const engines = readInteger(process.env, 'ENGINES', 3, 1, 10);
  const cluster = (() => {
    try {
      return clusterPorts(settings, engines, 2);
    } catch {
      // With these ports there can be no cluster.
      return { engines: [], apis: [] };
    }
  })();
  const ports = [opsPort, apiOpsPort, ...[...cluster.engines, ...cluster.apis].map(({ ops }) => ops)];
  return ports.map((port) => new URL(localUrl(opsHost, port)).host);
}

/** Whose metrics an address answers; null: no process of ours is there. */
async function jobAt(address: string): Promise<'engine' | 'api' | null> {
  try {
    const response = await fetch(`http://${address}/metrics`, { signal: AbortSignal.timeout(answerMs) });
    const text = await response.text();
    if (text.includes('\nauthorization_decisions_total')) return 'engine';
    return text.includes('\n# HELP api_requests_total') ? 'api' : null;
  } catch {
    return null;
  }
}

async function run(): Promise<void> {
  const settings = readSettings();
  const programs = await findMonitorPrograms();
  const folder = join(settings.dataDir, 'monitor');
  const prometheusPort = readInteger(process.env, 'PROMETHEUS_PORT', 9090, 1, 65_535);
  const alertmanagerPort = readInteger(process.env, 'ALERTMANAGER_PORT', 9093, 1, 65_535);
  const alertmanagerConfig = resolve(process.env['ALERTMANAGER_CONFIG'] || join(prometheusFolder, 'alertmanager.yml'));
  const { opsHost: host } = settings;
  const group = await monitorServices(programs, {
    ...{ folder, host, prometheusPort, alertmanagerPort, alertmanagerConfig },
    everyS: scrapeEveryS,
  });
  const services = new Services(folder, console.log);
  const interrupted = onInterrupt(() => services.kill());
  let isEnding = false;
  try {
    await services.endLeftOvers();
    await Promise.race([services.start(...group), interrupted]);
    console.log(`  Prometheus    ${localUrl(host, prometheusPort)}/alerts
  Alertmanager  ${localUrl(host, alertmanagerPort)}   (receivers: ${alertmanagerConfig})`);
    void watch(folder, candidates(settings), () => isEnding);
    const failure = await Promise.race([services.failed, interrupted]);
    if (failure !== undefined) throw new Error(failure);
  } finally {
    isEnding = true;
    await services.stop();
  }
  console.log('stopped');
}

async function watch(folder: string, addresses: readonly string[], isEnding: () => boolean): Promise<void> {
  const found = { engine: new Set<string>(), api: new Set<string>() };
  console.log('  looking for make run or make cluster on this machine');
  while (!isEnding()) {
    for (const address of addresses) {
      const job = found.engine.has(address) || found.api.has(address) ? null : await jobAt(address);
      if (job === null) continue;
      found[job].add(address);
      console.log(`  watching ${job === 'api' ? 'the API' : 'the engine'} at ${address}`);
      await writeTargets(folder, { engine: [...found.engine], api: [...found.api] });
    }
    await delay(lookEveryMs, undefined, { ref: false });
  }
}

try {
  await run();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
