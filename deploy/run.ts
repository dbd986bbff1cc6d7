/**
 * `make run`: one engine and one account API on this machine with demo data. The engine is needed, so the run ends when
 * it does not stay up. The engine continues without the API.
 */
import { type LocalStack, nodeCommand, type PreparedStack, runLocalStack, stackEnvironment } from './local-stack.js';
import type { Service } from './services.js';
import { type DeploySettings, localUrl, readSettings } from './settings.js';
import { stackPlaces } from './welcome.js';

function servicesOf(settings: DeploySettings, { urls, secrets, kept }: PreparedStack): readonly Service[][] {
  const { host, opsHost, authPort, opsPort, apiPort, apiOpsPort } = settings;
  const environment = {
    ...stackEnvironment(settings, secrets),
    AUTH_PORT: String(authPort),
    OPS_PORT: String(opsPort),
    API_PORT: String(apiPort),
    API_OPS_PORT: String(apiOpsPort),
    // One engine may run on the database of a cluster.
    JOURNAL: process.env['JOURNAL'] || (kept?.journal ?? ''),
    ...(kept?.journal === 'postgres' ? { PARTITIONS: String(kept.partitions) } : {}),
    ENGINE_URL: process.env['ENGINE_URL'] || localUrl(opsHost, opsPort),
  };
  return [
    [
      {
        name: 'engine',
        command: nodeCommand('engine/main.js'),
        readyUrls: [`${localUrl(opsHost, opsPort)}/readyz`],
        ports: [
          { setting: 'AUTH_PORT', host, port: authPort },
          { setting: 'OPS_PORT', host: opsHost, port: opsPort },
        ],
        isVital: true,
        environment: { ...environment, DATABASE_URL: urls.engine },
      },
    ],
    [
      {
        name: 'api',
        command: nodeCommand('api/main.js'),
        readyUrls: [`${localUrl(host, apiPort)}/readyz`],
        ports: [
          { setting: 'API_PORT', host, port: apiPort },
          { setting: 'API_OPS_PORT', host: opsHost, port: apiOpsPort },
        ],
        isVital: false,
        environment: { ...environment, DATABASE_URL: urls.api },
      },
    ],
  ];
}

await runLocalStack((): LocalStack => {
  const settings = readSettings();
  return {
    settings,
    servicesOf: async (prepared) => servicesOf(settings, prepared),
    onlyEngine: 'engine',
    places: () => stackPlaces(settings),
  };
});
