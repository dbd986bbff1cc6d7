/** Engine and API as processes of their own on a given database: for tests of what is between them and it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { findFreePort } from '../../deploy/free-port.js';
import { EngineProcess, enginePlace } from '../../engine/testing/engine-process.js';
import { request } from './api-inside.js';
import { ApiProcess } from './api-process.js';
import type { ApiUnderTest } from './customer.js';

/** @param env of the API, over what it has in tests */
export async function startProcesses(
  t: Test,
  url: string,
  env: Readonly<Record<string, string>> = {},
  engineEnv: Readonly<Record<string, string>> = {},
) {
  const dataDir = mkdtempSync(join(tmpdir(), 'engine-and-api-'));
  const place = await enginePlace(url, dataDir);
  const engine = new EngineProcess(place, engineEnv);
  t.teardown(async () => {
    await engine.kill('SIGKILL');
    rmSync(dataDir, { recursive: true, force: true });
  });
  if (!(await engine.ready())) throw new Error(`the engine ended while starting: ${engine.logged}`);
  const api = new ApiProcess(await findFreePort(), {
    DATABASE_URL: url,
    ENGINE_URL: `http://127.0.0.1:${place.opsPort}`,
    ...env,
  });
  t.teardown(() => api.stop());
  await api.ready();
  const ask: ApiUnderTest['request'] = (method, path, options) => request(api.url, method, path, options);
  return { place, engine, api: { process: api, engine: place, request: ask } };
}
