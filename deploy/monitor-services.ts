/** Prometheus and Alertmanager on this machine, with our rules: for `make monitor` and for the tests. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onPath } from '../platform/process/on-path.js';
import { repositoryRoot } from './repository-root.js';
import type { Service } from './services.js';
import { localUrl, SettingError } from './settings.js';

export interface MonitorPrograms {
  readonly prometheus: string;
  readonly alertmanager: string;
}

/** By job: addresses of ops ports. */
export interface MonitorTargets {
  readonly engine: readonly string[];
  readonly api: readonly string[];
}

export interface MonitorSettings {
  readonly folder: string;
  readonly host: string;
  readonly prometheusPort: number;
  readonly alertmanagerPort: number;
  /** File with the receivers. */
  readonly alertmanagerConfig: string;
  /** Between two scrapes, and two looks at the rules. */
  readonly everyS: number;
}

export const prometheusFolder = join(repositoryRoot(), 'deploy/prometheus');
const keptFor = '7d';

/** Throws with a line that says how to install what is missing. */
export async function findMonitorPrograms(): Promise<MonitorPrograms> {
  const prometheus = await onPath('prometheus');
  // Debian's name, then that of the project's own archive.
  const alertmanager = (await onPath('prometheus-alertmanager')) ?? (await onPath('alertmanager'));
  if (prometheus !== null && alertmanager !== null) return { prometheus, alertmanager };
  const missing = [prometheus === null ? 'Prometheus' : '', alertmanager === null ? 'Alertmanager' : ''];
  throw new SettingError(
    `${missing.filter((name) => name !== '').join(' and ')} not found on the PATH: install them (Debian and Ubuntu: ` +
      'apt-get install --no-install-recommends prometheus prometheus-alertmanager), or start deploy/compose.yaml, ' +
      'which has both and Grafana',
  );
}

/** Prometheus reads the file again by itself. */
export async function writeTargets(folder: string, targets: MonitorTargets): Promise<void> {
  for (const [job, addresses] of Object.entries(targets)) {
    const file = join(folder, `${job}.json`);
    await writeFile(`${file}.new`, JSON.stringify([{ targets: addresses }]));
    await rename(`${file}.new`, file);
  }
}

/** Writes their files. @returns what to start */
export async function monitorServices(programs: MonitorPrograms, settings: MonitorSettings): Promise<Service[]> {
  const { folder, host, prometheusPort, alertmanagerPort, alertmanagerConfig, everyS } = settings;
  await mkdir(folder, { recursive: true });
  const address = (port: number) => new URL(localUrl(host, port)).host;
  const every = `${everyS}s`;
  const job = (name: keyof MonitorTargets) => ({
    job_name: name,
    file_sd_configs: [{ files: [join(folder, `${name}.json`)], refresh_interval: every }],
  });
  const config = join(folder, 'prometheus.yml');
  // JSON is YAML.
  const content = {
    global: { scrape_interval: every, evaluation_interval: every },
    rule_files: [join(prometheusFolder, 'rules.yml')],
    alerting: { alertmanagers: [{ static_configs: [{ targets: [address(alertmanagerPort)] }] }] },
    scrape_configs: [job('engine'), job('api')],
  };
  await writeFile(config, JSON.stringify(content, null, 2));
  return [
    {
      name: 'prometheus',
      command: [
        programs.prometheus,
        `--config.file=${config}`,
        `--storage.tsdb.path=${join(folder, 'prometheus')}`,
        `--storage.tsdb.retention.time=${keptFor}`,
        `--web.listen-address=${address(prometheusPort)}`,
        '--log.level=warn',
      ],
      readyUrls: [`${localUrl(host, prometheusPort)}/-/ready`],
      ports: [{ setting: 'PROMETHEUS_PORT', host, port: prometheusPort }],
      isVital: true,
      environment: process.env,
    },
    {
      name: 'alertmanager',
      command: [
        programs.alertmanager,
        `--config.file=${alertmanagerConfig}`,
        `--storage.path=${join(folder, 'alertmanager')}`,
        `--web.listen-address=${address(alertmanagerPort)}`,
        // One alone has no others to talk to.
        '--cluster.listen-address=',
        '--log.level=warn',
      ],
      readyUrls: [`${localUrl(host, alertmanagerPort)}/-/ready`],
      ports: [{ setting: 'ALERTMANAGER_PORT', host, port: alertmanagerPort }],
      isVital: true,
      environment: process.env,
    },
  ];
}
