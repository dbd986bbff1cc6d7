/**
 * `make cluster`: several engines with their journal in one embedded Postgres, two account APIs and nginx before them,
 * on this machine with demo data. The run goes on without an engine or an API that does not stay up.
 */
import { access, mkdir, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { onPath } from '../platform/process/on-path.js';
import { type ClusterPorts, clusterPorts } from './cluster-ports.js';
import { type LocalStack, nodeCommand, type PreparedStack, runLocalStack, stackEnvironment } from './local-stack.js';
import { nginxConfig } from './nginx/nginx-config.js';
import type { Service } from './services.js';
import {
  consoleAddress,
  type DeploySettings,
  localHost,
  localUrl,
  readInteger,
  readSettings,
  SettingError,
} from './settings.js';
import { clusterPlaces } from './welcome.js';

const apiCount = 2;
/** Each API has its console here, behind nginx. */
const consoleLoopback = '127.0.0.1';
/** Beyond ten engines one machine shows nothing new, and the port ranges meet. */
const enginesMax = 10;

interface Cluster {
  readonly settings: DeploySettings;
  readonly ports: ClusterPorts;
  /** The program. */
  readonly nginx: string;
}

async function readCluster(): Promise<Cluster> {
  const engineCount = readInteger(process.env, 'ENGINES', 3, 1, enginesMax);
  const { JOURNAL } = process.env;
  if (JOURNAL && JOURNAL !== 'postgres') {
    throw new SettingError(`JOURNAL must be postgres for make cluster, not ${JSON.stringify(JOURNAL)}`);
  }
  const given = readSettings();
  const settings = process.env['DATA_DIR'] ? given : { ...given, dataDir: await dataDirBeside(given.dataDir) };
  const nginx = await onPath('nginx');
  if (nginx === null) {
    throw new SettingError('nginx is not installed: install it (Debian and Ubuntu: apt-get install nginx)');
  }
  return { settings, nginx, ports: clusterPorts(settings, engineCount, apiCount) };
}

/** The database of `make run` with a local journal cannot become one of several engines: the cluster has its own. */
async function dataDirBeside(dataDir: string): Promise<string> {
  const isLocal = await access(join(dataDir, 'journal')).then(
    () => true,
    () => false,
  );
  return isLocal ? join(dataDir, 'cluster') : dataDir;
}

function enginesOf({ settings, ports }: Cluster, { urls, secrets, kept }: PreparedStack): Service[] {
  const { host, opsHost } = settings;
  return ports.engines.map(({ auth, ops, peer }, index) => ({
    name: `engine ${index + 1}`,
    command: nodeCommand('engine/main.js'),
    readyUrls: [`${localUrl(opsHost, ops)}/readyz`],
    ports: [
      { setting: 'AUTH_PORT', host, port: auth },
      { setting: 'OPS_PORT', host: opsHost, port: ops },
      { setting: 'AUTH_PORT', host, port: peer },
    ],
    isVital: ports.engines.length === 1,
    environment: {
      ...stackEnvironment(settings, secrets),
      // For the approvals of STANDIN: a folder that no other engine writes to.
      DATA_DIR: join(settings.dataDir, `engine-${index + 1}`),
      DATABASE_URL: urls.engine,
      JOURNAL: 'postgres',
      PARTITIONS: process.env['PARTITIONS'] || (kept === null ? '' : String(kept.partitions)),
      AUTH_PORT: String(auth),
      OPS_PORT: String(ops),
      PEER_PORT: String(peer),
      PEER_ADDRESS: new URL(localUrl(host, peer)).host,
    },
  }));
}

function apisOf({ settings, ports }: Cluster, { urls, secrets }: PreparedStack): Service[] {
  const { host, opsHost } = settings;
  return ports.apis.map(({ api, ops, console: own }, index) => ({
    name: `api ${index + 1}`,
    command: nodeCommand('api/main.js'),
    readyUrls: [`${localUrl(host, api)}/readyz`],
    ports: [
      { setting: 'API_PORT', host, port: api },
      { setting: 'API_OPS_PORT', host: opsHost, port: ops },
      ...(own === null ? [] : [{ setting: 'CONSOLE_HOST', host: consoleLoopback, port: own }]),
    ],
    isVital: false,
    environment: {
      ...stackEnvironment(settings, secrets),
      DATABASE_URL: urls.api,
      API_PORT: String(api),
      API_OPS_PORT: String(ops),
      // nginx has the address itself, and asks both APIs.
      CONSOLE_HOST: own === null ? '' : `${consoleLoopback}:${own}`,
      ENGINE_URL: process.env['ENGINE_URL'] || localUrl(opsHost, settings.opsPort),
      PUBLIC_URL: process.env['PUBLIC_URL'] || localUrl(host, settings.apiPort),
      // nginx: without it all clients would share the limits of one address.
      TRUSTED_PROXIES:
        process.env['TRUSTED_PROXIES'] || ['127.0.0.0/8', '::1', ...(isIP(host) ? [localHost(host)] : [])].join(','),
    },
  }));
}

async function nginxOf({ settings, ports, nginx }: Cluster): Promise<Service> {
  const { host, opsHost, authPort, opsPort, apiPort } = settings;
  const outside = consoleAddress(settings);
  const folder = join(settings.dataDir, 'nginx');
  await mkdir(folder, { recursive: true });
  const address = (of: string, port: number) => new URL(localUrl(of, port)).host;
  const config = nginxConfig({
    host,
    authPort,
    apiPort,
    engines: ports.engines.map(({ auth, ops }) => ({
      auth: address(host, auth),
      ops: address(opsHost, ops),
      weight: 1,
    })),
    apis: ports.apis.map(({ api }) => ({ api: address(host, api), weight: 1 })),
    console:
      outside === null
        ? null
        : {
            ...outside,
            apis: ports.apis.flatMap(({ console: own }) => (own === null ? [] : `${consoleLoopback}:${own}`)),
          },
    tls: null,
    assetsRoot: null,
    // Relative to the folder of the command line, which may have any name.
    stateFolder: '.',
    accessLog: null,
    deadlineMs: Number(process.env['DEADLINE_MS'] || 100),
    admin: { host: opsHost, port: opsPort },
  });
  const file = join(folder, 'nginx.conf');
  await writeFile(file, config);
  return {
    name: 'nginx',
    // One process: workers of a killed master would keep the ports.
    command: [nginx, '-e', 'stderr', '-p', folder, '-c', file, '-g', 'daemon off; master_process off;'],
    readyUrls: [
      `${localUrl(host, authPort)}/readyz`,
      `${localUrl(host, apiPort)}/readyz`,
      ...(outside === null ? [] : [`${localUrl(outside.host, outside.port)}/readyz`]),
    ],
    ports: [
      { setting: 'AUTH_PORT', host, port: authPort },
      { setting: 'API_PORT', host, port: apiPort },
      { setting: 'OPS_PORT', host: opsHost, port: opsPort },
      ...(outside === null ? [] : [{ setting: 'CONSOLE_HOST', ...outside }]),
    ],
    isVital: true,
    environment: process.env,
  };
}

await runLocalStack(async (): Promise<LocalStack> => {
  const cluster = await readCluster();
  return {
    settings: cluster.settings,
    // Each engine has a session for each of its partitions, and pools beside them.
    postgresSettings: { max_connections: '300' },
    servicesOf: async (prepared) => [enginesOf(cluster, prepared), apisOf(cluster, prepared), [await nginxOf(cluster)]],
    places: () => clusterPlaces(cluster.settings, cluster.ports),
  };
});
