/** Secrets of the demo: taken from the environment where given, else made once and kept in DATA_DIR, mode 0600. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writePrivateFile } from './private-file.js';

export interface DemoSecrets {
  readonly PROCESSOR_USER: string;
  readonly PROCESSOR_PASSWORD: string;
  readonly ENGINE_TOKEN: string;
  readonly JWT_SECRET: string;
  readonly PAN_KEY: string;
}

export async function demoSecrets(
  dataDir: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<DemoSecrets> {
  const path = join(dataDir, 'secrets.json');
  const text = await readFile(path, 'utf8').catch(() => '{}');
  const kept = JSON.parse(text) as Partial<DemoSecrets>;
  const made: DemoSecrets = {
    PROCESSOR_USER: kept.PROCESSOR_USER ?? 'processor',
    PROCESSOR_PASSWORD: kept.PROCESSOR_PASSWORD ?? randomBytes(24).toString('base64url'),
    ENGINE_TOKEN: kept.ENGINE_TOKEN ?? randomBytes(32).toString('base64url'),
    JWT_SECRET: kept.JWT_SECRET ?? randomBytes(48).toString('base64url'),
    PAN_KEY: kept.PAN_KEY ?? randomBytes(32).toString('base64url'),
  };
  await writePrivateFile(path, `${JSON.stringify(made, null, 2)}\n`);
  const { PROCESSOR_USER, PROCESSOR_PASSWORD, ENGINE_TOKEN, JWT_SECRET, PAN_KEY } = environment;
  return {
    PROCESSOR_USER: PROCESSOR_USER || made.PROCESSOR_USER,
    PROCESSOR_PASSWORD: PROCESSOR_PASSWORD || made.PROCESSOR_PASSWORD,
    ENGINE_TOKEN: ENGINE_TOKEN || made.ENGINE_TOKEN,
    JWT_SECRET: JWT_SECRET || made.JWT_SECRET,
    PAN_KEY: PAN_KEY || made.PAN_KEY,
  };
}
