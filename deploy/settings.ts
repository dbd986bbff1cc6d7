/** What the deployment tools read from the environment: once, checked, with one clear line when a value is bad. */
import { resolve } from 'node:path';
import { defaultRoles, type RoleNames } from '../sql/grant-rights.js';

export interface DeploySettings {
  readonly dataDir: string;
  /** Empty: the embedded Postgres. */
  readonly databaseUrl: string;
  /** What `make run` gives each process as its DATABASE_URL; empty where that is not said. */
  readonly processUrls: { readonly engine: string; readonly api: string };
  /** Database roles of the processes, which a migration gives their rights. */
  readonly roles: RoleNames;
  /** Whether demo data and the demo's sign-ins are put into the database: never into a given one unless DEMO=true. */
  readonly isDemo: boolean;
  readonly host: string;
  readonly opsHost: string;
  readonly authPort: number;
  readonly opsPort: number;
  readonly apiPort: number;
  readonly apiOpsPort: number;
  /** Host and port of CONSOLE_HOST, which the API judges; empty: the console is at the API's port. */
  readonly consoleHost: string;
}

export class SettingError extends Error {
  override readonly name = 'SettingError';
}

type Environment = Readonly<Record<string, string | undefined>>;

export function readSettings(environment: Environment = process.env): DeploySettings {
  const { DATA_DIR, DATABASE_URL, HOST, OPS_HOST, DEMO } = environment;
  if (DEMO && DEMO !== 'true' && DEMO !== 'false') {
    throw new SettingError(`DEMO must be true or false, not ${JSON.stringify(DEMO)}`);
  }
  return {
    dataDir: resolve(DATA_DIR || '.data'),
    databaseUrl: DATABASE_URL ?? '',
    processUrls: {
      engine: environment['DATABASE_ENGINE_URL'] ?? '',
      api: environment['DATABASE_API_URL'] ?? '',
    },
    roles: {
      engine: readRole(environment, 'DATABASE_ENGINE_ROLE', defaultRoles.engine),
      api: readRole(environment, 'DATABASE_API_ROLE', defaultRoles.api),
    },
    isDemo: DEMO ? DEMO === 'true' : !DATABASE_URL,
    host: HOST || '127.0.0.1',
    opsHost: OPS_HOST || '127.0.0.1',
    authPort: readInteger(environment, 'AUTH_PORT', 8080, 1, 65_535),
    opsPort: readInteger(environment, 'OPS_PORT', 8081, 1, 65_535),
    apiPort: readInteger(environment, 'API_PORT', 3000, 1, 65_535),
    apiOpsPort: readInteger(environment, 'API_OPS_PORT', 3001, 1, 65_535),
    consoleHost: environment['CONSOLE_HOST'] ?? '',
  };
}

/** Address of the console where CONSOLE_HOST sets one; null: it is at the API's port. The API refuses a wrong one. */
export function consoleAddress({ consoleHost }: Pick<DeploySettings, 'consoleHost'>): {
  readonly host: string;
  readonly port: number;
} | null {
  if (consoleHost === '') return null;
  const at = consoleHost.lastIndexOf(':');
  return { host: consoleHost.slice(0, at).replace(/[[\]]/g, ''), port: Number(consoleHost.slice(at + 1)) };
}

/** Where a server that listens on `host` is reached: an address for all interfaces is none to connect to. */
export function localHost(host: string): string {
  return { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host;
}

/** Where on this machine a server that listens on `host` answers. */
export function localUrl(host: string, port: number): string {
  const reachable = localHost(host);
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}

function readRole(environment: Environment, name: string, fallback: string): string {
  const role = environment[name] || fallback;
  // PostgreSQL cuts longer names.
  if (Buffer.byteLength(role) > 63) throw new SettingError(`${name} must have at most 63 bytes`);
  return role;
}

/** An integer from the environment; an absent or empty value means `fallback`. Throws SettingError. */
export function readInteger(
  environment: Environment,
  name: string,
  fallback: number,
  min: number,
  max: number,
): number {
  const text = environment[name] ?? '';
  if (text === '') return fallback;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max) {
    throw new SettingError(`${name} must be an integer from ${min} to ${max}, not ${JSON.stringify(text)}`);
  }
  return value;
}
