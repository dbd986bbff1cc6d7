/**
 * Everything a benchmark needs, in a folder of its own: an embedded Postgres with funded accounts, the engine, and the
 * echo as its control, each a process. Nothing of a running deployment is touched.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { noLimits } from '../api/testing/no-limits.js';
import { embeddedRoles } from '../deploy/database-roles.js';
import { startEmbeddedPostgres } from '../deploy/embedded-postgres.js';
import { keepAnswersApart } from '../deploy/engine-cores.js';
import { findFreePort } from '../deploy/free-port.js';
import { processUrl } from '../deploy/testing/test-database.js';
import { migrate } from '../sql/migrate.js';
import { ensureAccounts } from './accounts.js';
import { Ends, scratchFolder } from './scratch.js';
import { type ServerProcess, startServerProcess } from './server-process.js';

export interface StackOptions {
  readonly accountCount: number;
  readonly balanceMinor: number;
  /** Variables of the engine over those below. */
  readonly engineEnv?: Readonly<Record<string, string>>;
  /** Uses this migrated database instead of a Postgres of its own, for runs that only prove that they can run. */
  readonly databaseUrl?: string;
  readonly log: (line: string) => void;
}

/** The engine under test. It may be ended and started again on the same data and port. */
export interface EngineServer extends ServerProcess {
  readonly port: number;
  readonly metricsUrl: string;
  readonly storePid: number | null;
}

/** A bare server beside which others are measured. */
export interface Control extends ServerProcess {
  readonly port: number;
  readonly metricsUrl: null;
  readonly storePid: null;
}

/** An account API. The caller stops it. */
export interface ApiServer extends ServerProcess {
  readonly port: number;
  readonly metricsUrl: string;
}

export interface Stack {
  readonly dataDir: string;
  /** The superuser's, for what a benchmark prepares. */
  readonly databaseUrl: string;
  /** The same database as the engine signs in. */
  readonly engineDatabaseUrl: string;
  readonly engine: EngineServer;
  readonly echo: Control;
  readonly durableEcho: Control;
  readonly credentials: { readonly user: string; readonly password: string };
  /** What engines and APIs know each other by. */
  readonly secrets: Readonly<Record<'ENGINE_TOKEN' | 'PAN_KEY' | 'FEED_KEY', string>>;
  /** Ends the engine (`kill`: as a power cut would) and starts it again, with other variables if given. */
  restartEngine(options?: {
    readonly env?: Readonly<Record<string, string>>;
    readonly kill?: boolean;
    /** What is done while no engine runs. */
    readonly between?: () => Promise<void>;
  }): Promise<void>;
  /** Starts an account API on the stack's database beside the engine, or alone on the one that DATABASE_URL names. */
  startApi(env: Readonly<Record<string, string>>): Promise<ApiServer>;
  /** Whether the engine runs with these variables. */
  hasEngine(env?: Readonly<Record<string, string>>): boolean;
  /** Ends all processes and removes the data. Safe to call twice. */
  stop(): Promise<void>;
}

/** For a relay of the benchmark's own. */
export const benchFeedKey = 'feed-key-of-the-benchmark';
export const loopback = '127.0.0.1';
/** Above every number of connections used here, so that no answer of a benchmark is a refusal for load. */
const inFlightMax = 4096;

export async function startStack(options: StackOptions): Promise<Stack> {
  const ends = new Ends(options.log);
  try {
    const dataDir = await scratchFolder('bench-', ends);
    const database = await startDatabase(dataDir, options);
    ends.add(() => database.stop());
    options.log(`adding ${options.accountCount} accounts`);
    await ensureAccounts({
      databaseUrl: database.url,
      count: options.accountCount,
      balanceMinor: options.balanceMinor,
    });
    options.log('starting the two echoes and the engine');
    const echo = await startControl('echo', dataDir);
    ends.add(() => echo.stop());
    const durableEcho = await startControl('durable-echo', dataDir);
    ends.add(() => durableEcho.stop());
    // The API and the engine know each other by these.
    const secrets = {
      ENGINE_TOKEN: randomBytes(16).toString('hex'),
      PAN_KEY: randomBytes(16).toString('hex'),
      FEED_KEY: benchFeedKey,
    };
    const credentials = { user: 'bench', password: randomBytes(12).toString('hex') };
    const ports = { port: await findFreePort(), opsPort: await findFreePort() };
    const { engineUrl, apiUrl } = database;
    const start = (env: Readonly<Record<string, string>>) => startEngine(dataDir, ports, database.pid, env);
    const withDefaults = (env = {}) => ({
      ...secrets,
      DATABASE_URL: engineUrl,
      PROCESSOR_USER: credentials.user,
      PROCESSOR_PASSWORD: credentials.password,
      ...options.engineEnv,
      ...env,
    });
    let engineEnv = withDefaults();
    let engine = await start(engineEnv);
    ends.add(() => engine.stop());
    // As `make run` has it.
    if (options.databaseUrl === undefined) ends.add(await keepAnswersApart(() => engine.pid));
    return {
      dataDir,
      databaseUrl: database.url,
      engineDatabaseUrl: engineUrl,
      get engine() {
        return engine;
      },
      echo,
      durableEcho,
      credentials,
      secrets,
      async restartEngine({ env, kill, between } = {}) {
        await (kill === true ? engine.kill() : engine.stop());
        await between?.();
        engineEnv = withDefaults(env);
        engine = await start(engineEnv);
      },
      startApi: (env) => {
        const ours = { DATABASE_URL: apiUrl, ENGINE_URL: `http://${loopback}:${ports.opsPort}` };
        return startApi(dataDir, { ...secrets, ...(env['DATABASE_URL'] === undefined ? ours : {}), ...env });
      },
      hasEngine: (env) => isDeepStrictEqual(engineEnv, withDefaults(env)),
      stop: () => ends.run(),
    };
  } catch (error) {
    await ends.run();
    throw error;
  }
}

async function startDatabase(
  dataDir: string,
  { databaseUrl, log }: StackOptions,
): Promise<{
  readonly url: string;
  readonly engineUrl: string;
  readonly apiUrl: string;
  readonly pid: number | null;
  stop(): Promise<void>;
}> {
  if (databaseUrl !== undefined) {
    const [engineUrl, apiUrl] = [processUrl(databaseUrl, 'engine'), processUrl(databaseUrl, 'api')];
    return { url: databaseUrl, engineUrl, apiUrl, pid: null, stop: async () => undefined };
  }
  log('starting Postgres');
  const database = await startEmbeddedPostgres({ dataDir, log });
  try {
    const { urls } = await embeddedRoles(dataDir, database.url);
    await migrate({ databaseUrl: urls.owner });
    return { ...database, engineUrl: urls.engine, apiUrl: urls.api };
  } catch (error) {
    await database.stop();
    throw error;
  }
}

export async function startControl(name: 'echo' | 'durable-echo' | 'bare-fastify', dataDir: string): Promise<Control> {
  const port = await findFreePort();
  const server = await startServerProcess({
    name,
    module: new URL(`./${name}.js`, import.meta.url),
    args: ['--tethered'],
    env: { CONTROL_PORT: String(port), CONTROL_FILE: join(dataDir, `${name}.bytes`) },
    logFile: join(dataDir, `${name}.log`),
    isReady: async (logged) => logged.includes('listening'),
  });
  return { ...server, port, metricsUrl: null, storePid: null };
}

async function startApi(dataDir: string, env: Readonly<Record<string, string>>): Promise<ApiServer> {
  const [port, opsPort] = [await findFreePort(), await findFreePort()];
  const server = await startServerProcess({
    name: 'api',
    module: new URL('../api/main.js', import.meta.url),
    env: {
      LOG_LEVEL: 'warn',
      HOST: loopback,
      API_PORT: String(port),
      API_OPS_PORT: String(opsPort),
      JWT_SECRET: randomBytes(32).toString('hex'),
      // What is late is measured, not refused.
      EVENT_LOOP_DELAY_MS: '600000',
      // All requests come from one address here.
      ...noLimits,
      ...env,
    },
    logFile: join(dataDir, 'api.log'),
    isReady: () => isReady(`http://${loopback}:${port}`),
  });
  return { ...server, port, metricsUrl: `http://${loopback}:${opsPort}/metrics` };
}

async function isReady(url: string): Promise<boolean> {
  const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(1000) }).catch(() => null);
  return answer?.status === 200;
}

/** @param name of its log file */
export async function startEngine(
  dataDir: string,
  { port, opsPort }: { readonly port: number; readonly opsPort: number },
  storePid: number | null,
  env: Readonly<Record<string, string>>,
  name = 'engine',
): Promise<EngineServer> {
  const opsUrl = `http://${loopback}:${opsPort}`;
  const { MAX_IN_FLIGHT = String(inFlightMax) } = process.env;
  // The tuning a user may want to try comes from our own environment; the rest is fixed.
  const passed = [
    'WORKERS',
    'FRONTS',
    'PARTITIONS',
    'JOURNAL',
    'DEADLINE_MS',
    'LOG_LEVEL',
    'NODE_OPTIONS',
    'ACCOUNTS_MAX',
    'CARDS_MAX',
    'SEEN_IDS_MAX',
  ].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  const server = await startServerProcess({
    name,
    module: new URL('./tethered-engine.js', import.meta.url),
    env: {
      LOG_LEVEL: 'warn',
      ...Object.fromEntries(passed),
      HOST: loopback,
      AUTH_PORT: String(port),
      OPS_PORT: String(opsPort),
      DATA_DIR: dataDir,
      MAX_IN_FLIGHT,
      ...env,
    },
    logFile: join(dataDir, `${name}.log`),
    isReady: () => isReady(opsUrl),
  });
  return { ...server, port, metricsUrl: `${opsUrl}/metrics`, storePid };
}
