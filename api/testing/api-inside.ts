/**
 * The API within a test's process, on a fresh migrated database, with the engine as a process of its own when the test
 * wants one. What it serves is what a deployment serves: real routes on a real port.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import type { Test } from 'tap';
import { findFreePort } from '../../deploy/free-port.js';
import { createTestDatabase, processUrl } from '../../deploy/testing/test-database.js';
import {
  type EnginePlace,
  enginePlace,
  startEngineProcess,
  testPanKey,
  testToken,
} from '../../engine/testing/engine-process.js';
import { createLog } from '../../platform/log.js';
import { type Api, startApi } from '../api.js';
import { readApiConfig } from '../config.js';
import { noLimits } from './no-limits.js';

export interface TestApiOptions {
  /** True: a running engine, known to the API. Default false. */
  readonly engine?: boolean;
  /** Takes each line of the log, for which LOG_LEVEL must be set. */
  readonly onLog?: (line: string) => void;
  /** Changes of the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface TestApi {
  readonly api: Api;
  readonly url: string;
  readonly databaseUrl: string;
  /** A connection of the test's own, to prepare and to look. */
  readonly sql: postgres.Sql;
  /** The engine's ports, when one was asked for. */
  readonly engine: EnginePlace | null;
  request(method: string, path: string, options?: RequestOptions): Promise<Reply>;
  /** One request to the ops port. */
  ops(path: string): Promise<Reply>;
  /** An access token of a user, by number, without signing in. */
  tokenOf(userId: number): Promise<string>;
}

export interface RequestOptions {
  readonly token?: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is, instead of `body`. */
  readonly raw?: string | Uint8Array<ArrayBuffer>;
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed body; null when there is none or it is not JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly json: any;
}

/** Starts the API; all of it ends with the test. */
export async function startTestApi(t: Test, options: TestApiOptions = {}): Promise<TestApi> {
  let undocumented: ReadonlySet<string> = new Set();
  // The first one to be registered is the last one to run: nothing is left running when it throws.
  t.teardown(() => {
    if (undocumented.size > 0) throw new Error(`declare in errors of the route: ${[...undocumented].join(', ')}`);
  });
  const database = await createTestDatabase();
  t.teardown(() => database.close());
  const sql = postgres(database.url, { max: 2, onnotice: () => undefined });
  t.teardown(() => sql.end({ timeout: 1 }));
  const engine = options.engine ? await startTestEngine(t, database.url) : null;
  const config = readApiConfig({
    API_PORT: String(await findFreePort()),
    API_OPS_PORT: '0',
    JWT_SECRET: 'a-secret-of-the-tests-with-enough-letters',
    ENGINE_TOKEN: testToken,
    PAN_KEY: testPanKey,
    LOG_LEVEL: 'silent',
    ...noLimits,
    SELF_FUNDING: 'true',
    // A machine that is busy with other tests is no pressure.
    EVENT_LOOP_DELAY_MS: '600000',
    ...(engine === null ? {} : { ENGINE_URL: `http://127.0.0.1:${engine.opsPort}` }),
    ...options.env,
    DATABASE_URL: processUrl(options.env?.['DATABASE_URL'] ?? database.url, 'api'),
  });
  const api = await startApi(config, createLog(config.logLevel, 'api', options.onLog));
  t.teardown(() => api.stop());
  undocumented = api.services.telemetry.undocumented;
  return {
    api,
    url: api.url,
    databaseUrl: database.url,
    sql,
    engine,
    request: (method, path, requestOptions) => request(api.url, method, path, requestOptions),
    ops: (path) => request(api.opsUrl, 'GET', path),
    tokenOf: (userId) => api.services.tokens.sign(userId, 0),
  };
}

async function startTestEngine(t: Test, databaseUrl: string): Promise<EnginePlace> {
  const folder = await mkdtemp(join(tmpdir(), 'api-engine-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const place = await enginePlace(databaseUrl, folder);
  // What is decided is of interest here, not how fast: a busy machine must not turn approvals into declines.
  const engine = await startEngineProcess(place);
  // Nothing of it is looked at any more: a planned stop would settle first.
  t.teardown(() => engine.kill('SIGKILL'));
  return place;
}

/** One request. */
export async function request(
  url: string,
  method: string,
  path: string,
  { token, body, headers, raw }: RequestOptions = {},
): Promise<Reply> {
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(raw === undefined ? {} : { body: raw }),
    signal: AbortSignal.timeout(30_000),
  });
  const isStream = response.headers.get('content-type') === 'text/event-stream';
  const text = isStream ? await firstPart(response) : await response.text();
  return { status: response.status, headers: response.headers, text, json: parsed(text) };
}

/** A stream goes on until its client leaves. */
async function firstPart(response: Response): Promise<string> {
  for await (const part of response.body?.pipeThrough(new TextDecoderStream()) ?? []) return part;
  return '';
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
